"""What goes wrong is told by one typed error, whose text says what to do."""

from __future__ import annotations

import copy
import pickle
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import errors
from ragflow_integrations._protocol.compat.error_table import ERROR_TABLE
from tests.core.driver import AGENT, CHAT, DATASET, SESSION
from tests.core.scripts import HISTORY, QUESTION, said
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange


#: HTTP status, code, message → error, and a word of the remedy: one for each row of the table.
SAID: list[tuple[int, int | None, str, type[errors.APIError], str]] = [
    (401, 401, "<Unauthorized '401: Unauthorized'>", errors.AuthenticationError, "RAGFLOW_API_KEY"),
    (200, 401, "<Unauthorized '401: Unauthorized'>", errors.AuthenticationError, "RAGFLOW_API_KEY"),
    (200, 109, "Authentication error: API key is invalid!", errors.AuthenticationError, "RAGFLOW_API_KEY"),
    (200, 0, "`Authorization` can't be empty", errors.AuthenticationError, "RAGFLOW_API_KEY"),
    (403, None, "Forbidden", errors.PermissionDeniedError, "owner"),
    (200, 403, "Forbidden", errors.PermissionDeniedError, "owner"),
    (429, None, "slow down", errors.RateLimitError, "Wait"),
    (413, None, "Request Entity Too Large", errors.InvalidRequestError, "larger than the proxy allows"),
    (500, None, "Internal Server Error", errors.ServerError, "server's log"),
    (200, 100, "KeyError('Miss parameter: style')", errors.InvalidRequestError, "variables"),
    (200, 500, "a.xyz: This type of file has not been supported yet!", errors.InvalidRequestError, "extension"),
    (200, 100, "LookupError('Provider  not found for model nope.')", errors.ModelUnavailableError, "Model providers"),
    (200, 500, "database is gone", errors.ServerError, "later"),
    (200, 102, 'Datasets use different embedding models."', errors.EmbeddingModelMismatchError, "one embedding model"),
    (200, 102, "You don't own the session x", errors.SessionNotFoundError, "Create a session"),
    (200, 102, "The datasets don't own the document x", errors.DocumentNotFoundError, "ids of the documents"),
    (200, 102, "Can't find this chunk x", errors.ChunkNotFoundError, "ids of the chunks"),
    (200, 102, "You don't own the dataset x.", errors.DatasetNotFoundError, "owner"),
    (200, 101, "Field: <id> - Message: <Invalid UUID1 format>", errors.DatasetNotFoundError, "owner"),
    (200, 102, "You don't own the chat x", errors.ChatNotFoundError, "owner"),
    (200, 102, "canvas not found.", errors.AgentNotFoundError, "owner"),
    (200, 103, "Dataset name 'x' already exists", errors.InvalidRequestError, "another name"),
    (200, 103, "Only owner of canvas authorized", errors.AgentNotFoundError, "owner"),
    (200, 109, "no authorization", errors.ChatNotFoundError, "owner"),
    (200, 102, "`llm_id` nope doesn't exist", errors.ModelUnavailableError, "Model providers"),
    (200, 404, "Memory x not found.", errors.ChatNotFoundError, "owner"),
    (200, 108, "User 'T' lacks permission", errors.PermissionDeniedError, "owner"),
    (200, 105, "the document engine does not answer", errors.ServerError, "later"),
    (200, 100, "<BadRequest '400: Bad Request'>", errors.InvalidRequestError, "arguments"),
    (200, 100, "KeyError('x')", errors.ServerError, "log"),
    (200, 102, "`name` is required.", errors.InvalidRequestError, "arguments"),
    (422, None, "Unprocessable", errors.InvalidRequestError, "arguments"),
    (200, 999, "never seen", errors.APIError, "log"),
]

CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.sessions.get(CHAT, SESSION),
    "create": lambda client: client.sessions.create(CHAT),
    "ask": lambda client: client.ask(**QUESTION),
    "complete": lambda client: client.complete(**HISTORY),
    "stream": lambda client: client.stream(**QUESTION),
    "stream_complete": lambda client: client.stream_complete(**HISTORY),
}


def test_every_row_of_the_table_is_tried() -> None:
    rows = [next(row for row in ERROR_TABLE if row.matches(*said[:3])) for said in SAID]
    assert rows == list(ERROR_TABLE)


