"""`RAGFlowLoader`: what RAGFlow parsed, as documents."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - pydantic evaluates the types of fields
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from pydantic import model_validator

from ragflow_integrations._protocol import validation
from ragflow_integrations.langchain._connection import Connected
from ragflow_integrations.langchain._errors import langchain_errors
from ragflow_integrations.langchain._messages import document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ragflow_integrations import models


class RAGFlowLoader(BaseLoader, Connected):
    """Loads the chunks of a dataset, or its documents whole, one page of the listing at a time.

    Metadata of chunks are those of `RAGFlowRetriever`'s documents; whole documents have `source`, `document_id`,
    `document_name`, `dataset_id`, `chunk_count`, `size` and, where there is any, `document_metadata`.

    Example:
        >>> from ragflow_integrations.langchain import RAGFlowLoader
        >>> loader = RAGFlowLoader(dataset_id=dataset_id, base_url=base_url, api_key=api_key)
        >>> next(loader.lazy_load()).page_content != ""
        True
        >>> loader.close()
    """

    dataset_id: str | None = None
    """Dataset to load from."""
    dataset_name: str | None = None
    """Its exact name instead."""
    document_ids: Sequence[str] | None = None
    """Only these of its documents."""
    mode: Literal["chunks", "documents"] = "chunks"
    """What becomes a `Document`: each chunk, or each document of the dataset with the text of all its chunks."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = {"dataset_id": self.dataset_id, "dataset_name": self.dataset_name}
        validation.text(name := validation.exactly_one(**given), given[name])
        if self.document_ids is not None:
            validation.ids("document_ids", self.document_ids)
        return self

    def lazy_load(self) -> Iterator[Document]:
        """Load documents as they are asked for."""
        with langchain_errors():
            client = self._sync
            dataset_id = self.dataset_id or client.datasets.find(str(self.dataset_name)).id
            for found in client.documents.list(dataset_id):
                if self._wanted(found):
                    chunks = client.chunks.list(dataset_id, found.id)
                    if self.mode == "chunks":
                        yield from (_chunk(found, chunk) for chunk in chunks)
                    else:
                        yield _whole(found, [chunk.content for chunk in chunks])

    async def alazy_load(self) -> AsyncIterator[Document]:
        """Load documents as they are asked for, asynchronously."""
        with langchain_errors():
            client = self._async
            dataset_id = self.dataset_id or (await client.datasets.find(str(self.dataset_name))).id
            async for found in client.documents.list(dataset_id):
                if self._wanted(found):
                    chunks = client.chunks.list(dataset_id, found.id)
                    if self.mode == "chunks":
                        async for chunk in chunks:
                            yield _chunk(found, chunk)
                    else:
                        yield _whole(found, [chunk.content async for chunk in chunks])

    def _wanted(self, found: models.Document) -> bool:
        return found.chunk_count > 0 and (self.document_ids is None or found.id in self.document_ids)


def _chunk(found: models.Document, chunk: models.Chunk) -> Document:
    loaded = document(chunk)
    loaded.metadata |= _about(found)  # listings of chunks leave out what is the document's
    return loaded


def _whole(found: models.Document, texts: list[str]) -> Document:
    metadata = {"chunk_count": found.chunk_count, "size": found.size, **_about(found)}
    return Document(id=found.id, page_content="\n\n".join(texts), metadata=metadata)


def _about(found: models.Document) -> dict[str, Any]:
    about: dict[str, Any] = {"source": found.name, "document_id": found.id, "document_name": found.name}
    about["dataset_id"] = found.dataset_id
    return {**about, "document_metadata": dict(found.metadata)} if found.metadata else about


__all__ = ["RAGFlowLoader"]
