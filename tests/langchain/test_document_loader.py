"""`RAGFlowLoader`: chunks and documents, lazily, in both modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from ragflow_integrations.langchain import RAGFlowDatasetNotFoundError, RAGFlowLoader

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator


async def test_chunks(server: Emulator, where: dict[str, Any]) -> None:
    loader = RAGFlowLoader(dataset_id=server.dataset_id, **where)
    loaded = loader.load()
    assert loaded == [item async for item in loader.alazy_load()] == await loader.aload()
    documents = {item.id: item for item in loader._sync.documents.list(server.dataset_id)}
    assert len(loaded) == sum(item.chunk_count for item in documents.values())
    assert len({item.id for item in loaded}) == len(loaded)
    for item in loaded:
        assert item.page_content
        assert item.metadata["chunk_id"] == item.id
        assert item.metadata["source"] == documents[item.metadata["document_id"]].name
        assert item.metadata["dataset_id"] == server.dataset_id
    await loader.aclose()


async def test_documents(where: dict[str, Any]) -> None:
    by_chunk = RAGFlowLoader(dataset_name="Emulator documents", **where).load()
    wanted = [by_chunk[0].metadata["document_id"]]
    loader = RAGFlowLoader(dataset_name="Emulator documents", document_ids=wanted, by="document", **where)
    (whole,) = loader.load()
    assert [whole] == await loader.aload()
    assert whole.id == wanted[0]
    parts = [item.page_content for item in by_chunk if item.metadata["document_id"] == whole.id]
    assert whole.page_content == "\n\n".join(parts)
    assert whole.metadata["chunk_count"] == len(parts)
    await loader.aclose()


def test_the_old_name_of_by_works(where: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"dataset_name": "Emulator documents", **where}
    assert RAGFlowLoader(**settings).by == RAGFlowLoader(mode="chunks", **settings).by == "chunk"
    assert RAGFlowLoader(mode="documents", **settings).by == "document"
    assert RAGFlowLoader(mode="documents", by="document", **settings).by == "document"
    with pytest.raises(ValidationError, match="`mode` is the old name of `by` and contradicts it"):
        RAGFlowLoader(mode="documents", by="chunk", **settings)


def test_lazily(server: Emulator, where: dict[str, Any]) -> None:
    loader = RAGFlowLoader(dataset_id=server.dataset_id, **where)
    before = len(server.requests)
    next(loader.lazy_load())
    assert len(server.requests) - before <= 3, "nothing is asked for before it is needed"
    loader.close()


async def test_wrong_arguments(where: dict[str, Any]) -> None:
    for fields, problem in (
        ({}, "none was given"),
        ({"dataset_id": "a", "dataset_name": "b"}, "not `dataset_id` and"),
        ({"dataset_id": "a", "document_ids": []}, "at least one"),
    ):
        with pytest.raises(ValidationError, match=problem):
            RAGFlowLoader(**fields, **where)
    nobody = RAGFlowLoader(dataset_id="nobody", **where)
    with pytest.raises(RAGFlowDatasetNotFoundError):
        nobody.load()
    with pytest.raises(RAGFlowDatasetNotFoundError):
        await nobody.aload()
    await nobody.aclose()
