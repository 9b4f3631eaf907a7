"""Plays a fault to a call, and shows what came of it."""

from __future__ import annotations

import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

from ragflow_integrations import RAGFlowError, errors
from tests.faults import faults
from tests.faults.calls import CALLS, CERTIFICATES, Asker, Call
from tests.faults.replies import reply_to
from tests.support.wire import Exchange, WireServer

_WORKERS = 20


@dataclass(frozen=True)
class Outcome:
    """What came of a call, and of the same call afterwards.

    Attributes:
        shown: Text the caller has.
        error: What was raised.
        sent: Requests the server saw.
        connections: Connections made to it.
        elsewhere: Connections made to another server.
        seconds: Time taken.
        next_shown: What the next call of the same client gave, when the server behaved.
        next_sent: Requests it took.
    """

    shown: str
    error: RAGFlowError | None
    sent: int
    connections: int
    elsewhere: int
    seconds: float
    next_shown: str
    next_sent: int

    @property
    def kind(self) -> type[RAGFlowError] | None:
        """The class of the error; LangChain's classes are told by the core's, their first parent."""
        if self.error is None:
            return None
        return next(
            cls for cls in type(self.error).__mro__ if issubclass(cls, RAGFlowError) and cls.__module__ == errors.__name__
        )


class _Script:
    """Strikes with a fault until the server behaves."""

    def __init__(self, fault: faults.Fault) -> None:
        self._fault = fault
        self.behaves = False

    def __call__(self, exchange: Exchange) -> None:
        (faults.behave if self.behaves else self._fault)(exchange, reply_to(exchange.request))


def play(name: str, call: Call) -> Outcome:
    with ExitStack() as stack:
        elsewhere = stack.enter_context(WireServer(_Script(faults.behave)))
        other = elsewhere.base_url.replace("127.0.0.1", "localhost")
        redirect: faults.Fault = lambda exchange, _: faults.redirect(exchange, other)  # noqa: E731 - bound to this server
        script = _Script(faults.SCRIPTED.get(name, redirect))
        tls = _certificate("unknown") if name == faults.TLS else None
        server = stack.enter_context(WireServer(script, tls=tls, listening=name != faults.REFUSED))
        asker = Asker(call, server.base_url, faults.patience(name))
        stack.callback(asker.close)
        error, started = None, time.monotonic()
        try:
            asker.ask()
        except RAGFlowError as problem:
            error = problem.with_traceback(None)
        seconds, shown, sent, connections = time.monotonic() - started, asker.shown, len(server.requests), server.connections
        script.behaves = True
        if name == faults.REFUSED:
            server.listen()
        if name == faults.TLS:
            server.tls = _certificate("trusted")
        asker.ask()
        next_sent = len(server.requests) - sent
        return Outcome(shown, error, sent, connections, elsewhere.connections, seconds, asker.shown, next_sent)


def _certificate(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


@cache
def row(name: str) -> dict[str, Future[Outcome]]:
    """Play a fault to every call, several at a time, since most of their time is silence."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        return {call.id: pool.submit(play, name, call) for call in CALLS.values()}
