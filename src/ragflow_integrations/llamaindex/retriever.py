"""`RAGFlowRetriever`: search in RAGFlow datasets as a LlamaIndex retriever."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llama_index.core.base.base_retriever import BaseRetriever

from ragflow_integrations._adapters.clients import ClientPair, split_connection
from ragflow_integrations._adapters.options import DEFAULT_LIMIT, RETRIEVAL_OPTIONS, check_names
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.target import DatasetsTarget
from ragflow_integrations._protocol import validation
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.llamaindex._component import RAGFlowComponent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import NodeWithScore, QueryBundle

    from ragflow_integrations._adapters.clients import AnyClient
    from ragflow_integrations._adapters.steps import Steps
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.llamaindex.options import RetrieverOptions
    from ragflow_integrations.models import Retrieval, RetrievalOptions


class RAGFlowRetriever(RAGFlowComponent, BaseRetriever):
    """Search in RAGFlow datasets.

    The id of a node is that of the chunk, its source relationship names the document, its score is the server's and None where
    the server gives none. A failed search raises; it never gives an empty list.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        dataset_ids: Datasets to search; all of one embedding model.
        dataset_names: Or their exact names, looked up once.
        similarity_top_k: How many nodes are wanted.
        callback_manager: Legacy callbacks; default those of `Settings`.
        verbose: Print what is followed from `IndexNode`s.
        **options: Options of every search, see `RetrievalOptions`; settings of the client (`base_url`, `api_key` …), see
            `ConnectionOptions`.

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
        dataset_ids: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        similarity_top_k: int = DEFAULT_LIMIT,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
        **options: Unpack[RetrieverOptions],
    ) -> None:
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        self._datasets = DatasetsTarget(dataset_ids, dataset_names)
        self.similarity_top_k = validation.positive("similarity_top_k", similarity_top_k)
        connection, others = split_connection(options)
        check_names(others, RETRIEVAL_OPTIONS, "search")
        self._options = cast("RetrievalOptions", others)
        self._clients = ClientPair(client, **connection)

    def _client_pair(self) -> ClientPair:
        return self._clients

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return run(self._search(self._clients.sync, query_bundle.query_str))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await arun(self._search(self._clients.async_, query_bundle.query_str))

    def _search(self, client: AnyClient, query: str) -> Steps[list[NodeWithScore]]:
        dataset_ids = yield from self._datasets.ids(client)
        result: Retrieval = yield client.retrieve(query, dataset_ids=dataset_ids, limit=self.similarity_top_k, **self._options)
        return _nodes.nodes(result.chunks)
