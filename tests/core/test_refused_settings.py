"""Settings that the server refuses: one typed error on every release, which can not be retried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import EmbeddingModelMismatchError, InvalidRequestError, ModelUnavailableError
from tests.core.eras import unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragflow_integrations import APIError
    from tests.core.eras import Served

SECOND = "emulated-embedding-2@Emulator"


@pytest.fixture
def other_dataset(served: Served) -> str:
    """A dataset of another embedding model, with two files of which the first is parsed."""
    dataset = served.do(lambda client: client.datasets.create(unique("Other"), embedding_model=SECOND))
    files = [("a.txt", b"The hose reaches forty metres."), ("b.txt", b"b")]
    documents = served.do(lambda client: client.documents.upload(dataset.id, files))
    served.do(lambda client: client.documents.parse(dataset.id, [documents[0].id]))
    served.do(lambda client: client.documents.wait(dataset.id, [documents[0].id], timeout=5))
    return str(dataset.id)


REFUSED: dict[str, tuple[Callable[[Any, str, str], Any], type[APIError]]] = {
    "chat over unlike datasets": (
        lambda client, seeded, other: client.chats.create(unique("Chat"), dataset_ids=[seeded, other]),
        EmbeddingModelMismatchError,
    ),
    "search in unlike datasets": (
        lambda client, seeded, other: client.retrieve("hose", dataset_ids=[seeded, other]),
        EmbeddingModelMismatchError,
    ),
    "embedding model of a filled dataset": (
        lambda client, _, other: client.datasets.update(other, embedding_model="emulated-embedding@Emulator"),
        InvalidRequestError,
    ),
    "unknown embedding model": (
        lambda client, *_: client.datasets.create(unique("Dataset"), embedding_model="nope@X"),
        ModelUnavailableError,
    ),
    "unknown rerank model": (
        lambda client, _, other: client.chats.create(unique("Chat"), dataset_ids=[other], prompt={"rerank_model": "nope"}),
        ModelUnavailableError,
    ),
    "unknown LLM": (
        lambda client, _, other: client.chats.create(unique("Chat"), dataset_ids=[other], llm={"model_name": "nope"}),
        ModelUnavailableError,
    ),
    "rename to a taken name": (
        lambda client, _, other: client.datasets.update(other, name="Emulator documents"),
        InvalidRequestError,
    ),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_a_setting_is_refused(setting: str, served: Served, other_dataset: str) -> None:
    call, kind = REFUSED[setting]
    error = served.driver.fails(lambda client: call(client, served.emulator.dataset_id, other_dataset))
    assert type(error) is kind
    assert not error.retryable


def test_a_new_dataset_whose_name_is_taken(served: Served) -> None:
    name = unique("Taken")
    served.do(lambda client: client.datasets.create(name))
    if served.within((0, 22, 0)):
        assert served.do(lambda client: client.datasets.create(name)).name == f"{name}(1)"
    else:
        assert type(served.driver.fails(lambda client: client.datasets.create(name))) is InvalidRequestError


def test_settings_of_a_document_that_are_refused(served: Served, other_dataset: str) -> None:
    first = served.do(lambda client: client.documents.list(other_dataset, name="a.txt"))[0].id
    for settings in ({"name": "a.md"}, {"name": "b.txt"}):
        error = served.driver.fails(lambda client, s=settings: client.documents.update(other_dataset, first, **s))
        assert type(error) is InvalidRequestError
    nested = {"metadata": {"a": {"b": 1}}}
    if served.within((0, 25, 0)):
        error = served.driver.fails(lambda client: client.documents.update(other_dataset, first, **nested))
        assert type(error) is InvalidRequestError
    else:
        served.do(lambda client: client.documents.update(other_dataset, first, **nested))


def test_a_document_that_is_being_parsed(served: Served, other_dataset: str) -> None:
    [document] = served.do(lambda client: client.documents.list(other_dataset, name="b.txt"))
    served.do(lambda client: client.documents.parse(other_dataset, [document.id]))
    error = served.driver.fails(lambda client: client.documents.parse(other_dataset, [document.id]))
    assert type(error) is InvalidRequestError
    assert not error.retryable


def test_the_same_text_twice_is_one_chunk(served: Served, other_dataset: str) -> None:
    document = served.do(lambda client: client.documents.list(other_dataset))[0].id
    first, second = (served.do(lambda client: client.chunks.create(other_dataset, document, "A fact.")) for _ in range(2))
    assert first.id == second.id
