"""A server, perhaps not RAGFlow at all, that sends the request's headers back: its words are shown without the key."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import errors
from tests.core.driver import CHAT, KEY
from tests.core.scripts import HISTORY, QUESTION, in_turn, raw, status
from tests.support.sse import native_delta, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange, Script

#: Part of the key: half of it is too much.
SECRET = "s3cr3tKEY"
ECHO = f"Authorization: Bearer {KEY}"


def body(content: object, code: int = 200, *headers: tuple[str, str]) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.reply(code, headers, json=content)

    return script


def no_http(exchange: Exchange) -> None:
    exchange.raw(f"{ECHO} is no HTTP\r\n\r\n".encode())


ECHOES: dict[str, Script] = {
    "message": body({"code": 102, "message": f"no such thing; {ECHO}"}),
    "wrong key": body({"code": 109, "message": f"API key is invalid! {KEY}"}),
    "detail": body({"detail": ECHO}, 401),
    "headers as JSON": body({"code": 100, "message": json.dumps({"headers": {"Authorization": f"Bearer {KEY}"}})}),
    "reply header": body({"code": 102, "message": "no"}, 400, ("X-Request-Id", KEY), ("X-Echo", ECHO)),
    "web page": status(500, f"<html><title>{ECHO}</title>{ECHO}</html>".encode()),
    "web page of success": status(200, f"<html><title>{ECHO}</title></html>".encode()),
    "text": status(400, ECHO.encode()),
    "text of success": status(200, ECHO.encode()),
    "location": status(302, b"", ("Location", f"http://elsewhere/?token={KEY}")),
    "malformed JSON": status(200, f'{{"a": "{KEY}" "{KEY}"'.encode()),
    "message that is cut": body({"code": 102, "message": "x" * 275 + ECHO}),
    "page that is cut": status(500, b"x" * 4080 + ECHO.encode()),
    "no HTTP": no_http,
    "event": raw(f"data:{json.dumps({'code': 500, 'message': ECHO})}\n\n".encode(), terminator()),
    "LLM's error": raw(native_delta(f"**ERROR**: AUTH_ERROR - {ECHO}"), terminator()),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "list": lambda client: client.sessions.list(CHAT),
    "download": lambda client: client.documents.download(CHAT, CHAT),
    "ask": lambda client: client.ask(**QUESTION),
    "complete": lambda client: client.complete(**HISTORY),
    "stream": lambda client: client.stream(**QUESTION),
}
#: What the call takes for what was asked for, and gives.
GOOD = {("text of success", "download"), ("malformed JSON", "download")} | {
    (echo, "download") for echo in ("web page of success", "event", "LLM's error")
}


def shown(error: BaseException) -> str:
    parts = [
        "".join(traceback.format_exception(error)),
        repr(error),
        repr(vars(error)),
    ]
    parts.append(pickle.dumps(error).decode("latin-1"))
    response = getattr(error, "response", None)
    return "".join([*parts, repr(response), str(getattr(response, "text", ""))])


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("echo", ECHOES)
def test_an_echoed_key_is_masked(echo: str, name: str, connect: Connect) -> None:
    if (echo, name) in GOOD:
        return
    with WireServer(ECHOES[echo]) as server:
        error = connect(server.base_url, max_retries=0).drain(CALLS[name]).error
    assert error is not None
    assert SECRET not in shown(error)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_rest_is_left_as_it_was(connect: Connect) -> None:
    with WireServer(ECHOES["message"]) as server:
        error = connect(server.base_url).fails(CALLS["list"])
    assert isinstance(error, errors.APIError)
    assert error.message == "no such thing; Authorization: Bearer ***"
    assert error.response is not None
    assert error.response.json() == {"code": 102, "message": error.message}


def test_a_key_that_is_a_word_is_no_secret(connect: Connect) -> None:
    with WireServer(body({"code": 102, "message": "a thing"})) as server:
        error = connect(server.base_url, "a").fails(CALLS["list"])
    assert "a thing" in str(error)


def test_what_a_retry_finds_is_masked_too(connect: Connect) -> None:
    busy = status(429, ECHO.encode(), ("Retry-After", "0"))
    with WireServer(in_turn(busy, ECHOES["message"])) as server:
        assert SECRET not in shown(connect(server.base_url).fails(CALLS["list"]))
