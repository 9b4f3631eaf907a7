"""`RAGFlowToolSpec`: search and answers of RAGFlow as tools for LlamaIndex agents."""

# Annotations are evaluated here: LlamaIndex shows the signatures of tools to the model.
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from pydantic import SecretStr

from ragflow_integrations.client import RAGFlowClient
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.llamaindex.query_engine import PlainResponse, RAGFlowQueryEngine
from ragflow_integrations.llamaindex.retriever import RAGFlowRetriever
from ragflow_integrations.models import CompletionOptions, RetrievalOptions, Timeout

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore

    from ragflow_integrations.async_client import AsyncRAGFlowClient


class RAGFlowToolSpec(BaseToolSpec):
    """Tools for agents: `search` in datasets, `ask` an assistant; there is one for each that is named.

    A tool gives the model text and the program a `Response`: `tool_output.raw_output.source_nodes` are the sources, and
    LlamaIndex's own responses find them there. Every call stands alone.

    Args:
        client: Client to share, of either kind; excludes `base_url` and `api_key`.
        base_url: Root of the server; default RAGFLOW_BASE_URL.
        api_key: API key; default RAGFLOW_API_KEY.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        agent_id: Or an agent.
        dataset_ids: Datasets to search.
        dataset_names: Or their exact names.
        similarity_top_k: How many passages a search gives.
        callback_manager: Legacy callbacks; default those of `Settings`.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing.
        **options: Options of every question to the assistant; see `CompletionOptions`. The filters among them, `document_ids`
            and `metadata_condition`, limit the search as well.

    Raises:
        InvalidArgumentError: Neither an assistant nor a dataset is named, or an argument is wrong.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowToolSpec
        >>> tools = RAGFlowToolSpec(
        ...     base_url=base_url, api_key=api_key, chat_id=chat_id, dataset_ids=[dataset_id]
        ... ).to_tool_list()
        >>> [tool.metadata.name for tool in tools]
        ['search', 'ask']
        >>> output = tools[1](question="How long does a full charge take?")
        >>> output.raw_output.source_nodes[0].node.metadata["file_name"]
        'charging-stations.md'
    """

    def __init__(
        self,
        client: "RAGFlowClient | AsyncRAGFlowClient | None" = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        chat_id: str | None = None,
        chat_name: str | None = None,
        agent_id: str | None = None,
        dataset_ids: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        similarity_top_k: int = 6,
        callback_manager: CallbackManager | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        **options: Unpack[CompletionOptions],
    ) -> None:
        if client is None:
            client = RAGFlowClient(base_url, api_key, timeout=timeout, max_retries=max_retries)
        elif base_url is not None or api_key is not None:
            raise InvalidArgumentError("client", "excludes `base_url` and `api_key`: the client has its own")
        self.spec_functions = []
        filters: RetrievalOptions = {}
        if "document_ids" in options:
            filters["document_ids"] = options["document_ids"]
        if "metadata_condition" in options:
            filters["metadata_condition"] = options["metadata_condition"]
        if dataset_ids is not None or dataset_names is not None:
            self._retriever = RAGFlowRetriever(
                client,
                dataset_ids=dataset_ids,
                dataset_names=dataset_names,
                similarity_top_k=similarity_top_k,
                callback_manager=callback_manager,
                **filters,
            )
            self.spec_functions.append(("search", "asearch"))
        if chat_id is not None or chat_name is not None or agent_id is not None:
            self._engine = RAGFlowQueryEngine(
                client,
                chat_id=chat_id,
                chat_name=chat_name,
                agent_id=agent_id,
                callback_manager=callback_manager,
                **options,
            )
            self.spec_functions.append(("ask", "aask"))
        elif unused := sorted(set(options) - set(filters)):
            raise InvalidArgumentError(unused[0], "is an option of questions; name an assistant or agent to ask as well")
        if not self.spec_functions:
            raise InvalidArgumentError(
                "chat_id", "or `dataset_ids` (or another name for either) must say what the tools are for"
            )

    @classmethod
    def from_defaults(cls, client: "RAGFlowClient | AsyncRAGFlowClient | None" = None, **settings: Any) -> Self:
        """Make a tool spec; the arguments are those of the constructor."""
        return cls(client, **settings)

    def search(self, query: str) -> Response:
        """Search the knowledge base. Returns numbered passages with their file names, best first.

        Args:
            query (str): What to look for, as a question or key words.
        """
        return _passages(self._retriever.retrieve(query))

    async def asearch(self, query: str) -> Response:
        """Search the knowledge base, asynchronously; see `search`."""
        return _passages(await self._retriever.aretrieve(query))

    def ask(self, question: str) -> Response:
        """Ask the knowledge base's assistant. Returns an answer with numbered citations.

        Args:
            question (str): A complete question, in a sentence that is understood by itself.
        """
        return _answer(self._engine.query(question))

    async def aask(self, question: str) -> Response:
        """Ask the knowledge base's assistant, asynchronously; see `ask`."""
        return _answer(await self._engine.aquery(question))


def _passages(nodes: "list[NodeWithScore]") -> Response:
    texts = [f"[{at}] {node.node.metadata.get('file_name', '')}\n{node.node.get_content()}" for at, node in enumerate(nodes, 1)]
    return PlainResponse("\n\n".join(texts) or "Nothing was found.", nodes)


def _answer(response: object) -> Response:
    assert isinstance(response, Response)  # noqa: S101 - the engine does not stream
    return response
