"""A server that answers as each check wants, in the words of RAGFlow 0.27.0 (or 0.22.1, where answers grow)."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.support import sse
from tests.support.exchange import ClientGone
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tests.support.exchange import Exchange

KEY = "ragflow-key-that-nobody-may-see"
CHAT = sse.CHAT_ID
QUESTION = "How long does the battery last?"
BATTERY = sse.chunk("The battery lasts eighteen months.", similarity=0.81)
RADIO = sse.chunk("The radio reaches thirty metres.", similarity=None)
DELTAS = ("The battery ", "lasts ", "eighteen months [ID:0].")
FINAL = "The battery lasts eighteen months [ID:0]."
SHOWN = "The battery lasts eighteen months [1]."


def stream(*events: bytes) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        for event in events:
            exchange.send(event)
        exchange.end()

    return script


def answer(*deltas: str, final: str | None = None, reference: Any = None, **extra: Any) -> Callable[[Exchange], None]:
    """Deltas, the decorated text with the reference, the terminator."""
    found = sse.reference(BATTERY, RADIO) if reference is None else reference
    text = "".join(deltas) if final is None else final
    return stream(
        *(sse.native_delta(delta) for delta in deltas), sse.native_delta(text, True, found, **extra), sse.terminator()
    )


def growing(*deltas: str, final: str) -> Callable[[Exchange], None]:
    """The same from a server whose events repeat the whole answer."""
    so_far = ["".join(deltas[: at + 1]) for at in range(len(deltas))]
    return stream(
        *(sse.native_cumulative(text) for text in so_far),
        sse.native_cumulative(final, True, sse.reference(BATTERY, RADIO)),
        sse.terminator(cumulative=True),
    )


@contextlib.contextmanager
def _noticed(gone: threading.Event) -> Iterator[None]:
    """Note that the client has gone, whether waiting or sending finds it out."""
    try:
        yield
    except ClientGone:
        gone.set()
        raise


@dataclass
class Endless:
    """Sends deltas until the client goes, one each time the client has had the one before."""

    delta: Callable[[str], bytes] = sse.native_delta
    end: bytes = sse.terminator()
    limit: int = 40
    sent: int = 0
    gone: threading.Event = field(default_factory=threading.Event)

    def __call__(self, exchange: Exchange) -> None:
        exchange.start_stream()
        with _noticed(self.gone):
            for at in range(self.limit):
                exchange.send(self.delta(f"word{at} "))
                self.sent = at + 1
                # The pause of a model between two tokens; a closed connection ends it at once.
                if exchange.wait_closed(0.03):
                    raise ClientGone
            exchange.send(self.end)
        exchange.end()


@dataclass
class Silent:
    """Sends some deltas and then nothing, until the client goes or the time is over."""

    deltas: tuple[str, ...] = ()
    patience: float = 1.5
    gone: threading.Event = field(default_factory=threading.Event)

    def __call__(self, exchange: Exchange) -> None:
        exchange.start_stream()
        with _noticed(self.gone):
            for delta in self.deltas:
                exchange.send(sse.native_delta(delta))
            if exchange.wait_closed(self.patience):
                raise ClientGone
        exchange.send(sse.native_delta("late", True, sse.reference(BATTERY)))
        exchange.send(sse.terminator())
        exchange.end()


def refused(code: int = 102, message: str = "You don't own the chat.", status: int = 200) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.reply(status, json={"code": code, "message": message})


@dataclass
class Ragflow:
    """The server; completions are answered by the scripts in turn, the last one again and again."""

    scripts: tuple[Callable[[Exchange], None], ...]
    grace: float = 2.0
    sessions: int = 0
    deleted: list[str] = field(default_factory=list)
    retrieval: Callable[[Exchange], None] | None = None

    @classmethod
    def answering(cls, *scripts: Callable[[Exchange], None]) -> Self:
        return cls(scripts or (answer(*DELTAS),))

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._asked = 0
        self._wire = WireServer(self._route, grace=self.grace)
        self._wire.__enter__()
        self.base_url = self._wire.base_url
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._wire.__exit__(kind, error, trace)

    @property
    def threads(self) -> list[threading.Thread]:
        """The server's own threads."""
        return [thread for thread in threading.enumerate() if thread.name.startswith("wire-")]

    @property
    def completions(self) -> list[dict[str, Any]]:
        """The bodies of the questions asked."""
        return [json.loads(asked.body) for asked in self._wire.requests if asked.path.endswith("/completions")]

    def _route(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/completions"):
            with self._lock:
                script = self.scripts[min(self._asked, len(self.scripts) - 1)]
                self._asked += 1
            script(exchange)
        elif exchange.path.endswith("/retrieval"):
            assert self.retrieval is not None
            self.retrieval(exchange)
        elif exchange.method == "DELETE":
            self.deleted.append(exchange.path)
            exchange.reply(json={"code": 0, "data": True})
        elif exchange.method == "GET":
            exchange.reply(json={"code": 0, "data": {"chats": [{"id": CHAT, "name": "Nordwind"}], "total": 1}})
        else:
            with self._lock:
                self.sessions += 1
            session = {"id": f"session-{self.sessions}", "name": "New session", "messages": [], "chat_id": CHAT}
            exchange.reply(json={"code": 0, "data": session})


def chunks(*found: dict[str, Any]) -> Callable[[Exchange], None]:
    """The reply of a retrieval."""
    return lambda exchange: exchange.reply(
        json={"code": 0, "data": {"chunks": list(found), "doc_aggs": [], "total": len(found)}}
    )
