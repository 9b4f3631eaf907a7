"""Streams that break, fall silent or hold garbage: the right error, with the text so far."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    AsyncRAGFlowClient,
    Completed,
    ConnectionFailedError,
    ProtocolError,
    RequestTimeoutError,
    StreamInterruptedError,
    TextDelta,
)
from tests.core.driver import KEY
from tests.core.scripts import HISTORY, QUESTION, Held
from tests.support.leaks import wait_until
from tests.support.sse import (
    DONE,
    native_delta,
    terminator,
)
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.core.driver import Driver
    from tests.support.wire import Exchange, Framing

from tests.core.streams import STATELESS, TEXT, TURN, WHOLE, run


def wait_for_the_client(exchange: Exchange) -> None:
    assert exchange.wait_closed()
    exchange.close()


# -------------------------------------------------------------------------------------------------------------------- silence


def test_silence_before_the_reply(connect: Connect) -> None:
    with WireServer(wait_for_the_client) as server:
        for call in (TURN, STATELESS, lambda client: client.ask(**QUESTION), lambda client: client.complete(**HISTORY)):
            driver = connect(server.base_url, timeout=0.15, max_retries=0)
            error = driver.fails(call)
            assert type(error) is RequestTimeoutError
            assert error.sent
            assert "0.15 s" in str(error)
            assert "`timeout`" in str(error)


def test_silence_before_the_first_event(connect: Connect) -> None:
    outcome = run(connect, end=wait_for_the_client, timeout=0.15)
    assert type(outcome.error) is RequestTimeoutError
    assert outcome.events == []


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_silence_within_the_answer(framing: Framing, connect: Connect) -> None:
    length = 10_000 if framing == "length" else None
    outcome = run(connect, *WHOLE[:2], framing=framing, length=length, end=wait_for_the_client, timeout=0.15)
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.text == outcome.error.partial == "Batteries last a year [1]"
    assert "silent for 0.15 s" in str(outcome.error)


def test_silence_within_a_reply_that_is_no_stream(connect: Connect) -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream(headers=[("content-type", "application/json")], framing="length", length=100)
        exchange.send(b'{"code": 0')
        wait_for_the_client(exchange)

    with WireServer(script) as server:
        driver = connect(server.base_url, timeout=0.15, max_retries=0)
        assert type(driver.fails(lambda client: client.ask(**QUESTION))) is RequestTimeoutError


def test_a_slow_answer_is_no_silence(connect: Connect) -> None:
    """The limit is for silence: an answer that takes longer in all is whole."""

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        for _ in range(8):
            exchange.send(native_delta("x"))
            time.sleep(0.05)
        exchange.send(terminator())
        exchange.end()

    with WireServer(script) as server:
        assert connect(server.base_url, timeout=0.3).drain(TURN).answer.text == "x" * 8


# ----------------------------------------------------------------------------------------------------------------------- cuts


def _until(text: str) -> bytes:
    body = b"".join(WHOLE)
    return body[: body.index(text.encode()) + len(text.encode())]


CUTS = {
    "behind an event": (b"".join(WHOLE[:2]), "Batteries last a year [1]"),
    "in a frame": (_until("Batteries last ") + b'"', ""),
    "in a frame's name": (b"".join(WHOLE[:1]) + b"dat", "Batteries last "),
    "in a marker": (WHOLE[0] + native_delta("a year [ID"), "Batteries last a year "),
    "in a character": (WHOLE[0] + WHOLE[2][: WHOLE[2].index("🔋".encode()) + 2], "Batteries last "),
    "before the terminator": (b"".join(WHOLE), TEXT),
    "in the terminator": (b"".join(WHOLE) + terminator()[:20], TEXT),
}
ENDS: dict[str, Callable[[Exchange], None]] = {
    "FIN": lambda exchange: exchange.close(),
    "RST": lambda exchange: exchange.abort(),
    "the body's end": lambda exchange: exchange.end(),
}


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("cut", CUTS)
def test_cut(cut: str, end: str, framing: Framing, connect: Connect) -> None:
    body, partial = CUTS[cut]
    outcome = run(connect, body, framing=framing, end=ENDS[end])
    assert isinstance(outcome.error, StreamInterruptedError | ProtocolError | RequestTimeoutError | ConnectionFailedError)
    if end == "RST":  # the kernel may throw away what was not yet read
        assert TEXT.startswith(outcome.text)
        return
    if isinstance(outcome.error, StreamInterruptedError):
        assert outcome.error.partial == outcome.text
    shown = {"in a marker": ("Batteries last a year ", "Batteries last a year [ID")}.get(cut, (partial,))
    assert outcome.text in shown
    assert type(outcome.error) is (StreamInterruptedError if end == "FIN" and framing == "chunked" else type(outcome.error))


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_what_came_before_a_cut_is_given_to_a_slow_reader(framing: Framing, connect: Connect) -> None:
    """Whoever reads an event and comes back when the connection is broken gets all that had come."""
    goes_on = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.start_stream(framing=framing, length=5000 if framing == "length" else None)
        exchange.send(WHOLE[0])
        assert goes_on.wait(5)
        exchange.send(WHOLE[1])
        exchange.send(WHOLE[2])
        exchange.close()

    with WireServer(script) as server:
        driver = connect(server.base_url, max_retries=0)
        stream = driver.open(TURN)
        assert driver.next(stream) == TextDelta("Batteries last ")
        goes_on.set()
        driver.do(lambda _: wait_for_the_end(driver, server))
        text = ""
        with pytest.raises(StreamInterruptedError) as caught:  # noqa: PT012 - the loop is what fails
            while (given := driver.next(stream)) is not None:
                assert isinstance(given, TextDelta)
                text += given.text
        assert text == "a year [1]. 🔋"
        assert caught.value.partial == TEXT
        driver.shut()


def wait_for_the_end(driver: Driver, server: WireServer) -> Any:
    """Wait until the server has closed the connection and the event loop, if any, has seen it."""
    if driver.kind == "sync":
        return wait_until(lambda: not server._open)

    async def wait() -> None:
        while server._open:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    return wait()


@pytest.mark.parametrize("body", [b"".join(WHOLE), b"".join(WHOLE[:2])])
def test_a_missing_terminator(body: bytes, connect: Connect) -> None:
    outcome = run(connect, body)
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == outcome.text
    assert "terminator" in str(outcome.error)


def test_a_promised_length_that_does_not_come(connect: Connect) -> None:
    outcome = run(connect, *WHOLE[:1], framing="length", length=5000, end=lambda exchange: exchange.close())
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == "Batteries last "


@pytest.mark.parametrize("call", [TURN, STATELESS])
def test_no_byte_of_an_answer(call: Callable[[Any], Any], connect: Connect) -> None:
    for end in (ENDS["FIN"], ENDS["the body's end"]):
        outcome = run(connect, call=call, end=end)
        assert type(outcome.error) is StreamInterruptedError
        assert outcome.error.partial == ""


def test_the_last_event_may_lack_its_blank_line(connect: Connect) -> None:
    assert run(connect, *WHOLE, terminator().rstrip()).answer.text == TEXT


# ------------------------------------------------------------------------------------------------------------ more than wanted


@pytest.mark.parametrize("tail", [terminator() * 3, WHOLE[0], b"data:nonsense\n\n", b"\x00\xff", DONE])
def test_what_follows_the_terminator_is_not_read(tail: bytes, connect: Connect) -> None:
    assert run(connect, *WHOLE, terminator() + tail).answer.text == TEXT
    assert run(connect, *WHOLE, terminator(), tail).answer.text == TEXT


# --------------------------------------------------------------------------------------------------------------------- garbage


@pytest.mark.parametrize(
    "garbage",
    [
        b"data:{not json}\n\n",
        b"data:[1]\n\n",
        b"data:5\n\n",
        b'data:{"code": 0, "data": {"answer": "\xff"}}\n\n',
        b"data:\xff\n\n",
    ],
)
def test_garbage_within_the_answer(garbage: bytes, connect: Connect) -> None:
    outcome = run(connect, WHOLE[0], garbage, terminator())
    assert type(outcome.error) is ProtocolError
    assert outcome.text == "Batteries last "


@pytest.mark.parametrize("body", [b"hello there", b"\x00\x01\x02", b"<html><title>x</title></html>", b": only comments\n\n"])
def test_a_body_that_is_no_answer(body: bytes, connect: Connect) -> None:
    outcome = run(connect, body)
    assert isinstance(outcome.error, ProtocolError | StreamInterruptedError)
    assert outcome.events == []


def test_an_endless_event_is_given_up(connect: Connect) -> None:
    block = b"x" * (4 * 1024 * 1024)

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(WHOLE[0] + b'data:{"code": 0, "data": {"answer": "')
        for _ in range(100):
            exchange.send(block)
        raise AssertionError("all of it was read")

    with WireServer(script) as server:
        driver = connect(server.base_url, max_retries=0)
        outcome = driver.drain(TURN)
        assert type(outcome.error) is ProtocolError
        assert "67108864 bytes" in str(outcome.error)
        assert outcome.text == "Batteries last "
        driver.shut()


async def test_text_that_came_is_given_after_a_reader_gave_up_waiting_for_the_end() -> None:
    """The server ends its answer and then says nothing more; the reader's patience is shorter than the drain's."""
    begun = Held(native_delta("Hello") + terminator())
    with WireServer(begun) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY, timeout=5) as client:
            stream = await client.stream(**QUESTION)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(stream)
            events = [event async for event in stream]
            assert events[0] == TextDelta("Hello")
            assert isinstance(events[-1], Completed)
            assert client._settings.session_locks.queues == {}
            await stream.aclose()
    assert begun.was_closed()


@pytest.mark.parametrize("before", range(240, 300, 4))
def test_no_part_of_the_key_is_shown_where_the_words_are_cut(before: int, connect: Connect) -> None:
    text = b"x" * before + KEY.encode() + b"x" * 400

    def plain(exchange: Exchange) -> None:
        exchange.reply(200, (("Content-Type", "text/plain"),), text)

    def no_http(exchange: Exchange) -> None:
        exchange.raw(text + b"\r\n\r\n")
        exchange.close()

    for say in (plain, no_http):
        with WireServer(say) as server:
            error = connect(server.base_url, max_retries=0).fails(lambda client: client.chats.list())
        assert KEY[:12] not in f"{error!r}{vars(error)}"
