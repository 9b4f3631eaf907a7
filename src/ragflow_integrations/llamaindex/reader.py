"""`RAGFlowReader`: the documents of a RAGFlow dataset, or their chunks, as LlamaIndex documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.readers.base import BasePydanticReader, ResourcesReaderMixin
from llama_index.core.schema import Document
from pydantic import PrivateAttr

from ragflow_integrations._adapters.clients import ClientPair
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.target import DatasetTarget
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.llamaindex._component import RAGFlowComponent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Unpack

    from ragflow_integrations import models
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient


class RAGFlowReader(RAGFlowComponent, BasePydanticReader, ResourcesReaderMixin):
    """Loads a dataset. Its resources are the ids of its documents.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        dataset_id: The dataset.
        dataset_name: Or its exact name.
        by: Return one `Document` for each `"document"` (its chunks joined) or for each `"chunk"`.
        **connection: Settings of the client (`base_url`, `api_key` …); see `ConnectionOptions`.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowReader
        >>> reader = RAGFlowReader(base_url=base_url, api_key=api_key, dataset_id=dataset_id)
        >>> documents = reader.load_data()
        >>> "charging-stations.md" in [document.metadata["file_name"] for document in documents]
        True
    """

    is_remote: bool = True
    dataset_id: str | None = None
    dataset_name: str | None = None
    by: Literal["document", "chunk"] = "document"
    _clients: ClientPair = PrivateAttr()
    _dataset: DatasetTarget = PrivateAttr()

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        by: Literal["document", "chunk"] = "document",
        **connection: Unpack[models.ConnectionOptions],
    ) -> None:
        dataset = DatasetTarget(dataset_id, dataset_name)
        fields: dict[str, Any] = {"is_remote": True, "dataset_id": dataset_id, "dataset_name": dataset_name, "by": by}
        super().__init__(**fields)
        self._dataset = dataset
        self._clients = ClientPair(client, **connection)

    def _client_pair(self) -> ClientPair:
        return self._clients

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class."""
        return "RAGFlowReader"

    def _dataset_id(self) -> str:
        return run(self._dataset.id(self._clients.sync))

    async def _adataset_id(self) -> str:
        return await arun(self._dataset.id(self._clients.async_))

    # -- everything ----------------------------------------------------------------------------------------------------------

    def lazy_load_data(self, document_ids: Sequence[str] | None = None) -> Iterator[Document]:
        """Load documents one after the other.

        Args:
            document_ids: Only these.
        """
        dataset = self._dataset_id()
        for listed in self._clients.sync.documents.list(dataset):
            if document_ids is None or listed.id in document_ids:
                yield from self._read(dataset, listed, list(self._clients.sync.chunks.list(dataset, listed.id)))

    def load_data(self, document_ids: Sequence[str] | None = None) -> list[Document]:
        """Load documents."""
        return list(self.lazy_load_data(document_ids))

    async def aload_data(self, document_ids: Sequence[str] | None = None) -> list[Document]:
        """Load documents, asynchronously."""
        client, dataset = self._clients.async_, await self._adataset_id()
        loaded: list[Document] = []
        async for listed in client.documents.list(dataset):
            if document_ids is None or listed.id in document_ids:
                loaded += self._read(dataset, listed, [chunk async for chunk in client.chunks.list(dataset, listed.id)])
        return loaded

    async def alazy_load_data(self, document_ids: Sequence[str] | None = None) -> Iterable[Document]:
        """Load documents, asynchronously; what LlamaIndex awaits here is not lazy."""
        return await self.aload_data(document_ids)

    def _read(self, dataset_id: str, listed: models.Document, chunks: list[models.Chunk]) -> Iterator[Document]:
        whole = {"file_name": listed.name, "document_id": listed.id, "dataset_id": listed.dataset_id or dataset_id}
        if self.by == "document":
            text = "\n\n".join(chunk.content for chunk in chunks)
            yield Document(id_=listed.id, text=text, metadata={**listed.metadata, **whole})
            return
        for chunk in chunks:
            made = _nodes.node(chunk).node
            metadata = {**listed.metadata, **made.metadata, **whole}
            yield Document(
                id_=made.node_id,
                text=chunk.content,
                metadata=metadata,
                relationships=made.relationships,
                excluded_llm_metadata_keys=made.excluded_llm_metadata_keys,
                excluded_embed_metadata_keys=made.excluded_embed_metadata_keys,
            )

    # -- one by one ----------------------------------------------------------------------------------------------------------

    def list_resources(self) -> list[str]:
        """List the ids of the documents."""
        return [listed.id for listed in self._clients.sync.documents.list(self._dataset_id())]

    async def alist_resources(self) -> list[str]:
        """List the ids of the documents, asynchronously."""
        return [listed.id async for listed in self._clients.async_.documents.list(await self._adataset_id())]

    def get_resource_info(self, resource_id: str) -> dict[str, Any]:
        """Describe a document."""
        return _info(self._clients.sync.documents.get(self._dataset_id(), resource_id))

    async def aget_resource_info(self, resource_id: str) -> dict[str, Any]:
        """Describe a document, asynchronously."""
        return _info(await self._clients.async_.documents.get(await self._adataset_id(), resource_id))

    def load_resource(self, resource_id: str) -> list[Document]:
        """Load one document.

        Raises:
            DocumentNotFoundError: The dataset has no such document.
        """
        client, dataset = self._clients.sync, self._dataset_id()
        listed = client.documents.get(dataset, resource_id)
        return list(self._read(dataset, listed, list(client.chunks.list(dataset, resource_id))))

    async def aload_resource(self, resource_id: str) -> list[Document]:
        """Load one document, asynchronously."""
        client, dataset = self._clients.async_, await self._adataset_id()
        listed = await client.documents.get(dataset, resource_id)
        return list(self._read(dataset, listed, [chunk async for chunk in client.chunks.list(dataset, resource_id)]))


def _info(listed: models.Document) -> dict[str, Any]:
    return {
        "file_name": listed.name,
        "status": listed.status,
        "size": listed.size,
        "chunk_count": listed.chunk_count,
        "token_count": listed.token_count,
        "metadata": dict(listed.metadata),
    }
