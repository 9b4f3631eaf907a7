"""An interpreter that ends with open streams says nothing and waits for nothing."""

from __future__ import annotations

import pytest

from tests.core.scripts import Held, chat_server
from tests.lifetime.scripts import run
from tests.support.wire import WireServer

SYNC = {
    "kept": """
        client = RAGFlowClient(URL, KEY)
        stream = client.stream("q", **QUESTION)
        next(stream)
    """,
    "in a function that exits": """
        def main():
            stream = RAGFlowClient(URL, KEY).stream("q", **QUESTION)
            next(stream)
            sys.exit()
        main()
    """,
    "read by a daemon": """
        stream = RAGFlowClient(URL, KEY).stream("q", **QUESTION)
        next(stream)
        threading.Thread(target=lambda: next(stream), daemon=True).start()
    """,
}
ASYNC = {
    "kept": """
        client = AsyncRAGFlowClient(URL, KEY)
        async def main():
            global stream
            stream = await client.stream("q", **QUESTION)
            await anext(stream)
        asyncio.run(main())
    """,
    "with a loop that is not closed": """
        client = AsyncRAGFlowClient(URL, KEY)
        async def main():
            global stream
            stream = await client.stream("q", **QUESTION)
            await anext(stream)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
    """,
    "read by a task": """
        client = AsyncRAGFlowClient(URL, KEY)
        async def read(begun):
            async for event in client.stream("q", **QUESTION):
                begun.set()
        async def main():
            global task
            begun = asyncio.Event()
            task = asyncio.create_task(read(begun))
            await begun.wait()
        asyncio.run(main())
    """,
    "in a block that exits": """
        client = AsyncRAGFlowClient(URL, KEY)
        async def main():
            async with client.stream("q", **QUESTION) as stream:
                await anext(stream)
                sys.exit()
        asyncio.run(main())
    """,
}
CASES = [
    *(pytest.param(code, flags, id=f"sync {name} {flags}") for name, code in SYNC.items() for flags in ((), ("-X", "dev"))),
    # In development mode aiohttp refuses the two Content-Type headers that RAGFlow sends.
    *(pytest.param(code, (), id=f"async {name}") for name, code in ASYNC.items()),
]


@pytest.mark.parametrize(("code", "flags"), CASES)
def test_exit(code: str, flags: tuple[str, ...]) -> None:
    held = Held(timeout=10)
    with WireServer(chat_server(held)) as server:
        _, seconds = run(server.base_url, code, *flags)
        assert held.was_closed()
        assert seconds < 5  # the stream would go on for ten
