"""What is sent again and what is not: nothing that may have been stored a first time."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tenacity import Future, RetryCallState, Retrying

from ragflow_integrations import errors
from ragflow_integrations._protocol.envelope import retry_after
from ragflow_integrations._protocol.retries import may_repeat, policy
from ragflow_integrations._protocol.steps import Reply, Request
from tests.core.driver import CHAT, DATASET, DOCUMENT, SESSION
from tests.core.scripts import HISTORY, QUESTION, answered, envelope, in_turn, raw, said, status
from tests.support.sse import native_delta, openai_chunk
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange, Script

Calls = dict[str, "tuple[Callable[[Any], Any], Script]"]

FILES = [("a.txt", b"a")]
#: Calls that may be made twice, and what they are answered with.
READING: Calls = {
    "get": (lambda c: c.sessions.list(CHAT), said([])),
    "retrieve": (lambda c: c.retrieve("q", dataset_ids=[DATASET]), said({"chunks": [{"id": "c", "mom_id": ""}], "total": 1})),
    "download": (lambda c: c.documents.download(DATASET, DOCUMENT), lambda exchange: exchange.reply(body=b"text")),
    "complete": (lambda c: c.complete(**HISTORY), answered()),
    "related": (lambda c: c.related_questions("q"), said(["a?"])),
}
#: Those of them whose answers an LLM writes.
LONG = ("complete", "related")
#: Calls that change something.
WRITING: Calls = {
    "create": (lambda c: c.sessions.create(CHAT), said({"id": SESSION})),
    "delete": (lambda c: c.sessions.delete(CHAT, [SESSION]), said(True)),
    "upload": (lambda c: c.documents.upload(DATASET, FILES), said([{"id": DOCUMENT, "name": "a.txt"}])),
    "ask": (lambda c: c.ask(**QUESTION), answered()),
}
STREAMS: Calls = {
    "stream": (lambda c: c.stream(**QUESTION), answered()),
    "stream_complete": (lambda c: c.stream_complete(**HISTORY), answered()),
}
ALL: Calls = READING | WRITING | STREAMS


def reset(exchange: Exchange) -> None:
    exchange.abort()


def cut(exchange: Exchange) -> None:
    exchange.start_stream(headers=[("content-type", "application/json")], framing="length", length=100)
    exchange.send(b'{"code"')
    exchange.close()


def silent(exchange: Exchange) -> None:
    exchange.wait_closed()
    exchange.close()


@pytest.mark.parametrize("call", ALL)
def test_429_is_obeyed_by_every_call(call: str, connect: Connect) -> None:
    """Who is told to wait has not been served, so this is safe for turns too."""
    ask, reply = ALL[call]
    limited = status(429, b"", ("Retry-After", "0"))
    with WireServer(in_turn(limited, limited, reply)) as server:
        driver = connect(server.base_url)
        if call in STREAMS:
            assert driver.drain(ask).answer.text == "Because."
        else:
            driver.do(ask)
        assert len(server.requests) == 3
        assert len({request.body for request in server.requests if call != "upload"} or {b""}) == 1


@pytest.mark.parametrize("call", ALL)
def test_429_for_ever_is_told(call: str, connect: Connect) -> None:
    with WireServer(status(429, b"", ("Retry-After", "0"))) as server:
        error = connect(server.base_url, max_retries=1).fails(ALL[call][0])
        assert type(error) is errors.RateLimitError
        assert error.retry_after == 0
        assert len(server.requests) == 2


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("call", ["get", "ask", "stream"])
def test_a_long_wait_is_left_to_the_caller(call: str, code: int, connect: Connect) -> None:
    with WireServer(status(code, b"", ("Retry-After", "3600"))) as server:
        error = connect(server.base_url).fails(ALL[call][0])
        assert isinstance(error, errors.RateLimitError | errors.ServerError)
        assert error.retry_after == 3600
        assert len(server.requests) == 1


FAULTS: dict[str, Script] = {"502": status(502), "503": status(503), "504": status(504), "reset": reset}


@pytest.mark.parametrize(
    ("call", "fault"),
    [*(("get", fault) for fault in FAULTS), *((call, "502") for call in [*READING, "stream_complete"]), ("complete", "reset")],
)
def test_reading_is_repeated(call: str, fault: str, connect: Connect) -> None:
    ask, reply = ALL[call]
    with WireServer(in_turn(FAULTS[fault], reply)) as server:
        driver = connect(server.base_url, max_retries=1)
        assert driver.drain(ask).error is None if call in STREAMS else driver.do(ask) is not None
        assert len(server.requests) == 2


@pytest.mark.parametrize("fault", [*FAULTS, "cut", "silent", "500"])
@pytest.mark.parametrize("call", [*WRITING, "stream"])
def test_what_may_have_arrived_is_not_sent_again(call: str, fault: str, connect: Connect) -> None:
    script = {**FAULTS, "cut": cut, "silent": silent, "500": status(500)}[fault]
    with WireServer(script) as server:
        error = connect(server.base_url, timeout=0.3).fails(ALL[call][0])
        assert isinstance(error, errors.ServerError | errors.ConnectionFailedError | errors.StreamInterruptedError)
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", READING)
def test_silence_is_a_reason_to_ask_again_only_where_answers_are_quick(call: str, connect: Connect) -> None:
    with WireServer(silent) as server:
        error = connect(server.base_url, timeout=0.1, max_retries=1).fails(READING[call][0])
        assert isinstance(error, errors.RequestTimeoutError)
        assert len(server.requests) == (1 if call in LONG else 2)


@pytest.mark.parametrize("call", [call for call in READING if call not in LONG])
def test_a_reply_cut_off_is_asked_for_again(call: str, connect: Connect) -> None:
    ask, reply = READING[call]
    with WireServer(in_turn(cut, reply)) as server:
        connect(server.base_url, max_retries=1).do(ask)
        assert len(server.requests) == 2


@pytest.mark.parametrize("call", LONG)
def test_an_answer_cut_off_is_not_asked_for_again(call: str, connect: Connect) -> None:
    """An LLM has done its work: it is not made to do it twice."""
    with WireServer(cut) as server:
        error = connect(server.base_url).fails(READING[call][0])
        assert type(error) is errors.ConnectionFailedError
        assert error.began
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", ["get", "retrieve", "complete", "ask"])
@pytest.mark.parametrize("code", [100, 101, 102, 109, 401, 500])
def test_a_refusal_is_final(call: str, code: int, connect: Connect) -> None:
    with WireServer(envelope(code, "no")) as server:
        assert isinstance(connect(server.base_url).fails(ALL[call][0]), errors.APIError)
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", STREAMS)
def test_nothing_is_repeated_behind_the_first_byte(call: str, connect: Connect) -> None:
    first = native_delta("one ") if call == "stream" else openai_chunk("one ")
    for end in (lambda exchange: exchange.close(), lambda exchange: exchange.abort()):
        with WireServer(raw(first, end=end)) as server:
            outcome = connect(server.base_url).drain(ALL[call][0])
            assert isinstance(outcome.error, errors.StreamInterruptedError | errors.ConnectionFailedError)
            if isinstance(outcome.error, errors.StreamInterruptedError):
                assert len(server.requests) == 1


@pytest.mark.parametrize("call", ["get", "ask", "stream"])
def test_a_refused_connection_is_tried_again(call: str, connect: Connect) -> None:
    """The server is started while the client tries: nothing can have arrived, so every call may."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ask, _ = ALL[call]
    error = connect(f"http://127.0.0.1:{port}", max_retries=1).fails(ask)
    assert type(error) is errors.ConnectionFailedError
    assert not error.sent


