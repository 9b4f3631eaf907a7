"""Streams framed and spelled in unusual ways, and failures told within them."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    APIError,
    ChatNotFoundError,
    GenerationError,
    ProtocolError,
    ServerError,
    TextDelta,
)
from tests.support.sse import (
    DONE,
    event,
    native_cumulative,
    native_delta,
    native_error,
    openai_chunk,
    terminator,
)
from tests.support.wire import STREAM_HEADERS, WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragflow_integrations import RAGFlowError
    from tests.core.conftest import Connect
    from tests.support.wire import Exchange, Framing

from tests.core.streams import FOUND, STATELESS, TEXT, TURN, WHOLE, run

# -------------------------------------------------------------------------------------------------------- framing and headers


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", None])
def test_framing_and_compression(framing: Framing, encoding: str | None, connect: Connect) -> None:
    body = b"".join((*WHOLE, terminator()))
    headers = list(STREAM_HEADERS)
    if encoding:
        headers.append(("content-encoding", encoding))
        body = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    assert run(connect, *pieces, framing=framing, headers=headers).answer.text == TEXT


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/plain", "application/octet-stream", None])
def test_a_stream_of_another_content_type(kind: str | None, connect: Connect) -> None:
    headers = [("content-type", kind)] if kind else []
    outcome = run(connect, *WHOLE, terminator(), headers=headers)
    assert outcome.answer.text == outcome.text == TEXT


REFUSAL = json.dumps({"code": 102, "data": None, "message": "You don't own the chat x"}).encode()


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/html", None])
@pytest.mark.parametrize("call", [TURN, STATELESS])
def test_a_refusal_instead_of_a_stream(kind: str | None, call: Callable[[Any], Any], connect: Connect) -> None:
    headers = [("content-type", kind)] if kind else []
    for pieces in ([REFUSAL], [REFUSAL[at : at + 1] for at in range(len(REFUSAL))], [b"  \r\n", REFUSAL]):
        outcome = run(connect, *pieces, headers=headers, call=call)
        assert type(outcome.error) is ChatNotFoundError
        assert outcome.events == []


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502])
def test_an_error_status_with_a_streams_header(status: int, connect: Connect) -> None:
    outcome = run(connect, b"data: sorry\n\n", status=status)
    assert isinstance(outcome.error, APIError | ProtocolError)
    assert str(status) in str(outcome.error) or status == 404


def test_a_whole_answer_instead_of_a_stream(connect: Connect) -> None:
    body = json.dumps({"code": 0, "data": {"answer": TEXT.replace("[1]", "[ID:0]"), "reference": FOUND, "id": "m"}}).encode()
    outcome = run(connect, body[:9], body[9:], headers=[("content-type", "application/json")])
    assert outcome.answer.text == outcome.text == TEXT
    assert outcome.answer.message_id == "m"


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "a blank behind the colon": lambda body: body.replace(b"data:", b"data: "),
    "CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "comments": lambda body: b": hello\n\n" + body.replace(b"data:", b": ping\ndata:"),
    "other fields": lambda body: body.replace(b"data:", b"id: 4\nevent: message\nretry: 10\ndata:"),
    "more blank lines": lambda body: body.replace(b"\n\n", b"\n\n\n\n"),
    "two lines of data": lambda body: body.replace(b'"data": {', b'"data":\ndata: {'),
    "a mark of UTF-8": lambda body: body,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_other_spellings_of_events(spelling: str, size: int, connect: Connect) -> None:
    body = SPELLINGS[spelling](b"".join((*WHOLE, terminator())))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert run(connect, *pieces).answer.text == TEXT


def test_lines_that_are_none_for_the_server_stay_in_the_text(connect: Connect) -> None:
    text = "one\u2028two\u0085three\u2029four\x0bfive\x1c"
    assert run(connect, native_delta(text), terminator()).answer.text == text


# ------------------------------------------------------------------------------------------------- failures told in the stream


def test_an_event_of_code_500(connect: Connect) -> None:
    outcome = run(connect, WHOLE[0], native_error("Out of memory"), terminator())
    assert type(outcome.error) is ServerError
    assert outcome.error.partial == outcome.text == "Batteries last "
    assert outcome.error.code == 500
    assert "Out of memory" in str(outcome.error)


def test_an_event_of_code_500_comes_first(connect: Connect) -> None:
    outcome = run(connect, native_error("Out of memory"), terminator())
    assert type(outcome.error) is ServerError
    assert outcome.error.partial == ""


def failures() -> dict[str, tuple[tuple[bytes, ...], str, str | None]]:
    failed = "**ERROR**: RATE_LIMIT_EXCEEDED - Error code: 429"
    return {
        "at once": ((native_delta(failed), terminator()), "", "RATE_LIMIT_EXCEEDED"),
        "glued": ((native_delta("One two" + failed), terminator()), "One two", "RATE_LIMIT_EXCEEDED"),
        "on a line": ((native_delta("One two\n" + failed), terminator()), "One two", "RATE_LIMIT_EXCEEDED"),
        "split": (
            (native_delta("One two**ERR"), native_delta("OR**: TIME"), native_delta("OUT - x"), terminator()),
            "One two",
            "TIMEOUT",
        ),
        "with a final event": (
            (native_delta("One" + failed), native_delta("", final=True), terminator()),
            "One",
            "RATE_LIMIT_EXCEEDED",
        ),
        "with a full final": (
            (native_delta("One"), native_delta(failed), native_delta("One" + failed, final=True), terminator()),
            "One",
            "RATE_LIMIT_EXCEEDED",
        ),
        "without a kind": ((native_cumulative("\n**ERROR**: Error code: 500 - {}"), terminator(cumulative=True)), "", None),
        "cumulative": (
            (native_cumulative("One"), native_cumulative("One" + failed), terminator(cumulative=True)),
            "One",
            "RATE_LIMIT_EXCEEDED",
        ),
    }


@pytest.mark.parametrize("name", failures())
def test_a_failure_of_the_llm(name: str, connect: Connect) -> None:
    pieces, partial, kind = failures()[name]
    outcome = run(connect, *pieces)
    error: RAGFlowError | None = outcome.error
    assert isinstance(error, GenerationError)
    assert (error.partial, error.kind) == (partial, kind)
    assert outcome.text.rstrip() == partial
    assert "ERROR" not in outcome.text
    assert "`partial`" in str(error)


def test_an_openai_failure(connect: Connect) -> None:
    outcome = run(
        connect,
        openai_chunk("One "),
        openai_chunk("**ERROR**: AUTH_ERROR - no"),
        openai_chunk(finish="stop"),
        DONE,
        call=STATELESS,
    )
    assert isinstance(outcome.error, GenerationError)
    assert outcome.error.kind == "AUTH_ERROR"
    assert outcome.error.partial == "One"
    assert not outcome.error.retryable


def test_an_answer_that_speaks_of_errors_is_whole(connect: Connect) -> None:
    text = "RAGFlow writes **ERROR**: TIMEOUT - x into the answer.\nSo look for it."
    outcome = run(connect, *(native_delta(piece) for piece in (text[:20], text[20:40], text[40:])), terminator())
    assert outcome.answer.text == outcome.text == text


def test_text_comes_as_soon_as_it_is_sent(connect: Connect) -> None:
    """Each event is given before the server sends the next: nothing is held back on the way."""
    for framing in ("chunked", "close"):
        read = threading.Semaphore(0)

        def script(exchange: Exchange, framing: Any = framing, read: threading.Semaphore = read) -> None:
            exchange.start_stream(framing=framing)
            for number in range(5):
                exchange.send(native_delta(f"{number} "))
                assert read.acquire(timeout=5)
            exchange.send(terminator())
            exchange.end()

        with WireServer(script) as server:
            driver = connect(server.base_url)
            stream = driver.open(TURN)
            for number in range(5):
                assert driver.next(stream) == TextDelta(f"{number} ")
                read.release()
            while driver.next(stream) is not None:
                pass
            assert stream.answer.text == "0 1 2 3 4 "
            driver.shut()


def test_an_empty_answer(connect: Connect) -> None:
    assert run(connect, terminator()).answer.text == ""
    assert run(connect, DONE, call=STATELESS).answer.text == ""
    assert run(connect, event({"code": 0, "data": True})).answer.text == ""
