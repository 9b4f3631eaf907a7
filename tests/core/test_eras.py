"""Chats, sessions, datasets and the server: every call of both clients against the emulator of every era."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    ChatNotFoundError,
    DatasetNotFoundError,
    DocumentNotFoundError,
    DocumentParsingError,
    InvalidRequestError,
    ModelUnavailableError,
    NotFoundError,
    RAGFlowClient,
    SessionNotFoundError,
    UnsupportedByServerError,
)
from tests.core.eras import ANSWER, QUESTION, Served, unique

if TYPE_CHECKING:
    from pathlib import Path

    from ragflow_integrations import ParsingProgress
    from tests.core.driver import Call

# ------------------------------------------------------------------------------------------------------------------------ chats


def test_chats(served: Served) -> None:
    name, dataset = unique("Chat"), served.emulator.dataset_id
    made = served.do(
        lambda client: client.chats.create(
            name,
            dataset_ids=[dataset],
            description="d",
            llm={"temperature": 0.3},
            prompt={
                "system": "Use {knowledge}",
                "prologue": "Hello!",
                "empty_response": "Nothing.",
                "top_n": 4,
                "keywords_similarity_weight": 0.6,
            },
        )
    )
    assert made.name == name
    got = served.do(lambda client: client.chats.get(made.id))
    assert got.id == made.id
    assert got.dataset_ids == (dataset,)
    assert (got.prompt["prologue"], got.empty_response, got.prompt["top_n"]) == ("Hello!", "Nothing.", 4)
    assert got.llm["temperature"] == 0.3
    assert served.do(lambda client: client.chats.find(name)).id == made.id
    assert made.id in [chat.id for chat in served.do(lambda client: client.chats.list())]
    assert [chat.id for chat in served.do(lambda client: client.chats.list(name=name))] == [made.id]
    assert served.do(lambda client: client.chats.list(name="no such chat")) == []
    assert isinstance(served.driver.fails(lambda client: client.chats.create(name)), InvalidRequestError)
    served.do(lambda client: client.chats.delete([made.id]))
    assert isinstance(served.driver.fails(lambda client: client.chats.get(made.id)), ChatNotFoundError)
    assert isinstance(served.driver.fails(lambda client: client.chats.find(name)), ChatNotFoundError)
    assert isinstance(served.driver.fails(lambda client: client.chats.delete([made.id])), ChatNotFoundError)


def test_old_and_new_names_make_the_same_chat(served: Served) -> None:
    old = {
        "prompt": "Use {knowledge}",
        "opener": "Hello!",
        "show_quote": False,
        "variables": [{"key": "knowledge", "optional": True}],
    }
    new = {
        "system": "Use {knowledge}",
        "prologue": "Hello!",
        "quote": False,
        "parameters": [{"key": "knowledge", "optional": True}],
    }
    seen = []
    for prompt in (old, new):
        made = served.do(lambda client, prompt=prompt: client.chats.create(unique("Names"), prompt=prompt))
        got = served.do(lambda client, made=made: client.chats.get(made.id))
        seen.append((got.prompt["system"], got.prompt["prologue"], got.quote))
        served.do(lambda client, made=made: client.chats.delete([made.id]))
    assert seen == [("Use {knowledge}", "Hello!", False)] * 2


def test_an_update_leaves_the_rest(served: Served) -> None:
    dataset = served.emulator.dataset_id
    made = served.do(
        lambda client: client.chats.create(unique("Before"), dataset_ids=[dataset], prompt={"prologue": "Hello!", "top_n": 3})
    )
    name = unique("After")
    changed = served.do(lambda client: client.chats.update(made.id, name=name))
    assert (changed.name, changed.dataset_ids, changed.prompt["prologue"], changed.prompt["top_n"]) == (
        name,
        (dataset,),
        "Hello!",
        3,
    )
    llm: dict[str, Any] = {"temperature": 0.9}
    if not served.within((0, 18, 0)):
        llm["model_name"] = "emulated-chat"  # 0.17.2 takes no name with a factory behind it
    changed = served.do(lambda client: client.chats.update(made.id, prompt={"prologue": "Hi!"}, llm=llm))
    assert (changed.name, changed.dataset_ids, changed.prompt["prologue"]) == (name, (dataset,), "Hi!")
    assert changed.llm["temperature"] == 0.9
    assert served.do(lambda client: client.chats.update(made.id, dataset_ids=[])).dataset_ids == ()
    assert isinstance(served.driver.fails(lambda client: client.chats.update("0" * 32, name="x")), ChatNotFoundError)
    served.do(lambda client: client.chats.delete([made.id]))


def test_a_model_that_is_not_there(served: Served) -> None:
    error = served.driver.fails(lambda client: client.chats.create(unique("Model"), llm={"llm_id": "nope@nope"}))
    assert isinstance(error, ModelUnavailableError)


# --------------------------------------------------------------------------------------------------------------------- sessions


def test_sessions(served: Served) -> None:
    chat = served.emulator.chat_id
    made = served.do(lambda client: client.sessions.create(chat, "First"))
    assert (made.name, made.chat_id) == ("First", chat)
    got = served.do(lambda client: client.sessions.get(chat, made.id))
    assert got.messages[0].role == "assistant"
    renamed = served.do(lambda client: client.sessions.update(chat, made.id, name="Second"))
    assert (renamed.id, renamed.name) == (made.id, "Second")
    assert made.id in [session.id for session in served.do(lambda client: client.sessions.list(chat))]
    assert [session.id for session in served.do(lambda client: client.sessions.list(chat, name="Second"))] == [made.id]
    served.do(lambda client: client.sessions.delete(chat, [made.id]))
    assert isinstance(served.driver.fails(lambda client: client.sessions.get(chat, made.id)), SessionNotFoundError)
    assert isinstance(served.driver.fails(lambda client: client.sessions.delete(chat, [made.id])), SessionNotFoundError)
    assert isinstance(served.driver.fails(lambda client: client.sessions.create("0" * 32)), ChatNotFoundError)
    assert isinstance(served.driver.fails(lambda client: client.sessions.list("0" * 32)), ChatNotFoundError)


@pytest.mark.parametrize("wanted", [100, 101])
def test_listings_of_many_pages_end(wanted: int, served: Served) -> None:
    with RAGFlowClient(served.emulator.base_url, served.emulator.api_key) as client, ThreadPoolExecutor(16) as threads:
        chat = client.chats.create(unique("Many"))
        made = {session.id for session in threads.map(client.sessions.create, [chat.id] * wanted)}
    listed = [session.id for session in served.do(lambda client: client.sessions.list(chat.id))]
    assert len(listed) == wanted
    assert set(listed) == made
    served.do(lambda client: client.sessions.delete(chat.id, delete_all=True))
    assert served.do(lambda client: client.sessions.list(chat.id)) == []
    served.do(lambda client: client.chats.delete([chat.id]))


def test_messages_are_deleted_and_rated(served: Served) -> None:
    chat = served.emulator.chat_id
    session = served.do(lambda client: client.sessions.create(chat))
    answer = served.do(lambda client: client.ask(QUESTION, chat_id=chat, session_id=session.id))
    message = answer.message_id or "m"
    calls: tuple[Call, ...] = (
        lambda client: client.sessions.feedback(chat, session.id, message, helpful=False, comment="no"),
        lambda client: client.sessions.feedback(chat, session.id, message, helpful=True),
        lambda client: client.sessions.delete_message(chat, session.id, message),
    )
    if not served.within((0, 25, 6)):  # 0.25.1–0.25.5 give no ids
        for call in calls:
            assert type(served.driver.fails(call)) is UnsupportedByServerError
    else:
        for call in calls:
            served.do(call)
        left = served.do(lambda client: client.sessions.get(chat, session.id)).messages
        assert [item.role for item in left] == ["assistant"]


# ------------------------------------------------------------------------------------------------------------------- retrieval


def test_retrieval(served: Served) -> None:
    dataset = served.emulator.dataset_id
    found = served.do(lambda client: client.retrieve(QUESTION, dataset_ids=[dataset], limit=3))
    assert 0 < len(found.chunks) <= 3
    assert ANSWER in "".join(chunk.content for chunk in found.chunks)
    assert found.total >= len(found.chunks)
    first = found.chunks[0]
    assert first.document_name.endswith(".md")
    assert first.dataset_id == dataset
    assert first.similarity is not None
    assert first.highlight is None
    only = served.do(
        lambda client: client.retrieve(
            QUESTION,
            dataset_ids=[dataset],
            document_ids=[first.document_id],
            similarity_threshold=0.0,
            vector_similarity_weight=0.5,
            top_k=50,
            keyword=False,
            highlight=True,
        )
    )
    assert {chunk.document_id for chunk in only.chunks} == {first.document_id}
    assert any(chunk.highlight for chunk in only.chunks)
    assert served.do(lambda client: client.retrieve("zzzqqq", dataset_ids=[dataset])).chunks == ()
    unknown = served.driver.fails(lambda client: client.retrieve(QUESTION, dataset_ids=["0" * 32]))
    assert isinstance(unknown, DatasetNotFoundError)
    other = served.driver.fails(lambda client: client.retrieve(QUESTION, dataset_ids=[dataset], document_ids=["nope"]))
    assert isinstance(other, DocumentNotFoundError)
    many = served.do(lambda client: client.retrieve("bike", dataset_ids=[dataset], limit=250, similarity_threshold=0.0))
    assert len({chunk.id for chunk in many.chunks}) == len(many.chunks)


@pytest.mark.parametrize(
    ("options", "since"),
    [({"metadata_fields": ["team"]}, (0, 25, 2)), ({"toc_enhance": False}, (0, 23, 0))],
    ids=["metadata_fields", "toc_enhance"],
)
def test_options_of_a_retrieval(options: dict[str, Any], since: tuple[int, int, int], served: Served) -> None:
    call = lambda client: client.retrieve(QUESTION, dataset_ids=[served.emulator.dataset_id], **options)  # noqa: E731
    if served.within(since):
        assert served.do(call).chunks
    else:
        assert type(served.driver.fails(call)) is UnsupportedByServerError


# --------------------------------------------------------------------------------------------- datasets, documents, chunks


def test_datasets_and_documents(served: Served, tmp_path: Path) -> None:
    name = unique("Data")
    dataset = served.do(lambda client: client.datasets.create(name, description="d", chunk_method="naive"))
    assert served.do(lambda client: client.datasets.get(dataset.id)).name == name
    assert served.do(lambda client: client.datasets.find(name)).id == dataset.id
    assert dataset.id in [item.id for item in served.do(lambda client: client.datasets.list())]
    assert [item.id for item in served.do(lambda client: client.datasets.list(name=name))] == [dataset.id]
    assert served.do(lambda client: client.datasets.list(name="nope")) == []
    name = unique("Renamed")
    assert served.do(lambda client: client.datasets.update(dataset.id, name=name)).name == name

    path = tmp_path / "über uns.md"
    path.write_text("# Us\n\nThe lighthouse was built in 1893.\n", encoding="utf-8")
    uploaded = served.do(
        lambda client: client.documents.upload(dataset.id, [path, str(path), ("b.txt", b"Seals sleep on the pier.\n")])
    )
    assert uploaded[0].name == "über uns.md"
    assert uploaded[2].name == "b.txt"
    ids = [item.id for item in uploaded]
    assert sorted(item.id for item in served.do(lambda client: client.documents.list(dataset.id))) == sorted(ids)
    assert served.do(lambda client: client.documents.get(dataset.id, ids[2])).status == "UNSTART"
    assert served.do(lambda client: client.documents.download(dataset.id, ids[0])) == path.read_bytes()
    assert served.do(lambda client: client.documents.download(dataset.id, ids[2])) == b"Seals sleep on the pier.\n"
    assert [item.id for item in served.do(lambda client: client.documents.list(dataset.id, name="b.txt"))] == [ids[2]]
    assert [item.id for item in served.do(lambda client: client.documents.list(dataset.id, keywords="b.t"))] == [ids[2]]

    seen: list[ParsingProgress] = []
    served.do(lambda client: client.documents.parse(dataset.id, ids))
    parsed = served.do(lambda client: client.documents.wait(dataset.id, ids, progress=seen.append, timeout=20))
    assert {item.status for item in parsed} == {"DONE"}
    assert seen[-1].done == 3
    assert seen[-1].fraction == 1
    assert sum(item.chunk_count for item in parsed) >= 3

    described = served.do(lambda client: client.documents.update(dataset.id, ids[0], metadata={"year": "1893"}))
    assert described.metadata == {"year": "1893"}
    found = served.do(lambda client: client.retrieve("When was the lighthouse built?", dataset_ids=[dataset.id]))
    assert "1893" in found.chunks[0].content
    if served.within((0, 25, 6)):
        told = [chunk.document_metadata for chunk in found.chunks if chunk.document_id == ids[0]]
        assert told == [{"year": "1893"}] * len(told)
        assert told

    served.do(lambda client: client.documents.delete(dataset.id, [ids[0]]))
    assert isinstance(served.driver.fails(lambda client: client.documents.get(dataset.id, ids[0])), DocumentNotFoundError)
    served.do(lambda client: client.documents.delete(dataset.id, delete_all=True))
    assert served.do(lambda client: client.documents.list(dataset.id)) == []
    served.do(lambda client: client.documents.delete(dataset.id, delete_all=True))
    assert served.do(lambda client: client.retrieve("lighthouse", dataset_ids=[dataset.id])).chunks == ()
    missing = served.driver.fails(lambda client: client.documents.wait(dataset.id, [ids[0]]))
    assert isinstance(missing, DocumentNotFoundError)
    served.do(lambda client: client.datasets.delete([dataset.id]))
    for call in (
        lambda client: client.datasets.get(dataset.id),
        lambda client: client.datasets.find(name),
        lambda client: client.documents.list(dataset.id),
        lambda client: client.datasets.delete([dataset.id]),
    ):
        assert isinstance(served.driver.fails(call), DatasetNotFoundError)


def test_chunks(served: Served) -> None:
    dataset = served.do(lambda client: client.datasets.create(unique("Chunks")))
    document = served.do(lambda client: client.documents.upload(dataset.id, [("a.txt", b"Seals sleep on the pier.\n")]))[0]
    served.do(lambda client: client.documents.parse(dataset.id, [document.id]))
    served.do(lambda client: client.documents.wait(dataset.id, [document.id], timeout=20))
    chunks = served.do(lambda client: client.chunks.list(dataset.id, document.id))
    assert "Seals" in chunks[0].content
    added = served.do(
        lambda client: client.chunks.create(
            dataset.id, document.id, "Otters too.", important_keywords=["otter"], questions=["Who?"]
        )
    )
    assert added.content == "Otters too."
    assert len(served.do(lambda client: client.chunks.list(dataset.id, document.id))) == len(chunks) + 1
    changed = served.do(
        lambda client: client.chunks.update(dataset.id, document.id, added.id, content="Otters swim.", important_keywords=[])
    )
    assert (changed.id, changed.content) == (added.id, "Otters swim.")
    assert served.do(lambda client: client.chunks.get(dataset.id, document.id, added.id)).content == "Otters swim."
    served.do(lambda client: client.chunks.delete(dataset.id, document.id, [added.id]))
    assert isinstance(served.driver.fails(lambda client: client.chunks.get(dataset.id, document.id, added.id)), NotFoundError)
    gone = served.driver.fails(lambda client: client.chunks.update(dataset.id, document.id, added.id, available=False))
    assert isinstance(gone, NotFoundError)
    assert len(served.do(lambda client: client.chunks.list(dataset.id, document.id))) == len(chunks)
    served.do(lambda client: client.datasets.delete([dataset.id]))


def test_parsing_that_is_not_begun_or_stopped(served: Served) -> None:
    dataset = served.do(lambda client: client.datasets.create(unique("Stop")))
    document = served.do(lambda client: client.documents.upload(dataset.id, [("a.txt", b"One sentence.\n")]))[0]
    idle = served.driver.fails(lambda client: client.documents.wait(dataset.id, [document.id]))
    assert isinstance(idle, DocumentParsingError)
    assert "documents.parse" in str(idle)
    served.do(lambda client: client.documents.parse(dataset.id, [document.id]))
    try:
        served.do(lambda client: client.documents.stop(dataset.id, [document.id]))
    except InvalidRequestError:
        pass  # it was parsed already
    else:
        stopped = served.driver.fails(lambda client: client.documents.wait(dataset.id, [document.id]))
        assert isinstance(stopped, DocumentParsingError)
    served.do(lambda client: client.datasets.delete([dataset.id]))


# ----------------------------------------------------------------------------------------------------------------------- server


def test_the_server(served: Served) -> None:
    info = served.do(lambda client: client.server())
    version = ".".join(map(str, served.version))
    assert tuple(int(part) for part in info.oldest.split(".")) <= served.version
    assert (info.version == f"v{version}") == served.within((0, 24, 0))
    assert served.do(lambda client: client.server()).era == info.era
    assert served.do(lambda client: client.health()).ok
    assert served.do(lambda client: client.related_questions(QUESTION))


def test_history_is_whole_on_every_server(served: Served) -> None:
    """0.25.1–0.25.5 overwrite a session with what they are sent; the client sends all of it."""
    chat = served.emulator.chat_id
    session = served.do(lambda client: client.sessions.create(chat))
    questions = [f"{QUESTION} {number}" for number in range(3)]
    for at, question in enumerate(questions):
        call = lambda client, q=question: client.stream(q, chat_id=chat, session_id=session.id)  # noqa: E731
        served.driver.drain(call) if at % 2 else served.do(
            lambda client, q=question: client.ask(q, chat_id=chat, session_id=session.id)
        )
    stored = served.do(lambda client: client.sessions.get(chat, session.id)).messages
    assert [message.content for message in stored if message.role == "user"] == questions
    assert len(stored) == 7
    for message in stored[2::2]:
        assert message.reference is None or message.reference.chunks