def test_a_server_that_comes_up_is_found(connect: Connect) -> None:
    """Refused first, then there: the turn is sent once."""
    with WireServer(answered("Here."), listening=False) as server:
        late = threading.Timer(0.05, server.listen)
        late.start()
        driver = connect(server.base_url, max_retries=6)
        assert driver.do(lambda client: client.ask(**QUESTION)).text == "Here."
        late.join()
        assert len(server.requests) == 1


# -------------------------------------------------------------------------------------------------------------- the rules alone


def test_rules() -> None:
    idempotent, expensive, unsafe = (Request("GET", "/", retry=retry) for retry in ("idempotent", "expensive", "unsafe"))
    passing = errors.ServerError("x", http_status=503)
    hopeless, begun = errors.ConnectionFailedError("x", sent=False), errors.ConnectionFailedError("x")
    hopeless.retryable, begun.began = False, True
    lost, unsent_error = errors.ConnectionFailedError("x"), errors.ConnectionFailedError("x", sent=False)
    late = errors.RequestTimeoutError("x")
    table = {
        passing: (True, True, False),
        errors.ServerError("x", http_status=500): (False, False, False),
        lost: (True, True, False),
        begun: (True, False, False),
        hopeless: (False, False, False),
        unsent_error: (True, True, True),
        late: (True, False, False),
        errors.RequestTimeoutError("x", sent=False): (True, True, True),
        errors.RateLimitError("x"): (True, True, True),
        errors.NotFoundError("x"): (False, False, False),
        errors.StreamInterruptedError("x"): (False, False, False),
    }
    for error, wanted in table.items():
        assert tuple(may_repeat(request, error) for request in (idempotent, expensive, unsafe)) == wanted, error
    assert not may_repeat(idempotent, ValueError("x"))


def test_waits_grow_and_obey_the_server() -> None:
    rules = policy(Request("GET", "/", retry="idempotent"), 3)

    def wait(error: Exception, attempt: int) -> float:
        state = RetryCallState(Retrying(**rules), None, (), {})
        state.attempt_number = attempt
        state.outcome = Future(attempt)
        state.outcome.set_exception(error)
        return float(rules["wait"](state))

    limited = errors.RateLimitError("x")
    limited.retry_after = 7.5
    assert wait(limited, 1) == 7.5
    starting = errors.ServerError("x", http_status=503)
    starting.retry_after = 4
    assert wait(starting, 1) == 4
    assert 0 <= wait(errors.ServerError("x"), 1) <= 0.5
    assert 0 <= wait(errors.ServerError("x"), 20) <= 8


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "0.5"}, 0.5),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 23:00:40 GMT", "date": "Sun, 22 Nov 2026 23:00:33 GMT"}, 7),
        ({"retry-after": "Sun, 22 Nov 2026 23:00:30 GMT", "date": "Sun, 22 Nov 2026 23:00:33 GMT"}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 23:00:40 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(Reply(429, headers, b"")) == seconds


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_a_retry_after_that_is_no_time(value: str, connect: Connect) -> None:
    with WireServer(status(429, b"", ("Retry-After", value))) as server:
        error = connect(server.base_url, max_retries=0).fails(ALL["get"][0])
        assert isinstance(error, errors.RateLimitError)
        assert error.retry_after is None
