"""A reply is believed because it says what was asked for: ids, names, counts and files are held against the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    ChatNotFoundError,
    ChunkNotFoundError,
    DatasetNotFoundError,
    DocumentNotFoundError,
    NotFoundError,
    ProtocolError,
    SessionNotFoundError,
    UnsupportedByServerError,
)
from tests.core.driver import CHAT, DATASET, DOCUMENT, SESSION
from tests.core.eras import QUESTION, Served, unique
from tests.core.scripts import envelope, said, status
from tests.support.wire import WireServer, replay_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange

OTHER = {"id": "another", "name": "Another", "messages": [], "content": "x"}
GOOD = ("good.txt", b"A good file.\n")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda c: c.chats.get(CHAT), ChatNotFoundError),
        (lambda c: c.chats.find("Wanted"), ChatNotFoundError),
        (lambda c: c.sessions.get(CHAT, SESSION), SessionNotFoundError),
        (lambda c: c.datasets.get(DATASET), DatasetNotFoundError),
        (lambda c: c.datasets.find("Wanted"), DatasetNotFoundError),
        (lambda c: c.documents.get(DATASET, DOCUMENT), DocumentNotFoundError),
        (lambda c: c.chunks.get(DATASET, DOCUMENT, "wanted"), ChunkNotFoundError),
        (lambda c: c.agents.get_session("agent", SESSION), SessionNotFoundError),
    ],
)
@pytest.mark.parametrize("data", [[OTHER], {"chats": [OTHER], "docs": [OTHER], "chunks": [OTHER]}], ids=["list", "object"])
def test_another_object_is_not_the_one_asked_for(
    call: Callable[[Any], Any], kind: type[NotFoundError], data: Any, connect: Connect
) -> None:
    with WireServer(said(data)) as server:
        assert type(connect(server.base_url).fails(call)) is kind


def test_lists_leave_out_what_was_not_asked_for(connect: Connect) -> None:
    with WireServer(said([OTHER])) as server:
        driver = connect(server.base_url)
        for resource in ("chats", "datasets"):
            assert driver.do(lambda client, r=resource: getattr(client, r).list(name="Wanted")) == []
        assert driver.do(lambda client: client.documents.list(DATASET, name="Wanted")) == []


def test_a_name_that_was_not_changed_is_told(connect: Connect) -> None:
    def same(exchange: Exchange) -> None:
        exchange.reply(json={"code": 0, "data": [{"id": DATASET, "name": "Old", "messages": []}]})

    with WireServer(same) as server:
        driver = connect(server.base_url)
        error = driver.fails(lambda client: client.datasets.update(DATASET, name="New"))
        assert type(error) is ProtocolError
        assert "'New'" in str(error)


LONG = "x" * 300
KEPT: dict[str, Any] = {"id": CHAT, "name": "x" * 255, "description": "old", "dataset_ids": ["a", "b"], "content": "old"}


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        (lambda c: c.chats.update(CHAT, description="new"), "description"),
        (lambda c: c.chats.update(CHAT, dataset_ids=["a"]), "dataset ids"),
        (lambda c: c.datasets.update(CHAT, description="new"), "description"),
        (lambda c: c.datasets.update(CHAT, embedding_model="m@F"), "embedding model"),
        (lambda c: c.documents.update(DATASET, CHAT, name="new.txt"), "name"),
        (lambda c: c.sessions.update(CHAT, CHAT, name="new"), "name"),
        (lambda c: c.chunks.update(DATASET, DOCUMENT, CHAT, content="new"), "content"),
    ],
)
def test_a_setting_that_was_not_changed_is_told(change: Callable[[Any], Any], setting: str, connect: Connect) -> None:
    with WireServer(said([KEPT])) as server:
        error = connect(server.base_url).fails(change)
        assert type(error) is ProtocolError
        assert f"accepted {setting} " in str(error)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.chats.update(CHAT, name=LONG),  # names are cut
        lambda c: c.sessions.update(CHAT, CHAT, name=LONG),
        lambda c: c.chats.update(CHAT, description=" old "),  # texts are stripped
        lambda c: c.chats.update(CHAT, dataset_ids=["b", "a"]),
    ],
)
def test_a_setting_that_the_server_tidied_is_accepted(change: Callable[[Any], Any], connect: Connect) -> None:
    with WireServer(said([KEPT])) as server:
        assert connect(server.base_url).do(change).id == CHAT


def test_messages_that_do_not_exist(served: Served) -> None:
    chat = served.emulator.chat_id
    answer = served.do(lambda client: client.ask(QUESTION, chat_id=chat))
    for call in (
        lambda client: client.sessions.delete_message(chat, answer.session_id, "no-such-message"),
        lambda client: client.sessions.feedback(chat, answer.session_id, "no-such-message", helpful=True),
    ):
        error = served.driver.fails(call)
        if served.within((0, 25, 6)):
            assert type(error) is NotFoundError
            assert "no-such-message" in str(error)
        else:
            assert isinstance(error, UnsupportedByServerError)
    if served.within((0, 25, 6)):
        served.do(lambda client: client.sessions.delete_message(chat, answer.session_id, answer.message_id))
        left = served.do(lambda client: client.sessions.get(chat, answer.session_id)).messages
        assert answer.message_id not in [message.id for message in left]


def test_files_come_back_as_they_are(served: Served) -> None:
    dataset = served.do(lambda client: client.datasets.create(unique("Files"))).id
    files = {"refusal.json": b'{"code":102,"message":"x"}', "empty.txt": b"", 'quo"ted.txt': b"text"}
    documents = served.do(lambda client: client.documents.upload(dataset, list(files.items())))
    assert [document.name for document in documents] == list(files)
    for document in documents:
        assert served.do(lambda client, d=document.id: client.documents.download(dataset, d)) == files[document.name]
    assert isinstance(served.driver.fails(lambda client: client.documents.download(dataset, "0" * 32)), NotFoundError)


def test_objects_that_do_not_exist(served: Served) -> None:
    unknown = "0" * 32
    emulator = served.emulator
    document = served.do(lambda client: client.documents.list(emulator.dataset_id))[0].id
    for call, kind in (
        (lambda client: client.documents.upload(unknown, [GOOD]), DatasetNotFoundError),
        (lambda client: client.datasets.delete([unknown]), DatasetNotFoundError),
        (lambda client: client.sessions.delete(unknown, [unknown]), ChatNotFoundError),
        (lambda client: client.chunks.get(emulator.dataset_id, document, "no-such-chunk"), ChunkNotFoundError),
        (lambda client: client.chunks.delete(emulator.dataset_id, document, ["no-such-chunk"]), ChunkNotFoundError),
        (lambda client: client.documents.delete(emulator.dataset_id, [unknown]), DocumentNotFoundError),
    ):
        error = served.driver.fails(call)
        assert type(error) is kind, error
        assert not error.retryable
        assert "''" not in str(error)
        assert ".." not in str(error)


def test_an_unknown_session_is_named(served: Served) -> None:
    unknown = "0123456789abcdef0123456789abcdef"
    call = {"question": QUESTION, "chat_id": served.emulator.chat_id, "session_id": unknown}
    for error in (
        served.driver.fails(lambda client: client.ask(**call)),
        served.driver.fails(lambda client: client.sessions.get(served.emulator.chat_id, unknown)),
    ):
        assert type(error) is SessionNotFoundError
        assert unknown in str(error)


def test_chunks_found_by_keywords_have_their_own_text(served: Served) -> None:
    dataset = served.emulator.dataset_id
    document = served.do(lambda client: client.documents.list(dataset, name="charging-stations.md"))[0].id
    whole = {chunk.id: chunk.content for chunk in served.do(lambda client: client.chunks.list(dataset, document))}
    found = served.do(lambda client: client.chunks.list(dataset, document, keywords="charge"))
    assert found
    for chunk in found:
        assert chunk.content == whole[chunk.id]


def test_a_chunk_is_changed_and_read_on_every_release(served: Served) -> None:
    dataset = served.do(lambda client: client.datasets.create(unique("Chunks"))).id
    [document] = served.do(lambda client: client.documents.upload(dataset, [GOOD]))
    chunk = served.do(lambda client: client.chunks.create(dataset, document.id, "An old text."))
    changed = served.do(lambda client: client.chunks.update(dataset, document.id, chunk.id, content="A new text."))
    assert changed.content == "A new text."


@pytest.mark.parametrize("call", ["chats", "health", "server", "ask", "stream", "download"])
def test_a_wrong_path_of_base_url_is_a_public_error(call: str, connect: Connect) -> None:
    calls: dict[str, Any] = {
        "chats": lambda client: client.chats.list(),
        "health": lambda client: client.health(),
        "server": lambda client: client.server(),
        "ask": lambda client: client.ask("q", chat_id=CHAT, session_id=SESSION),
        "stream": lambda client: client.stream("q", chat_id=CHAT, session_id=SESSION),
        "download": lambda client: client.documents.download(DATASET, DOCUMENT),
    }
    missing = status(404, b'{"code":404,"message":"Not Found: /foo/api/v1"}', ("Content-Type", "application/json"))
    with WireServer(missing) as server:
        driver = connect(f"{server.base_url}/foo")
        error = driver.drain(calls[call]).error if call == "stream" else driver.fails(calls[call])
        assert type(error) is ProtocolError
        assert "path of `base_url`" in str(error)


def test_a_code_of_404_about_an_object_is_not_a_missing_route(connect: Connect) -> None:
    route = replay_map({("GET", ".*"): lambda exchange: exchange.reply(json={"code": 404, "message": "Chunk not found: d/c"})})
    with WireServer(route) as server:
        error = connect(server.base_url).fails(lambda client: client.chunks.get(DATASET, DOCUMENT, "c"))
        assert type(error) is ChunkNotFoundError


def test_sessions_that_0_19_0_cannot_list(connect: Connect) -> None:
    """It fails over any turn that has a reference (docs/protocol.md)."""
    with WireServer(envelope(100, "IndexError('list index out of range')")) as server:
        error = connect(server.base_url).fails(lambda client: client.sessions.list(CHAT))
    assert isinstance(error, UnsupportedByServerError)
    assert "asking in them works" in str(error)