@pytest.mark.parametrize("call", ["get", "ask", "stream_complete"])
@pytest.mark.parametrize("row", SAID, ids=lambda row: f"{row[0]}-{row[1]}-{row[2][:24]}")
def test_refusal(row: tuple[int, int | None, str, type[errors.APIError], str], call: str, connect: Connect) -> None:
    status, code, message, kind, remedy = row
    body: dict[str, Any] = {"message": message, "data": False}
    if code is not None:
        body["code"] = code

    def refuse(exchange: Exchange) -> None:
        exchange.reply(status, [("X-Request-Id", "r-1")], json=body)

    with WireServer(refuse) as server:
        driver = connect(server.base_url, max_retries=0)
        error = driver.fails(CALLS[call])
        assert type(error) is kind
        assert isinstance(error, errors.APIError)
        assert (error.http_status, error.code, error.message, error.request_id) == (status, code, message, "r-1")
        assert error.response is not None
        assert error.response.status_code == status
        assert error.response.json() == body
        assert error.response.headers["x-request-id"] == "r-1"
        text = str(error)
        assert message in text
        assert remedy in text
        assert "POST /" in text or "GET /" in text
        assert CHAT in text
        assert copy.deepcopy(error).response == error.response


# --------------------------------------------------------------------------------------------------------- not RAGFlow at all


def page(status: int, body: bytes, kind: str = "text/html") -> Callable[[Exchange], None]:
    return lambda exchange: exchange.reply(status, [("content-type", kind)], body)


