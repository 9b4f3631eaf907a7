"""Generate the synchronous half of the clients from the asynchronous one, as httpcore and psycopg do.

python tools/generate_sync.py            write the files
python tools/generate_sync.py --check    fail if a committed file differs from what would be written
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "ragflow_integrations"
#: Generated from → generated file.
FILES = {"_async_resources.py": "_resources.py", "async_client.py": "client.py"}
HEADER = "# Generated from `{source}` by `tools/generate_sync.py`; `make format` writes it again.\n"

#: Longer first: a replacement must not hide what a longer one looks for.
WORDS = {
    "async def ": "def ",
    "async with ": "with ",
    "async for ": "for ",
    "await ": "",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "AsyncIterator": "Iterator",
    "aclose": "close",
    "_async_resources": "_resources",
    "_http.async_transport": "_http.sync_transport",
    "_http.async_stream": "_http.sync_stream",
    "aiohttp.ClientSession": "requests.Session",
    "aiohttp": "requests",
}
#: What reads or works otherwise in the synchronous half; each must occur.
PASSAGES = {
    "async_client.py": {
        "for asynchronous code": "for synchronous code",
        '"""A RAGFlow server, asynchronously.': '"""A RAGFlow server.',
        "One client may be used by many tasks and event loops at once; each loop has connections of its own, closed by "
        "`aclose()` or\n    when the loop ends. It can be pickled, key included.": "One client may be used by many threads at "
        "once. It can be pickled, key included; connections are opened anew where it is\n    loaded.",
        "An `aiohttp.ClientSession` to use (proxies, TLS), within its event loop; it is not closed.": "A `requests.Session` to "
        "use (proxies, TLS, adapters); it is not closed.",
        """        >>> import asyncio
        >>> from ragflow_integrations import AsyncRAGFlowClient
        >>> async def main():
        ...     async with AsyncRAGFlowClient(base_url, api_key) as client:
        ...         return await client.ask("How far does a full battery go?", chat_id=chat_id)
        >>> answer = asyncio.run(main())
""": """        >>> from ragflow_integrations import RAGFlowClient
        >>> with RAGFlowClient(base_url, api_key) as client:
        ...     answer = client.ask("How far does a full battery go?", chat_id=chat_id)
""",
        '''    def as_sync(self) -> RAGFlowClient:
        """Return a synchronous client with the same settings; connections are not shared."""
        return self._twin(RAGFlowClient)
''': '''    def as_async(self) -> _AsyncRAGFlowClient:
        """Return an asynchronous client with the same settings; connections are not shared."""
        from ragflow_integrations._async_client import _AsyncRAGFlowClient  # noqa: PLC0415 - it loads its HTTP library

        return self._twin(_AsyncRAGFlowClient)
''',
        "from ragflow_integrations.client import RAGFlowClient\n": "",
        "    import aiohttp\n    from pydantic import SecretStr\n": "    import aiohttp\n    from pydantic import SecretStr\n\n"
        "    from ragflow_integrations._async_client import _AsyncRAGFlowClient\n",
        "        The connection is made, and a refusal raised, by `async with client.stream(…) as stream` or by "
        "`await client.stream(…)`.\n        Arguments and errors are those of `ask`.\n": "        The connection is made and a "
        "refusal raised here. Arguments and errors are those of `ask`.\n\n        Returns:\n            A context manager and "
        "iterator of `AnswerEvent`s.\n",
    },
    "_async_resources.py": {
        "  # noqa: ASYNC109 - as the sync twin": "",
        "They are asked with `await client.ask(": "They are asked with `client.ask(",
    },
}
#: Written so in `PASSAGES`, since the names of the asynchronous half are replaced.
KEPT = {"_AsyncRAGFlowClient": "AsyncRAGFlowClient", "_async_client": "async_client"}


def generate(source: str) -> str:
    """Return the synchronous form of a module."""
    text = (PACKAGE / source).read_text(encoding="utf-8")
    for old, new in PASSAGES[source].items():
        if old not in text:
            sys.exit(f"{source} has no passage {old!r}; change PASSAGES of {__file__}")
        text = text.replace(old, new)
    for old in sorted(WORDS, key=len, reverse=True):
        text = text.replace(old, WORDS[old])
    text = re.sub(r"\bAsync(?=[A-Z])", "", text)
    for old, new in KEPT.items():
        text = re.sub(rf"\b{old}\b", new, text)
    ruff = [str(Path(sys.executable).parent / "ruff"), "--quiet"]
    named = ["--stdin-filename", str(PACKAGE / FILES[source]), "-"]
    text = HEADER.format(source=source) + text
    for command in (["check", "--select", "I,F401", "--fix-only"], ["format"]):
        text = subprocess.run(
            [ruff[0], *command, ruff[1], *named], input=text, capture_output=True, text=True, check=True
        ).stdout
    return text


def main() -> None:
    """Write the files, or check them."""
    stale = []
    for source, target in FILES.items():
        text = generate(source)
        path = PACKAGE / target
        if path.read_text(encoding="utf-8") != text:
            stale.append(target)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale)}; run `make format`")


if __name__ == "__main__":
    main()
