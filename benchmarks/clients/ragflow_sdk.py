"""RAGFlow's own SDK, and the asynchronous one of a third party."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.clients import KEY, QUESTION, Ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.answers import Markers

_TIMEOUT = 120.0


class Grown:
    """Gives what is new; both SDKs hand on what the server sends, be it the new piece or the whole text so far."""

    def __init__(self, chat: str) -> None:
        self._cumulative = chat.startswith("cumulative")
        self._length = 0

    def piece(self, text: str) -> str:
        """Take the text of an event."""
        if not self._cumulative:
            return text
        new = text[self._length :]
        self._length = len(text)
        return new


class Sdk:
    """`ragflow-sdk`."""

    markers: Markers = "raw"

    def __init__(self, base_url: str) -> None:
        sdk: Any = import_module("ragflow_sdk")
        sessions: Any = import_module("ragflow_sdk.modules.session")
        self._client = sdk.RAGFlow(KEY, base_url)
        self._session: Any = lambda ask: sessions.Session(self._client, {"id": ask.session, "chat_id": ask.chat})

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream a turn of a session."""
        grown = Grown(ask.chat)
        for message in self._session(ask).ask(QUESTION, stream=True):
            if piece := grown.piece(message.content):
                yield piece

    def retrieve(self) -> int:
        """Search."""
        return len(self._client.retrieve(dataset_ids=["dataset"], question=QUESTION))


class AsyncSdk:
    """`ragflow-async-sdk`."""

    markers: Markers = "raw"

    def __init__(self, base_url: str) -> None:
        sdk: Any = import_module("ragflow_async_sdk")
        httpx: Any = import_module("httpx")
        limits = httpx.Limits(max_connections=None)  # by default 100 streams at once are all it can have
        self._client = sdk.AsyncRAGFlowClient(base_url, KEY, timeout=_TIMEOUT, limits=limits)
        # `chats.ask` of 0.1.1 asks for a path that no server has from Python 3.11 on; what it calls is right.
        chats: Any = self._client.chats
        self._ask = getattr(super(type(chats), chats), "ask")  # noqa: B009 - unknown to type checkers

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream a turn of a session."""
        grown = Grown(ask.chat)
        async for result in await self._ask(ask.chat, ask.session, QUESTION, stream=True):
            if piece := grown.piece(result.answer):
                yield piece

    async def aretrieve(self) -> int:
        """Search."""
        return len((await self._client.chunks.retrieve_chunks(QUESTION, dataset_ids=["dataset"]))["chunks"])

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()
