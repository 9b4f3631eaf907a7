"""The command line: `ragflow-integrations demo · emulator · ask · chat · doctor`."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ragflow_integrations import RAGFlowClient, RAGFlowError, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations import Answer, Chunk

app = typer.Typer(
    help="Ask RAGFlow assistants from the terminal, and run a local emulator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # such tracebacks can show local values
)
console = Console(highlight=False, soft_wrap=True)

BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Server; default RAGFLOW_BASE_URL.")]
ApiKey = Annotated[str | None, typer.Option("--api-key", help="API key; default RAGFLOW_API_KEY.")]
ChatName = Annotated[str | None, typer.Option("--chat", help="Name of the chat assistant; default the only one.")]

_SAFE = {code: None for code in range(32) if chr(code) not in "\n\t"} | dict.fromkeys(range(127, 160))


def _show(text: str, style: str = "") -> None:
    """Write a piece of text of the server, without its control characters."""
    console.print(Text(text.translate(_SAFE), style=style), end="")


def _show_line(text: str, style: str = "") -> None:
    """Write one line, whatever line ends the server's words in it have."""
    _show(f"{' '.join(text.splitlines())}\n", style)


def _sources(cited: Iterable[tuple[int, str, str]]) -> None:
    seen: set[int] = set()
    for number, name, excerpt in sorted(cited):
        if number not in seen:
            seen.add(number)
            shown = " ".join(excerpt.split())
            _show_line(f"  [{number}] {name}: {shown[:100]}{'…' if len(shown) > 100 else ''}", "dim")  # noqa: PLR2004 - a line


def _cited(answer: Answer) -> list[tuple[int, str, str]]:
    return [(item.number, *_described(item.chunk)) for item in answer.citations]


def _described(chunk: Chunk) -> tuple[str, str]:
    return chunk.document_name, chunk.content


def _pick(client: RAGFlowClient, name: str | None) -> str:
    if name:
        return client.chats.find(name).id
    chats = list(client.chats.list())
    if len(chats) != 1:
        names = ", ".join(repr(chat.name) for chat in chats) or "none"
        raise typer.BadParameter(f"name one of the server's assistants: {names}", param_hint="--chat")
    return chats[0].id


def _stream(client: RAGFlowClient, question: str, chat_id: str, session_id: str | None) -> Answer:
    with client.stream(question, chat_id=chat_id, session_id=session_id) as stream:
        for event in stream:
            if isinstance(event, TextDelta):
                _show(event.text)
            elif isinstance(event, ReasoningDelta):
                _show(event.text, "italic dim")
        answer = stream.answer
    console.print()
    _sources(_cited(answer))
    return answer


@app.command()
def ask(question: str, base_url: BaseUrl = None, api_key: ApiKey = None, chat: ChatName = None) -> None:
    """Ask one question; the answer streams with its sources below."""
    with RAGFlowClient(base_url, api_key) as client:
        _stream(client, question, _pick(client, chat), None)


@app.command()
def chat(base_url: BaseUrl = None, api_key: ApiKey = None, chat: ChatName = None) -> None:
    """Talk to an assistant in one session; an empty line ends it."""
    with RAGFlowClient(base_url, api_key) as client:
        chat_id = _pick(client, chat)
        session = client.sessions.create(chat_id, "Terminal")
        for line in iter(lambda: console.input("[bold]> [/bold]").strip(), ""):
            _stream(client, line, chat_id, session.id)


@app.command()
def doctor(base_url: BaseUrl = None, api_key: ApiKey = None) -> None:
    """Check the address, the key, and what the server is."""
    with RAGFlowClient(base_url, api_key) as client:
        chats = list(client.chats.list())
        _show_line(f"Address   {client.base_url}: answers as RAGFlow, and takes the key.")
        _show_line(f"Server    {client.server().version or client.server().era}")
        _show_line(f"Health    {'ok' if client.health().ok else f'not ok: {dict(client.health().parts)}'}")
        _show_line(f"Chats     {len(chats)}: {', '.join(item.name for item in chats) or 'none; make one in RAGFlow'}")
        _show_line(f"Datasets  {len(list(client.datasets.list()))}")


@app.command()
def emulator(
    docs: Annotated[Path | None, typer.Option(help="Folder of text, Markdown or HTML files; default a bundled one.")] = None,
    port: Annotated[int, typer.Option(help="Port on the loopback interface.")] = 9380,
    version: Annotated[str, typer.Option(help="RAGFlow release to stand in for.")] = "0.27.0",
    delay: Annotated[float, typer.Option(help="Seconds between the events of a stream.")] = 0.0,
) -> None:
    """Run the local emulator until Ctrl-C. It is not RAGFlow."""
    from ragflow_integrations.emulator.__main__ import main as run  # noqa: PLC0415 - in an extra

    options = ["--port", str(port), "--version", version, "--delay", str(delay)]
    run([*options, *(["--docs", str(docs)] if docs else [])])


@app.command()
def demo(delay: Annotated[float, typer.Option(help="Seconds between the events of a stream.")] = 0.02) -> None:
    """Start the emulator on a small bundled corpus, ask it through LangChain and LlamaIndex, stop it."""
    from ragflow_integrations._demo import run  # noqa: PLC0415 - needs all extras

    run(delay, console.print, _show, _sources)


def main() -> None:
    """Run the command line; errors are one line, not a traceback."""
    try:
        app()
    except RAGFlowError as error:
        _show_line(f"{type(error).__name__}: {error}", "red")
        sys.exit(1)


if __name__ == "__main__":
    main()
