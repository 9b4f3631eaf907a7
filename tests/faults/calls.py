"""The calls: every way to ask, of both clients and of both frameworks."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import aiohttp
import requests

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, TextDelta, Timeout
from ragflow_integrations._http.sync_transport import close_pools
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.core.driver import CHAT, DATASET, DRIVERS, KEY, SESSION
from tests.core.scripts import HISTORY, QUESTION
from tests.faults.replies import RAW, TEXT

if TYPE_CHECKING:
    from tests.core.driver import Driver

CERTIFICATES = Path(__file__).parent / "certificates"
#: A reader has had enough of a stream that does not end.
ENOUGH = 1000

#: What asking twice does: a `turn` of a session is stored twice; a `stateless` answer is twice an LLM's work; a `read` is free.
Effect: TypeAlias = Literal["turn", "stateless", "read"]
#: Asks the thing that was made of a client: gives the text, or the pieces of it.
Ask: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Call:
    """One way to ask.

    Attributes:
        group: Client, or framework.
        kind: `sync` or `async`.
        effect: What asking twice does.
        streamed: Whether the text comes in pieces.
        make: Makes of a client what is asked.
        ask: Asks it.
        right: The right text.
    """

    group: str
    name: str
    kind: str
    effect: Effect
    streamed: bool
    make: Callable[[Any], Any]
    ask: Ask
    right: str = TEXT

    @property
    def id(self) -> str:
        return f"{self.group}-{self.name}"


# --------------------------------------------------------------------------------------------------------------------- the core


def _events(ask: Ask, client: Any) -> Iterator[str]:
    with ask(client) as stream:
        for event in stream:
            if isinstance(event, TextDelta):
                yield event.text
        assert stream.answer.text == TEXT


async def _aevents(ask: Ask, client: Any) -> AsyncIterator[str]:
    async with ask(client) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                yield event.text
        assert stream.answer.text == TEXT


def _now(ask: Ask, read: Callable[[Any], str], client: Any) -> str:
    return read(ask(client))


async def _later(ask: Ask, read: Callable[[Any], str], client: Any) -> str:
    given = ask(client)
    return read(await (_listed(given) if isinstance(given, AsyncIterator) else given))


def _text(answer: Any) -> str:
    return str(answer.text)


def _content(found: Any) -> str:
    return str(found.chunks[0].content)


def _name(datasets: Any) -> str:
    return str(next(iter(datasets)).name)


async def _listed(names: Any) -> list[Any]:
    return [name async for name in names]


_WHOLE: dict[str, tuple[Effect, Ask, Callable[[Any], str], str]] = {
    "ask": ("turn", lambda client: client.ask(**QUESTION), _text, TEXT),
    "complete": ("stateless", lambda client: client.complete(**HISTORY), _text, TEXT),
    "retrieve": ("read", lambda client: client.retrieve("q", dataset_ids=[DATASET]), _content, RAW),
    "list": ("read", lambda client: client.datasets.list(), _name, RAW),
}
_STREAMED: dict[str, tuple[Effect, Ask]] = {
    "stream": ("turn", lambda client: client.stream(**QUESTION)),
    "stream_complete": ("stateless", lambda client: client.stream_complete(**HISTORY)),
}


def _core() -> Iterator[Call]:
    for name, (effect, ask, read, right) in _WHOLE.items():
        yield Call("client", name, "sync", effect, False, _same, partial(_now, ask, read), right)
        yield Call("aclient", name, "async", effect, False, _same, partial(_later, ask, read), right)
    for name, (effect, ask) in _STREAMED.items():
        yield Call("client", name, "sync", effect, True, _same, partial(_events, ask))
        yield Call("aclient", name, "async", effect, True, _same, partial(_aevents, ask))


def _same(client: Any) -> Any:
    return client


# --------------------------------------------------------------------------------------------------------------- the frameworks


def _chat_model(client: Any) -> ChatRAGFlow:
    return ChatRAGFlow(client=client, chat_id=CHAT)


async def _said(message: Any) -> str:
    return str((await message).content)


def _chunks(chunks: Any) -> Iterator[str]:
    with contextlib.closing(chunks):
        for chunk in chunks:
            yield str(chunk.content)


async def _achunks(chunks: Any) -> AsyncIterator[str]:
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            yield str(chunk.content)


def _langchain() -> Iterator[Call]:
    asked: dict[str, tuple[str, bool, Ask]] = {
        "invoke": ("sync", False, lambda model: str(model.invoke("Why?").content)),
        "ainvoke": ("async", False, lambda model: _said(model.ainvoke("Why?"))),
        "stream": ("sync", True, lambda model: _chunks(model.stream("Why?"))),
        "astream": ("async", True, lambda model: _achunks(model.astream("Why?"))),
    }
    for name, (kind, streamed, ask) in asked.items():
        yield Call("langchain", name, kind, "stateless", streamed, _chat_model, ask)


def _engine(client: Any) -> RAGFlowChatEngine:
    return RAGFlowChatEngine(client, chat_id=CHAT, session_id=SESSION)


def _pieces(engine: RAGFlowChatEngine) -> Iterator[str]:
    with engine.stream_chat("Why?") as response:
        yield from response.response_gen


async def _apieces(engine: RAGFlowChatEngine) -> AsyncIterator[str]:
    async with await engine.astream_chat("Why?") as response:
        async for piece in response.async_response_gen():
            yield piece


async def _chatted(response: Any) -> str:
    return str(await response)


def _llamaindex() -> Iterator[Call]:
    asked: dict[str, tuple[str, bool, Ask]] = {
        "chat": ("sync", False, lambda engine: str(engine.chat("Why?"))),
        "achat": ("async", False, lambda engine: _chatted(engine.achat("Why?"))),
        "stream_chat": ("sync", True, _pieces),
        "astream_chat": ("async", True, _apieces),
    }
    for name, (kind, streamed, ask) in asked.items():
        yield Call("llamaindex", name, kind, "turn", streamed, _engine, ask)


CALLS = {call.id: call for call in (*_core(), *_langchain(), *_llamaindex())}


# ----------------------------------------------------------------------------------------------------------------- one question


class Asker:
    """Asks one call, again and again, over one client.

    Attributes:
        shown: The text that the last question gave, also where it failed in the end.
    """

    def __init__(self, call: Call, base_url: str, patience: float) -> None:
        self.call = call
        self.shown = ""
        settings: dict[str, Any] = {"timeout": Timeout(connect=5, read=patience), "max_retries": 1}
        self.driver: Driver = DRIVERS[call.kind](base_url, **settings)
        self._end: Callable[[], object] = lambda: None
        if base_url.startswith("https"):
            self._trust(base_url, settings)
        self._thing = call.make(self.driver.client)

    def _trust(self, base_url: str, settings: dict[str, Any]) -> None:
        """Trust one of the two certificates, as the callers of a private server do: with a session of their own."""
        certificate = str(CERTIFICATES / "trusted.pem")
        if self.call.kind == "sync":
            session = requests.Session()
            session.trust_env = False  # its bundle of certificates would come before this one
            session.verify = certificate
            # As our own sessions end: the traceback of the failure would keep the connection open.
            self._end = lambda: close_pools(session.adapters["https://"])
            self.driver.client = RAGFlowClient(base_url, KEY, session=session, **settings)
            return

        async def open_session() -> aiohttp.ClientSession:
            context = ssl.create_default_context(cafile=certificate)
            return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

        own = self.driver.do(lambda _: open_session())
        self._end = lambda: self.driver.do(lambda _: own.close())
        self.driver.client = AsyncRAGFlowClient(base_url, KEY, session=own, **settings)  # type: ignore[assignment] # as the driver

    def ask(self) -> None:
        """Ask, and read what is said until there is enough of it."""
        self.shown = ""
        given = self.call.ask(self._thing)
        if isinstance(given, Generator):
            with contextlib.closing(given):
                for piece in given:
                    if self._enough(piece):
                        return
        elif isinstance(given, AsyncGenerator):
            self.driver.do(lambda _: self._read(given))
        else:
            self.shown = self.driver.do(lambda _: given)

    async def _read(self, pieces: Any) -> None:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if self._enough(piece):
                    return

    def _enough(self, piece: str) -> bool:
        self.shown += piece
        return len(self.shown) > ENOUGH

    def close(self) -> None:
        self._end()
        self.driver.shut()
