"""Connections are used again: one is enough for any number of questions one after the other, also after refusals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import APIError, RAGFlowClient
from tests.core.driver import CHAT, KEY
from tests.core.scripts import HISTORY, QUESTION, answered, chat_server, envelope, in_turn, said
from tests.support.sse import native_delta, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange

CALLS: dict[str, Callable[[Any], Any]] = {
    "ask": lambda client: client.ask(**QUESTION),
    "complete": lambda client: client.complete(**HISTORY),
}
STREAMS: dict[str, Callable[[Any], Any]] = {
    "stream": lambda client: client.stream(**QUESTION),
    "stream_complete": lambda client: client.stream_complete(**HISTORY),
}


def test_one_connection_for_everything(connect: Connect) -> None:
    with WireServer(chat_server(answered())) as server:
        driver = connect(server.base_url)
        for _ in range(5):
            for ask in CALLS.values():
                assert driver.do(ask).text == "Because."
            for stream in STREAMS.values():
                assert driver.drain(stream).answer.text == "Because."
            assert len(driver.do(lambda client: client.sessions.list(CHAT))) == 1
        driver.shut()
        assert server.connections == 1
        assert len(server.requests) == 25


@pytest.mark.parametrize("call", [*CALLS.values(), *STREAMS.values()], ids=[*CALLS, *STREAMS])
@pytest.mark.parametrize("code", [101, 102, 109, 100, 401])
def test_a_refusal_keeps_the_connection(call: Callable[[Any], Any], code: int, connect: Connect) -> None:
    with WireServer(in_turn(envelope(code, "no"), answered(), envelope(code, "no"), answered())) as server:
        driver = connect(server.base_url)
        for _ in range(2):
            assert isinstance(driver.drain(call).error if call in STREAMS.values() else driver.fails(call), APIError)
            outcome = driver.drain(call).answer if call in STREAMS.values() else driver.do(call)
            assert outcome.text == "Because."
        driver.shut()
        assert server.connections == 1


def test_the_end_of_a_stream_may_come_late(connect: Connect) -> None:
    """What follows the terminator, as far as it comes soon, is read; so the connection is free for the next question."""

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(native_delta("Because."))
        exchange.send(terminator())
        exchange.send(b"data:{}\n\n" * 50)
        exchange.end()

    with WireServer(script) as server:
        driver = connect(server.base_url)
        for _ in range(3):
            assert driver.drain(STREAMS["stream"]).answer.text == "Because."
        driver.shut()
        assert server.connections == 1


def test_a_stream_that_goes_on_for_ever_is_given_up(connect: Connect) -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(native_delta("Because.") + terminator())
        while True:  # until the client has gone
            exchange.send(b": more\n\n" * 1000)

    with WireServer(in_turn(script, answered("Next."))) as server:
        driver = connect(server.base_url)
        assert driver.drain(STREAMS["stream"]).answer.text == "Because."
        assert driver.drain(STREAMS["stream"]).answer.text == "Next."
        driver.shut()
        assert server.connections == 2


def test_a_stream_that_never_ends_behind_its_terminator_is_given_up(connect: Connect) -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(native_delta("Because.") + terminator())
        assert exchange.wait_closed()
        exchange.close()

    with WireServer(script) as server:
        driver = connect(server.base_url)
        assert driver.drain(STREAMS["stream"]).answer.text == "Because."
        driver.shut()


def test_a_closed_client_opens_new_connections(connect: Connect) -> None:
    with WireServer(said([])) as server:
        driver = connect(server.base_url)
        for wanted in (1, 2):
            assert driver.do(lambda client: client.sessions.list(CHAT)) == []
            assert server.connections == wanted
            driver.do(lambda client: client.close() if driver.kind == "sync" else client.aclose())


def test_threads_share_one_pool() -> None:
    with WireServer(chat_server(answered())) as server, RAGFlowClient(server.base_url, KEY) as client:
        with ThreadPoolExecutor(4) as threads:
            texts = {answer.text for answer in threads.map(lambda _: client.complete(**HISTORY), range(40))}
        assert texts == {"Because."}
        assert server.connections <= 4
