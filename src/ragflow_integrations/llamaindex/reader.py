"""`RAGFlowReader`: the documents of a RAGFlow dataset, or their chunks, as LlamaIndex documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from llama_index.core.readers.base import BasePydanticReader, ResourcesReaderMixin
from llama_index.core.schema import Document
from pydantic import PrivateAttr

from ragflow_integrations._adapters import Clients
from ragflow_integrations._protocol import validation
from ragflow_integrations.llamaindex import _nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import SecretStr

    from ragflow_integrations import models
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient


class RAGFlowReader(BasePydanticReader, ResourcesReaderMixin):
    """Loads a dataset. Its resources are the ids of its documents.

    Args:
        client: Client to share, of either kind; excludes `base_url` and `api_key`.
        base_url: Root of the server; default RAGFLOW_BASE_URL.
        api_key: API key; default RAGFLOW_API_KEY.
        dataset_id: The dataset.
        dataset_name: Or its exact name.
        by: Give one `Document` for each `"document"` (its chunks joined) or for each `"chunk"`.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing.

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
    _clients: Clients = PrivateAttr()

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        by: Literal["document", "chunk"] = "document",
        timeout: float | models.Timeout | None = None,
        max_retries: int = 2,
    ) -> None:
        validation.exactly_one(dataset_id=dataset_id, dataset_name=dataset_name)
        fields: dict[str, Any] = {"is_remote": True, "dataset_id": dataset_id, "dataset_name": dataset_name, "by": by}
        super().__init__(**fields)
        self._clients = Clients(client, base_url=base_url, api_key=api_key, timeout=timeout, max_retries=max_retries)

    @classmethod
    def from_defaults(cls, client: RAGFlowClient | AsyncRAGFlowClient | None = None, **settings: Any) -> Self:
        """Make a reader; the arguments are those of the constructor."""
        return cls(client, **settings)

    @classmethod
    def class_name(cls) -> str:
        """Give the name of the class."""
        return "RAGFlowReader"

    def _dataset(self) -> str:
        if self.dataset_id is None:
            self.dataset_id = self._clients.sync.datasets.find(str(self.dataset_name)).id
        return self.dataset_id

    async def _adataset(self) -> str:
        if self.dataset_id is None:
            self.dataset_id = (await self._clients.asynchronous.datasets.find(str(self.dataset_name))).id
        return self.dataset_id

    # -- everything ----------------------------------------------------------------------------------------------------------

    def lazy_load_data(self, document_ids: Sequence[str] | None = None) -> Iterator[Document]:
        """Load documents one after the other.

        Args:
            document_ids: Only these.
        """
        dataset = self._dataset()
        for found in self._clients.sync.documents.list(dataset):
            if document_ids is None or found.id in document_ids:
                yield from self._read(found, list(self._clients.sync.chunks.list(dataset, found.id)))

    def load_data(self, document_ids: Sequence[str] | None = None) -> list[Document]:
        """Load documents."""
        return list(self.lazy_load_data(document_ids))

    async def aload_data(self, document_ids: Sequence[str] | None = None) -> list[Document]:
        """Load documents, asynchronously."""
        client, dataset = self._clients.asynchronous, await self._adataset()
        loaded: list[Document] = []
        async for found in client.documents.list(dataset):
            if document_ids is None or found.id in document_ids:
                loaded += self._read(found, [chunk async for chunk in client.chunks.list(dataset, found.id)])
        return loaded

    async def alazy_load_data(self, document_ids: Sequence[str] | None = None) -> Iterable[Document]:
        """Load documents, asynchronously; what LlamaIndex awaits here is not lazy."""
        return await self.aload_data(document_ids)

    def _read(self, found: models.Document, chunks: list[models.Chunk]) -> Iterator[Document]:
        whole = {"file_name": found.name, "document_id": found.id, "dataset_id": found.dataset_id or self.dataset_id}
        if self.by == "document":
            text = "\n\n".join(chunk.content for chunk in chunks)
            yield Document(id_=found.id, text=text, metadata={**found.metadata, **whole})
            return
        for chunk in chunks:
            made = _nodes.node(chunk).node
            metadata = {**found.metadata, **made.metadata, **whole}
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
        return [found.id for found in self._clients.sync.documents.list(self._dataset())]

    async def alist_resources(self) -> list[str]:
        """List the ids of the documents, asynchronously."""
        return [found.id async for found in self._clients.asynchronous.documents.list(await self._adataset())]

    def get_resource_info(self, resource_id: str) -> dict[str, Any]:
        """Describe a document."""
        return _info(self._clients.sync.documents.get(self._dataset(), resource_id))

    async def aget_resource_info(self, resource_id: str) -> dict[str, Any]:
        """Describe a document, asynchronously."""
        return _info(await self._clients.asynchronous.documents.get(await self._adataset(), resource_id))

    def load_resource(self, resource_id: str) -> list[Document]:
        """Load one document.

        Raises:
            DocumentNotFoundError: The dataset has no such document.
        """
        client, dataset = self._clients.sync, self._dataset()
        found = client.documents.get(dataset, resource_id)
        return list(self._read(found, list(client.chunks.list(dataset, resource_id))))

    async def aload_resource(self, resource_id: str) -> list[Document]:
        """Load one document, asynchronously."""
        client, dataset = self._clients.asynchronous, await self._adataset()
        found = await client.documents.get(dataset, resource_id)
        return list(self._read(found, [chunk async for chunk in client.chunks.list(dataset, resource_id)]))


def _info(found: models.Document) -> dict[str, Any]:
    return {
        "file_name": found.name,
        "status": found.status,
        "size": found.size,
        "chunk_count": found.chunk_count,
        "token_count": found.token_count,
        "metadata": dict(found.metadata),
    }
