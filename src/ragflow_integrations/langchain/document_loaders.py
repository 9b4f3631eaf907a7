"""`RAGFlowLoader`: what RAGFlow parsed, as documents."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - pydantic evaluates the types of fields
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from pydantic import model_validator

from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.target import DatasetTarget
from ragflow_integrations._protocol import validation
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.langchain._answers import document
from ragflow_integrations.langchain._component import RAGFlowComponent
from ragflow_integrations.langchain._errors import langchain_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ragflow_integrations import models


class RAGFlowLoader(BaseLoader, RAGFlowComponent):
    """Loads the chunks of a dataset, or its documents whole, one page of the listing at a time.

    Metadata of chunks are those of `RAGFlowRetriever`'s documents; whole documents have `source`, `document_id`,
    `document_name`, `dataset_id`, `chunk_count`, `size` and, if there is any, `document_metadata`.

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
    by: Literal["chunk", "document"] = "chunk"
    """What becomes a `Document`: each chunk, or each document of the dataset with the text of all its chunks."""
    mode: Literal["chunks", "documents"] | None = None
    """Old name of `by`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self._dataset
        if self.mode is not None:
            by: Literal["chunk", "document"] = "chunk" if self.mode == "chunks" else "document"
            if "by" in self.model_fields_set and self.by != by:
                raise InvalidArgumentError("mode", "is the old name of `by` and contradicts it; give `by` alone")
            self.by = by
        if self.document_ids is not None:
            validation.ids("document_ids", self.document_ids)
        return self

    @property
    def _dataset(self) -> DatasetTarget:
        return DatasetTarget(self.dataset_id, self.dataset_name)

    def lazy_load(self) -> Iterator[Document]:
        """Load documents as they are asked for."""
        with langchain_errors():
            client = self._sync
            dataset_id = run(self._dataset.id(client))
            for listed in client.documents.list(dataset_id):
                if self._is_selected(listed):
                    chunks = client.chunks.list(dataset_id, listed.id)
                    if self.by == "chunk":
                        yield from (_chunk(listed, chunk) for chunk in chunks)
                    else:
                        yield _whole(listed, [chunk.content for chunk in chunks])

    async def alazy_load(self) -> AsyncIterator[Document]:
        """Load documents as they are asked for, asynchronously."""
        with langchain_errors():
            client = self._async
            dataset_id = await arun(self._dataset.id(client))
            async for listed in client.documents.list(dataset_id):
                if self._is_selected(listed):
                    chunks = client.chunks.list(dataset_id, listed.id)
                    if self.by == "chunk":
                        async for chunk in chunks:
                            yield _chunk(listed, chunk)
                    else:
                        yield _whole(listed, [chunk.content async for chunk in chunks])

    def _is_selected(self, listed: models.Document) -> bool:
        return listed.chunk_count > 0 and (self.document_ids is None or listed.id in self.document_ids)


def _chunk(listed: models.Document, chunk: models.Chunk) -> Document:
    loaded = document(chunk)
    loaded.metadata |= _document_fields(listed)  # listings of chunks leave out what is the document's
    return loaded


def _whole(listed: models.Document, texts: list[str]) -> Document:
    metadata = {"chunk_count": listed.chunk_count, "size": listed.size, **_document_fields(listed)}
    return Document(id=listed.id, page_content="\n\n".join(texts), metadata=metadata)


def _document_fields(listed: models.Document) -> dict[str, Any]:
    fields: dict[str, Any] = {"source": listed.name, "document_id": listed.id, "document_name": listed.name}
    fields["dataset_id"] = listed.dataset_id
    return {**fields, "document_metadata": dict(listed.metadata)} if listed.metadata else fields


__all__ = ["RAGFlowLoader"]
