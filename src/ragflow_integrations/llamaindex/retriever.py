"""`RAGFlowRetriever`: search in RAGFlow datasets as a LlamaIndex retriever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.base_retriever import BaseRetriever

from ragflow_integrations._adapters import Clients
from ragflow_integrations._protocol import validation
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.models import RetrievalOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import NodeWithScore, QueryBundle
    from pydantic import SecretStr

    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.models import Timeout


class RAGFlowRetriever(BaseRetriever):
    """Search in RAGFlow datasets.

    The id of a node is that of the chunk, its source relationship names the document, its score is the server's and None where
    the server gives none. A failed search raises; it never gives an empty list.

    Args:
        client: Client to share, of either kind; excludes `base_url` and `api_key`.
        base_url: Root of the server; default RAGFLOW_BASE_URL.
        api_key: API key; default RAGFLOW_API_KEY.
        dataset_ids: Datasets to search; all of one embedding model.
        dataset_names: Or their exact names, looked up once.
        similarity_top_k: How many nodes are wanted.
        callback_manager: Legacy callbacks; default those of `Settings`.
        verbose: Print what is followed from `IndexNode`s.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing.
        **options: See `RetrievalOptions`.

    Raises:
        InvalidArgumentError: An argument is missing, malformed or contradicts another.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowRetriever
        >>> retriever = RAGFlowRetriever(base_url=base_url, api_key=api_key, dataset_ids=[dataset_id], similarity_top_k=2)
        >>> nodes = retriever.retrieve("How long does a full charge take?")
        >>> nodes[0].node.metadata["file_name"]
        'charging-stations.md'
    """

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        dataset_ids: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        similarity_top_k: int = 8,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        **options: Unpack[RetrievalOptions],
    ) -> None:
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        given = validation.exactly_one(dataset_ids=dataset_ids, dataset_names=dataset_names)
        named = validation.ids(given, dataset_ids if dataset_ids is not None else dataset_names)
        self._dataset_ids = named if given == "dataset_ids" else None
        self._dataset_names = named
        self.similarity_top_k = validation.positive("similarity_top_k", similarity_top_k)
        validation.known("options", options, sorted(RetrievalOptions.__optional_keys__))
        self._options = options
        self._clients = Clients(client, base_url=base_url, api_key=api_key, timeout=timeout, max_retries=max_retries)

    @classmethod
    def from_defaults(cls, client: RAGFlowClient | AsyncRAGFlowClient | None = None, **settings: Any) -> Self:
        """Make a retriever; the arguments are those of the constructor."""
        return cls(client, **settings)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        client = self._clients.sync
        if self._dataset_ids is None:
            self._dataset_ids = [client.datasets.find(name).id for name in self._dataset_names]
        found = client.retrieve(
            query_bundle.query_str, dataset_ids=self._dataset_ids, limit=self.similarity_top_k, **self._options
        )
        return _nodes.nodes(found.chunks)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        client = self._clients.asynchronous
        if self._dataset_ids is None:
            self._dataset_ids = [(await client.datasets.find(name)).id for name in self._dataset_names]
        found = await client.retrieve(
            query_bundle.query_str, dataset_ids=self._dataset_ids, limit=self.similarity_top_k, **self._options
        )
        return _nodes.nodes(found.chunks)
