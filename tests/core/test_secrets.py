"""The API key is in the header of requests and in pickled clients, and nowhere else."""

from __future__ import annotations

import logging
import pickle
import socket
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, RAGFlowError, Timeout, errors
from tests.core.driver import CHAT, KEY, SESSION
from tests.core.scripts import HISTORY, QUESTION, answered, envelope, raw, said, status
from tests.support.sse import native_delta, native_error, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange

SECRET = KEY.removeprefix("ragflow-")


def silent(exchange: Exchange) -> None:
    exchange.wait_closed()
    exchange.close()


def reset(exchange: Exchange) -> None:
    exchange.abort()


def cut(exchange: Exchange) -> None:
    exchange.start_stream()
    exchange.send(native_delta("one "))
    exchange.close()


def half(exchange: Exchange) -> None:
    exchange.start_stream(headers=[("content-type", "application/json")], framing="length", length=100)
    exchange.send(b'{"code": 0')
    exchange.close()


CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.sessions.get(CHAT, SESSION),
    "upload": lambda client: client.documents.upload(CHAT, [("a.txt", b"a")]),
    "download": lambda client: client.documents.download(CHAT, SESSION),
    "ask": lambda client: client.ask(**QUESTION),
    "complete": lambda client: client.complete(**HISTORY),
    "stream": lambda client: client.stream(**QUESTION),
}
FAILURES: dict[str, Callable[[Exchange], None]] = {
    "401": envelope(401, "<Unauthorized>"),
    "wrong key": envelope(109, "Authentication error: API key is invalid!", data=False),
    "unknown": envelope(102, "You don't own the chat x"),
    "502": status(502),
    "redirect": status(302, b"", ("Location", "http://127.0.0.1:9/")),
    "silent": silent,
    "reset": reset,
    "half a reply": half,
    "cut stream": cut,
    "garbage": raw(b"data:{not json}\n\n"),
    "LLM error": raw(native_delta("**ERROR**: AUTH_ERROR - no"), terminator()),
    "event 500": raw(native_error("gone"), terminator()),
}


def everything_shown(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format()) + repr(error) + str(error) + repr(error.__dict__) + repr(pickle.dumps(error))


def fail(driver: Any, name: str) -> RAGFlowError:
    try:
        if name == "stream":
            outcome = driver.drain(CALLS[name])
            if outcome.error is not None:
                raise outcome.error
        else:
            driver.do(CALLS[name])
    except RAGFlowError as error:
        return error
    raise AssertionError("no error")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_shows_the_key(failure: str, name: str, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for logger in logging.root.manager.loggerDict:
        logging.getLogger(logger).setLevel(logging.DEBUG)
    if name == "download" and failure in ("garbage", "LLM error", "event 500"):
        return  # a file may hold anything
    with WireServer(FAILURES[failure]) as server:
        driver = connect(server.base_url, max_retries=0, timeout=0.2)
        error = fail(driver, name)
        assert SECRET not in everything_shown(error)
        assert SECRET not in caplog.text
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        driver.shut()


@pytest.mark.parametrize("name", CALLS)
def test_a_refused_connection_does_not_show_the_key(name: str, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = connect(address, max_retries=0).fails(CALLS[name])
    assert isinstance(error, errors.ConnectionFailedError)
    assert SECRET not in everything_shown(error)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", [RAGFlowClient, AsyncRAGFlowClient])
def test_a_client_does_not_show_the_key(kind: Any) -> None:
    client = kind("http://localhost:9380", SecretStr(KEY))
    shown = repr(client) + str(client) + repr(vars(client)) + repr(client._settings) + str(client._settings)
    assert SECRET not in shown
    assert "http://localhost:9380" in repr(client)
    assert client.timeout == Timeout()


@pytest.mark.parametrize("kind", [RAGFlowClient, AsyncRAGFlowClient])
@pytest.mark.parametrize("key", [f"{KEY} {KEY}", f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY}ü", "", "  ", 5, b"ragflow-bytes"])
def test_a_malformed_key_is_refused_and_not_shown(kind: Any, key: Any) -> None:
    if isinstance(key, str) and key.strip() == KEY:
        assert kind("http://h", key)._settings.authorization == f"Bearer {KEY}"
        return
    with pytest.raises(errors.InvalidArgumentError) as caught:
        kind("http://h", key)
    assert caught.value.argument == "api_key"
    assert SECRET not in str(caught.value)


def test_netrc_does_not_replace_the_key(connect: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with WireServer(said([])) as server:
        driver = connect(server.base_url)
        driver.do(lambda client: client.chats.list())
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_with_its_bearer_is_taken(connect: Connect) -> None:
    with WireServer(answered()) as server:
        driver = connect(server.base_url, f"Bearer {KEY}")
        driver.do(CALLS["complete"])
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