HTML = b"<!DOCTYPE html><html><head><title>Welcome &amp; nginx</title></head></html>"
NOT_RAGFLOW: dict[str, tuple[Callable[[Exchange], None], type[errors.RAGFlowError], str]] = {
    "a page": (page(200, HTML), errors.ProtocolError, "base_url"),
    "502": (page(502, HTML), errors.ServerError, "later"),
    "503 without a body": (page(503, b""), errors.ServerError, "later"),
    "504 in words": (page(504, b"upstream timed out", "text/plain"), errors.ServerError, "upstream timed out"),
    "404 page": (page(404, HTML), errors.ProtocolError, "base_url"),
    "405": (page(405, HTML), errors.ProtocolError, "base_url"),
    "403 page": (page(403, HTML), errors.PermissionDeniedError, "owner"),
    "nothing": (page(200, b""), errors.RAGFlowError, ""),
    "words": (page(200, b"hello", "text/plain"), errors.ProtocolError, "RAGFlow"),
    "other JSON": (page(200, b'{"hello": "world"}', "application/json"), errors.ProtocolError, "another service"),
    "a JSON list": (page(200, b"[1, 2]", "application/json"), errors.ProtocolError, "not"),
    "half of JSON": (page(200, b'{"code": 0, "data": ', "application/json"), errors.ProtocolError, "malformed"),
    "binary": (page(200, b"{\xff\xfe", "application/json"), errors.ProtocolError, "malformed"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("reply", NOT_RAGFLOW)
def test_a_reply_that_is_not_ragflows(reply: str, call: str, connect: Connect) -> None:
    script, kind, remedy = NOT_RAGFLOW[reply]
    with WireServer(script) as server:
        driver = connect(server.base_url, max_retries=0)
        error = driver.drain(CALLS[call]).error if "stream" in call else driver.fails(CALLS[call])
        assert isinstance(error, kind)
        assert remedy in str(error)
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int, call: str, connect: Connect) -> None:
    with WireServer(said([])) as elsewhere:
        target = f"{elsewhere.base_url}/api/v1/chats"
        with WireServer(lambda exchange: exchange.reply(status, [("Location", target)])) as server:
            driver = connect(server.base_url, max_retries=0)
            error = driver.fails(CALLS[call])
        assert type(error) is errors.ProtocolError
        assert target in str(error)
        assert "base_url" in str(error)
        assert elsewhere.requests == []


@pytest.mark.parametrize("call", CALLS)
def test_a_reply_that_is_no_http(call: str, connect: Connect) -> None:
    def talk(exchange: Exchange) -> None:
        exchange.raw(b"x" * 10_000 + b"\r\n\r\n")

    with WireServer(talk) as server:
        error = connect(server.base_url, max_retries=0).fails(CALLS[call])
        assert type(error) is errors.ConnectionFailedError
        assert error.sent
        assert len(str(error)) < 1000


@pytest.mark.parametrize("call", CALLS)
def test_a_refused_connection(call: str, connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = connect(address, max_retries=0).fails(CALLS[call])
    assert type(error) is errors.ConnectionFailedError
    assert not error.sent
    assert address in str(error)
    assert "`base_url`" in str(error)


def test_an_unknown_host(connect: Connect) -> None:
    error = connect("http://nowhere.invalid", max_retries=0).fails(CALLS["ask"])
    assert type(error) is errors.ConnectionFailedError
    assert "http://nowhere.invalid" in str(error)
    assert not error.sent


def test_tls_to_a_server_without_it(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server = threading.Thread(target=greet)
        server.start()
        error = connect(f"https://127.0.0.1:{listener.getsockname()[1]}", max_retries=0).fails(CALLS["get"])
        server.join()
    assert isinstance(error, errors.ConnectionFailedError)
    assert "TLS" in str(error)
    assert "http://" in str(error)


@pytest.mark.parametrize("path", ["", "/", "/api/v1", "/api/v1/", "/v1"])
def test_base_urls_are_taken_as_they_come(path: str, connect: Connect) -> None:
    with WireServer(said([])) as server:
        driver = connect(f" {server.base_url}{path} ")
        assert driver.client.base_url == server.base_url
        driver.do(lambda client: client.chats.list())
        assert server.requests[0].path.startswith("/api/v1/chats?")


def test_a_path_in_front_of_the_api_is_kept(connect: Connect) -> None:
    with WireServer(said([])) as server:
        driver = connect(f"{server.base_url}/ragflow/")
        driver.do(lambda client: client.chats.list())
        assert server.requests[0].path.startswith("/ragflow/api/v1/chats?")


# ------------------------------------------------------------------------------------------------------------ unknown objects

UNKNOWN: dict[str, tuple[Callable[[Any], Any], type[errors.NotFoundError], str]] = {
    "chat": (lambda client: client.chats.get("nope"), errors.ChatNotFoundError, "client.chats.list()"),
    "chat by name": (lambda client: client.chats.find("nope"), errors.ChatNotFoundError, "client.chats.list()"),
    "session": (lambda client: client.sessions.get(CHAT, "nope"), errors.SessionNotFoundError, "client.sessions.list("),
    "dataset": (lambda client: client.datasets.get("nope"), errors.DatasetNotFoundError, "client.datasets.list()"),
    "dataset by name": (lambda client: client.datasets.find("nope"), errors.DatasetNotFoundError, "client.datasets.list()"),
    "document": (
        lambda client: client.documents.get(DATASET, "nope"),
        errors.DocumentNotFoundError,
        "client.documents.list(",
    ),
    "agent": (lambda client: client.agents.get("nope"), errors.AgentNotFoundError, "client.agents.list()"),
    "agent by title": (lambda client: client.agents.find("nope"), errors.AgentNotFoundError, "client.agents.list()"),
    "agent's session": (
        lambda client: client.agents.get_session(AGENT, "nope"),
        errors.SessionNotFoundError,
        "client.agents.list_sessions(",
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_listed_does_not_exist(what: str, connect: Connect) -> None:
    call, kind, where = UNKNOWN[what]
    others = [{"id": "other", "name": "other", "title": "other"}]
    for listed in ([], [] if what in ("chat", "dataset", "document") else others):
        with WireServer(said(listed)) as server:
            error = connect(server.base_url).fails(call)
            assert type(error) is kind
            assert "'nope'" in str(error)
            assert where in str(error)


# ------------------------------------------------------------------------------------------------------- errors as Python objects  # noqa: E501 - one row of a table


def made() -> list[errors.RAGFlowError]:
    response = errors.ErrorResponse(500, {"a": "b"}, '{"code": 1}')
    given: dict[type, errors.RAGFlowError] = {
        errors.InvalidArgumentError: errors.InvalidArgumentError("name", "must not be empty"),
        errors.ConnectionFailedError: errors.ConnectionFailedError("text", sent=False),
        errors.RequestTimeoutError: errors.RequestTimeoutError("text", sent=True),
        errors.GenerationError: errors.GenerationError("text", kind="AUTH_ERROR", detail="d", partial="so far"),
        errors.StreamInterruptedError: errors.StreamInterruptedError("text", partial="so far"),
    }
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not issubclass(kind, Exception) or kind in given:
            continue
        if issubclass(kind, errors.APIError):
            given[kind] = kind("text", code=1, http_status=500, message="m", response=response, request_id="r")
        else:
            given[kind] = kind("text")
    limited, failed = given[errors.RateLimitError], given[errors.ServerError]
    assert isinstance(limited, errors.RateLimitError)
    assert isinstance(failed, errors.ServerError)
    limited.retry_after, failed.partial = 2.5, "so far"
    return list(given.values())


@pytest.mark.parametrize("error", made(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301 - our own bytes
def test_errors_survive(error: errors.RAGFlowError, again: Callable[[Any], Any]) -> None:
    error.add_note("while testing")
    twin = again(error)
    assert type(twin) is type(error)
    assert twin is not error
    assert twin.args == error.args
    assert twin.__dict__ == error.__dict__
    assert str(twin) == str(error)
    assert twin.retryable is error.retryable


def test_what_may_pass_is_retryable() -> None:
    assert errors.GenerationError("x", kind="RATE_LIMIT_EXCEEDED").retryable
    assert errors.GenerationError("x").retryable
    assert not errors.GenerationError("x", kind="AUTH_ERROR").retryable
    assert errors.ServerError("x").retryable
    assert not errors.AuthenticationError("x").retryable
    assert errors.ConnectionFailedError("x").retryable
    assert not errors.InvalidArgumentError("a", "b").retryable


def test_an_invalid_argument_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="`a` is wrong") as caught:
        raise errors.InvalidArgumentError("a", "is wrong")
    assert isinstance(caught.value, errors.InvalidArgumentError)
    assert caught.value.argument == "a"
