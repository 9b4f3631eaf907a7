"""Unknown objects and missing paths: every release says the same by one typed error, which names what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import errors
from ragflow_integrations.emulator.store import new_id
from tests.core.driver import CHAT, DATASET, DOCUMENT, SESSION
from tests.core.eras import unique
from tests.core.scripts import HISTORY, QUESTION, raw
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.core.driver import Call
    from tests.core.eras import Served
    from tests.support.wire import Exchange


def corpus_document(served: Served) -> str:
    documents = served.do(lambda client: client.documents.list(served.emulator.dataset_id))
    return str(documents[0].id)


# ------------------------------------------------------------------------------------------------------------ unknown objects

CALLS: dict[str, tuple[Callable[[Any, Any], Any], type[errors.NotFoundError]]] = {
    "upload": (lambda client, _: client.documents.upload("UNKNOWN", [("a.txt", b"a")]), errors.DatasetNotFoundError),
    "sessions.delete": (lambda client, _: client.sessions.delete("UNKNOWN", [SESSION]), errors.ChatNotFoundError),
    "datasets.delete": (lambda client, _: client.datasets.delete(["UNKNOWN"]), errors.DatasetNotFoundError),
    "datasets.get": (lambda client, _: client.datasets.get("UNKNOWN"), errors.DatasetNotFoundError),
    "documents.get": (lambda client, ids: client.documents.get(ids[0], "UNKNOWN"), errors.DocumentNotFoundError),
    "documents.list": (lambda client, _: client.documents.list("UNKNOWN"), errors.DatasetNotFoundError),
    "documents.delete": (lambda client, ids: client.documents.delete(ids[0], ["UNKNOWN"]), errors.DocumentNotFoundError),
    "documents.parse": (lambda client, ids: client.documents.parse(ids[0], ["UNKNOWN"]), errors.DocumentNotFoundError),
    "chunks.list": (lambda client, ids: client.chunks.list(ids[0], "UNKNOWN"), errors.DocumentNotFoundError),
    "chunks.get": (lambda client, ids: client.chunks.get(ids[0], ids[1], "UNKNOWN"), errors.ChunkNotFoundError),
    "chunks.update": (
        lambda client, ids: client.chunks.update(ids[0], ids[1], "UNKNOWN", content="x"),
        errors.ChunkNotFoundError,
    ),
    "chunks.delete": (lambda client, ids: client.chunks.delete(ids[0], ids[1], ["UNKNOWN"]), errors.ChunkNotFoundError),
    "sessions.get": (lambda client, ids: client.sessions.get(ids[2], "UNKNOWN"), errors.SessionNotFoundError),
    "sessions.update": (lambda client, ids: client.sessions.update(ids[2], "UNKNOWN", name="x"), errors.SessionNotFoundError),
    "sessions.delete in a chat": (
        lambda client, ids: client.sessions.delete(ids[2], ["UNKNOWN"]),
        errors.SessionNotFoundError,
    ),
    "ask in a session": (
        lambda client, ids: client.ask("Hello?", chat_id=ids[2], session_id="UNKNOWN"),
        errors.SessionNotFoundError,
    ),
    "stream in a session": (
        lambda client, ids: client.stream("Hello?", chat_id=ids[2], session_id="UNKNOWN"),
        errors.SessionNotFoundError,
    ),
    "chats.delete": (lambda client, _: client.chats.delete(["UNKNOWN"]), errors.ChatNotFoundError),
}


class Renamed:
    """Calls a client with an id in the place of "UNKNOWN"."""

    def __init__(self, target: Any, unknown: str) -> None:
        self._target = target
        self._unknown = unknown

    def __getattr__(self, name: str) -> Any:
        return Renamed(getattr(self._target, name), self._unknown)

    def __call__(self, *values: Any, **options: Any) -> Any:
        return self._target(*map(self._put, values), **{name: self._put(value) for name, value in options.items()})

    def _put(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._put(item) for item in value]
        return self._unknown if value == "UNKNOWN" else value


@pytest.mark.parametrize("call", CALLS)
def test_unknown_objects(served: Served, call: str) -> None:
    make, kind = CALLS[call]
    ids = (served.emulator.dataset_id, corpus_document(served), served.emulator.chat_id)
    for unknown in (new_id(), "0" * 32, "abc"):
        error = served.driver.fails(lambda client, unknown=unknown: make(Renamed(client, unknown), ids))
        assert type(error) is kind
        assert not error.retryable
        assert repr(unknown) in str(error)
        assert "''" not in str(error)


# ------------------------------------------------------------------------------------------------------------- partial deletes


def delete_known_and_unknown(served: Served, delete: Call, known: list[str], unknown: str) -> errors.NotFoundError:
    error = served.driver.fails(lambda client: delete(client, [known[0], unknown, known[1]]))
    assert isinstance(error, errors.NotFoundError)
    assert not error.retryable
    assert sorted([*error.remaining, *error.gone]) == sorted([*known, unknown])
    assert unknown in error.gone
    for key in (*known, unknown):
        assert key in str(error)
    assert ".." not in str(error)
    return error


def test_a_delete_of_known_and_unknown_documents_tells_which_remain(served: Served) -> None:
    dataset = served.do(lambda client: client.datasets.create(unique("house")))
    files = [("a.txt", b"a"), ("b.txt", b"b")]
    known = [item.id for item in served.do(lambda client: client.documents.upload(dataset.id, files))]
    error = delete_known_and_unknown(served, lambda client, ids: client.documents.delete(dataset.id, ids), known, new_id())
    assert type(error) is errors.DocumentNotFoundError
    remaining = () if served.within((0, 18, 0)) else (known[1],)
    if served.within((0, 25, 2)):
        remaining = tuple(known)  # all or none
    assert error.remaining == remaining
    listed = [item.id for item in served.do(lambda client: client.documents.list(dataset.id))]
    assert sorted(listed) == sorted(remaining)
    served.do(lambda client: client.datasets.delete([dataset.id]))


def test_a_delete_of_known_and_unknown_chunks_tells_which_remain(served: Served) -> None:
    dataset = served.do(lambda client: client.datasets.create(unique("house")))
    [document] = served.do(lambda client: client.documents.upload(dataset.id, [("a.txt", b"a")]))
    known = [served.do(lambda client, n=n: client.chunks.create(dataset.id, document.id, f"Fact {n}")).id for n in range(3)]
    delete = lambda client, ids: client.chunks.delete(dataset.id, document.id, ids)  # noqa: E731 - one call of many
    error = delete_known_and_unknown(served, delete, known[:2], "0" * 16)
    assert type(error) is errors.ChunkNotFoundError
    assert error.remaining == ()
    assert [item.id for item in served.do(lambda client: client.chunks.list(dataset.id, document.id))] == known[2:]
    served.do(lambda client: client.datasets.delete([dataset.id]))


def test_a_delete_of_known_and_unknown_sessions_tells_which_remain(served: Served) -> None:
    chat = served.emulator.chat_id
    known = [served.do(lambda client: client.sessions.create(chat)).id for _ in range(2)]
    error = delete_known_and_unknown(served, lambda client, ids: client.sessions.delete(chat, ids), known, new_id())
    assert type(error) is errors.SessionNotFoundError
    assert error.remaining == (() if served.within((0, 19, 0)) else (known[1],))


def test_a_delete_of_known_and_unknown_chats_tells_which_remain(served: Served) -> None:
    known = [
        served.do(lambda client: client.chats.create(unique("Chat"), dataset_ids=[served.emulator.dataset_id])).id
        for _ in range(2)
    ]
    error = delete_known_and_unknown(served, lambda client, ids: client.chats.delete(ids), known, new_id())
    assert type(error) is errors.ChatNotFoundError
    assert error.remaining == (() if served.within((0, 19, 0)) else (known[1],))


def test_a_delete_of_known_and_unknown_datasets_tells_which_remain(served: Served) -> None:
    known = [served.do(lambda client: client.datasets.create(unique("house"))).id for _ in range(2)]
    error = delete_known_and_unknown(served, lambda client, ids: client.datasets.delete(ids), known, new_id())
    assert type(error) is errors.DatasetNotFoundError
    assert error.remaining == (tuple(known) if served.within((0, 19, 0)) else ())
    if error.remaining:
        served.do(lambda client: client.datasets.delete(known))


def test_a_count_below_the_number_of_ids_is_a_partial_delete(connect: Connect) -> None:
    def reply(exchange: Exchange) -> None:
        listed = {"docs": [{"id": "a"}], "total": 1}
        exchange.reply(json={"code": 0, "data": {"deleted": 1} if exchange.method == "DELETE" else listed})

    with WireServer(reply) as server:
        error = connect(server.base_url).fails(lambda client: client.documents.delete(DATASET, ["a", "b"]))
    assert type(error) is errors.DocumentNotFoundError
    assert (error.remaining, error.gone) == (("a",), ("b",))
    assert "Still there: a. Not there: b." in str(error)


def test_a_delete_says_when_what_remains_cannot_be_looked_up(connect: Connect) -> None:
    def reply(exchange: Exchange) -> None:
        if exchange.method == "DELETE":
            exchange.reply(json={"code": 102, "message": "Documents not found: ['b']"})
        else:
            exchange.reply(502)

    with WireServer(reply) as server:
        driver = connect(server.base_url, max_retries=0)
        error = driver.fails(lambda client: client.documents.delete(DATASET, ["a", "b"]))
    assert type(error) is errors.DocumentNotFoundError
    assert "could not be looked up" in str(error)


def test_many_ids_are_not_all_named(connect: Connect) -> None:
    with WireServer(lambda exchange: exchange.reply(json={"code": 500, "message": "x"})) as server:
        driver = connect(server.base_url, max_retries=0)
        error = driver.fails(lambda client: client.datasets.delete([f"id{number}" for number in range(500)]))
    assert "id9 and 490 more" in str(error)


# --------------------------------------------------------------------------------------------------------------- missing paths

NO_PATH: dict[str, tuple[int, dict[str, Any]]] = {
    "0.22.1": (200, {"code": 100, "data": None, "message": "<NotFound '404: Not Found'>"}),
    "0.23.1": (404, {"error": "Not Found", "message": "The requested URL /api/v1/documents was not found"}),
    "0.24.0": (404, {"code": 404, "data": None, "error": "Not Found", "message": "Not Found: /api/v1/chunks"}),
    "a wrong method": (200, {"code": 100, "data": None, "message": "<MethodNotAllowed '405: Method Not Allowed'>"}),
}
ASKED: dict[str, Call] = {
    "server": lambda client: client.server(),
    "health": lambda client: client.health(),
    "chats.get": lambda client: client.chats.get(CHAT),
    "chunks.update": lambda client: client.chunks.update(DATASET, DOCUMENT, "c", content="x"),
    "documents.download": lambda client: client.documents.download(DATASET, DOCUMENT),
    "ask": lambda client: client.ask(**QUESTION),
    "stream": lambda client: client.stream(**QUESTION),
    "complete": lambda client: client.complete(**HISTORY),
    "stream_complete": lambda client: client.stream_complete(**HISTORY),
    "retrieve": lambda client: client.retrieve("x", dataset_ids=[DATASET]),
}


@pytest.mark.parametrize("call", ASKED)
@pytest.mark.parametrize("release", NO_PATH)
def test_a_missing_path_is_a_public_error(release: str, call: str, connect: Connect) -> None:
    status, body = NO_PATH[release]
    with WireServer(lambda exchange: exchange.reply(status, json=body), version=None) as server:
        error = connect(server.base_url, max_retries=0).fails(ASKED[call])
    assert type(error) is errors.ProtocolError
    assert not error.retryable
    assert "the path of `base_url` is wrong" in str(error)


def test_the_server_is_unknown_by_a_wrong_path(served: Served, connect: Connect) -> None:
    driver = connect(f"{served.emulator.base_url}/foo", served.emulator.api_key)
    error = driver.fails(lambda client: client.server())
    assert type(error) is errors.ProtocolError
    assert "the path of `base_url` is wrong" in str(error)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Chunk not found: d/c", errors.ChunkNotFoundError),
        ("Document not found!", errors.DocumentNotFoundError),
        ("File not found!", errors.ChunkNotFoundError),  # names nothing the client knows: the object of the request
    ],
)
def test_code_404_with_an_object_is_no_missing_path(message: str, kind: type[errors.NotFoundError], connect: Connect) -> None:
    with WireServer(lambda exchange: exchange.reply(json={"code": 404, "message": message})) as server:
        error = connect(server.base_url).fails(lambda client: client.chunks.update(DATASET, DOCUMENT, "c", content="x"))
    assert type(error) is kind
    assert error.code == 404


# ---------------------------------------------------------------------------------------------------- what can never pass

NEVER = {
    "KeyError('Miss parameter: style')": errors.InvalidRequestError,
    "LookupError('Provider  not found for model nope.')": errors.ModelUnavailableError,
    'LookupError("Embedding model(x) not found")': errors.ModelUnavailableError,
    "LookupError('Type of rerank model is not set.')": errors.ModelUnavailableError,
    "LookupError('No default chat model for tenant.')": errors.ModelUnavailableError,
}


@pytest.mark.parametrize("message", NEVER)
def test_exceptions_that_come_again_are_not_retryable(message: str, connect: Connect) -> None:
    with WireServer(lambda exchange: exchange.reply(json={"code": 100, "data": None, "message": message})) as server:
        error = connect(server.base_url).fails(lambda client: client.ask(**QUESTION))
    assert type(error) is NEVER[message]
    assert not error.retryable


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("'Miss parameter: style'", errors.InvalidRequestError),
        ("Provider name is required.", errors.ModelUnavailableError),
        ("Model nope not found.", errors.ModelUnavailableError),
    ],
)
def test_exceptions_within_a_stream_that_come_again(message: str, kind: type[errors.APIError], connect: Connect) -> None:
    event = {"code": 500, "message": message, "data": {"answer": f"**ERROR**: {message}", "reference": []}}
    with WireServer(raw(b"data:" + json.dumps(event).encode() + b"\n\n")) as server:
        error = connect(server.base_url).drain(ASKED["stream"]).error
    assert type(error) is kind
    assert not error.retryable
