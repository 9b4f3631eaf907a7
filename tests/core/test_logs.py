"""What the logger `ragflow_integrations` tells: requests at DEBUG, retries and findings at INFO, never what was said."""

from __future__ import annotations

import gc
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import errors
from tests.core.driver import CHAT, KEY, SESSION
from tests.core.scripts import HISTORY, QUESTION, Held, answered, chat_server, envelope, in_turn, raw, said, status
from tests.support.sse import native_delta, native_error, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.core.driver import Driver
    from tests.support.wire import Script

LOGGER = logging.getLogger("ragflow_integrations")
COMPLETIONS = f"/api/v1/chats/{CHAT}/completions"


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.DEBUG) -> list[str]:
    """Our lines, without the seconds; those of other libraries are left out."""
    return [
        re.sub(r"\d+\.\d+ s$", "… s", record.getMessage())
        for record in caplog.records
        if record.name == "ragflow_integrations" and record.levelno == level
    ]


def test_a_request_is_one_line(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    with WireServer(in_turn(answered(), said([]), envelope(102, "You don't own the chat x"), status(404))) as server:
        driver = connect(server.base_url, max_retries=0)
        driver.do(lambda client: client.complete(**HISTORY))
        driver.do(lambda client: client.datasets.list(name="my secret plan"))
        driver.fails(lambda client: client.datasets.update(CHAT, name="x"))
        driver.fails(lambda client: client.datasets.update(CHAT, name="x"))
    root = f"{server.base_url}/api/v1"
    assert lines(caplog) == [
        f"POST {root}/chats_openai/{CHAT}/chat/completions: 200 in … s",
        f"GET {root}/datasets: 200 in … s",
        f"PUT {root}/datasets/{CHAT}: 200 ChatNotFoundError in … s",
        f"PUT {root}/datasets/{CHAT}: 404 ProtocolError in … s",
    ]


def test_a_request_without_a_reply_is_one_line(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    with WireServer(lambda exchange: exchange.abort()) as server:
        connect(server.base_url, max_retries=0).fails(lambda client: client.chats.list())
    assert lines(caplog) == [f"GET {server.base_url}/api/v1/chats: no reply ConnectionFailedError in … s"]


def test_a_stream_is_one_line_when_it_ends(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    deltas = [native_delta(word) for word in ("one ", "two ", "three")]
    with WireServer(chat_server(raw(*deltas, terminator()))) as server:
        driver = connect(server.base_url)
        stream = driver.open(lambda client: client.stream(**QUESTION))
        assert driver.next(stream) is not None
        while driver.next(stream) is not None:
            pass
    assert lines(caplog) == [f"POST {server.base_url}{COMPLETIONS}: 200 in … s"]


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (raw(native_delta("one "), native_error("gone"), terminator()), "200 ServerError"),
        (raw(native_delta("**ERROR**: AUTH_ERROR - no"), terminator()), "200 GenerationError"),
        (raw(native_delta("one "), end=lambda exchange: exchange.close()), "200 StreamInterruptedError"),
        (envelope(102, "You don't own the chat x"), "200 ChatNotFoundError"),
    ],
)
def test_a_stream_that_fails_is_one_line(
    script: Script, outcome: str, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    with WireServer(chat_server(script)) as server:
        driver = connect(server.base_url, max_retries=0)
        assert driver.drain(lambda client: client.stream(**QUESTION)).error is not None
    assert lines(caplog) == [f"POST {server.base_url}{COMPLETIONS}: {outcome} in … s"]


def close(driver: Driver, streams: list[Any]) -> None:
    driver.close(streams.pop())


def drop(driver: Driver, streams: list[Any]) -> None:
    streams.clear()
    gc.collect()
    driver.shut()


@pytest.mark.parametrize("leave", [close, drop])
def test_a_stream_that_is_left_is_one_line(
    leave: Callable[[Driver, list[Any]], None], connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    held = Held()
    with WireServer(chat_server(held)) as server:
        driver = connect(server.base_url)
        streams = [driver.open(lambda client: client.stream(**QUESTION))]
        assert driver.next(streams[0]) is not None
        assert lines(caplog) == []
        leave(driver, streams)
        assert held.was_closed()
    assert lines(caplog) == [f"POST {server.base_url}{COMPLETIONS}: 200 in … s"]


def test_a_retry_says_why_and_when(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    busy = status(429, b"", ("Retry-After", "0.01"))
    with WireServer(in_turn(busy, lambda exchange: exchange.abort(), said({"id": CHAT, "name": "c"}))) as server:
        connect(server.base_url).do(lambda client: client.health())
    assert lines(caplog, logging.INFO) == [
        "GET /system/healthz failed (RateLimitError, HTTP 429); retry 1 of 2 in … s",
        "GET /system/healthz failed (ConnectionFailedError); retry 2 of 2 in … s",
    ]


def test_findings_are_told_once(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    upgraded = in_turn(said([]), said([]), said({"chats": []}))
    with WireServer(upgraded) as server:
        driver = connect(server.base_url)
        for _ in range(3):
            driver.do(lambda client: client.chats.list())
    assert lines(caplog, logging.INFO) == [
        f"{server.base_url} is RAGFlow 0.24.x or older",
        f"{server.base_url} is RAGFlow 0.24.x or older no more",
        f"{server.base_url} is RAGFlow 0.25.0 or newer",
    ]


def test_what_a_server_says_of_itself_forges_no_line(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    with WireServer(said("v0.27.0\n\x1b[31mWARNING forged")) as server:
        driver = connect(server.base_url)
        driver.do(lambda client: client.server())
        driver.do(lambda client: client.server())
    assert lines(caplog, logging.INFO) == [f"{server.base_url} is RAGFlow 0.27.0"]


def test_nothing_said_is_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    question = {"question": "my-question", "chat_id": CHAT, "session_id": SESSION}
    with WireServer(chat_server(answered("its-answer"))) as server:
        driver = connect(server.base_url)
        driver.do(lambda client: client.ask(**question))
        driver.drain(lambda client: client.stream(**question))
        driver.do(lambda client: client.complete([{"role": "user", "content": "my-question"}], chat_id=CHAT))
    refused = in_turn(status(503, b"its-answer\nforged"), envelope(102, "its-answer\nforged"))
    with WireServer(refused) as server:
        connect(server.base_url, max_retries=1).fails(
            lambda client: client.retrieve("my-question", dataset_ids=["d\r\nforged"])
        )
    said_ours = "\n".join(lines(caplog) + lines(caplog, logging.INFO))
    assert said_ours.count("POST") == 6
    for secret in ("my-question", "its-answer", "forged", KEY):
        assert secret not in said_ours
    assert all(record.levelno < logging.WARNING for record in caplog.records if record.name == LOGGER.name)


def test_ids_cannot_write_lines(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    with WireServer(in_turn(status(503), said([]))) as server:
        driver = connect(server.base_url, max_retries=1)
        driver.fails(lambda client: client.sessions.get("a\r\nforged\x1b[31m", "b"))
    shown = lines(caplog) + lines(caplog, logging.INFO)
    assert len(shown) >= 3
    assert all(line.isprintable() for line in shown)


def test_unasked_nothing_is_printed(connect: Connect, capfd: pytest.CaptureFixture[str]) -> None:
    with WireServer(in_turn(status(503), said([]), envelope(401, "no"))) as server:
        driver = connect(server.base_url, max_retries=1)
        driver.do(lambda client: client.datasets.list())
        assert isinstance(driver.fails(lambda client: client.datasets.list()), errors.AuthenticationError)
    assert capfd.readouterr() == ("", "")
