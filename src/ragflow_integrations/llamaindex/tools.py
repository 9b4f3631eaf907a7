"""`RAGFlowToolSpec`: search and answers of RAGFlow as tools for LlamaIndex agents."""

# Annotations are evaluated here: LlamaIndex shows the signatures of tools to the model.
from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack, cast

from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from ragflow_integrations._adapters.clients import ClientPair, split_connection
from ragflow_integrations._adapters.options import DEFAULT_LIMIT, QUESTION_OPTIONS, RETRIEVAL_OPTIONS
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.llamaindex._component import RAGFlowComponent
from ragflow_integrations.llamaindex.options import EngineOptions, QuestionOptions
from ragflow_integrations.llamaindex.query_engine import PlainResponse, RAGFlowQueryEngine
from ragflow_integrations.llamaindex.retriever import RAGFlowRetriever

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore

    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.models import RetrievalOptions


class RAGFlowToolSpec(RAGFlowComponent, BaseToolSpec):
    """Tools for agents: `ragflow_search` searches datasets, `ragflow_ask` asks an assistant; each if its target is named.

    A tool gives the model text and the program a `Response`: `tool_output.raw_output.source_nodes` are the sources, and
    LlamaIndex's own responses find them there. Every call stands alone.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        agent_id: Or an agent.
        dataset_ids: Datasets to search.
        dataset_names: Or their exact names.
        similarity_top_k: How many passages a search gives.
        prefix: First part of the tools' names, to tell several tool specs apart; without one they are `search` and `ask`.
        callback_manager: Legacy callbacks; default those of `Settings`.
        **options: Options of every question to the assistant, see `QuestionOptions`; the filters among them, `document_ids` and
            `metadata_condition`, limit the search as well. Settings of the client (`base_url`, `api_key` …), see
            `ConnectionOptions`.

    Raises:
        InvalidArgumentError: Neither an assistant nor a dataset is named, or an argument is wrong.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowToolSpec
        >>> tools = RAGFlowToolSpec(
        ...     base_url=base_url, api_key=api_key, chat_id=chat_id, dataset_ids=[dataset_id]
        ... ).to_tool_list()
        >>> [tool.metadata.name for tool in tools]
        ['ragflow_search', 'ragflow_ask']
        >>> output = tools[1](question="How long does a full charge take?")
        >>> output.raw_output.source_nodes[0].node.metadata["file_name"]
        'charging-stations.md'
    """

    def __init__(
        self,
        client: "RAGFlowClient | AsyncRAGFlowClient | None" = None,
        *,
        chat_id: str | None = None,
        chat_name: str | None = None,
        agent_id: str | None = None,
        dataset_ids: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        similarity_top_k: int = DEFAULT_LIMIT,
        prefix: str = "ragflow",
        callback_manager: CallbackManager | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        connection, others = split_connection(options)
        self._clients = ClientPair(client, **connection)
        self._prefix = prefix
        self.spec_functions = []
        filters = {name: value for name, value in others.items() if name in QUESTION_OPTIONS and name in RETRIEVAL_OPTIONS}
        if dataset_ids is not None or dataset_names is not None:
            self._retriever = RAGFlowRetriever(
                self._clients.primary,
                dataset_ids=dataset_ids,
                dataset_names=dataset_names,
                similarity_top_k=similarity_top_k,
                callback_manager=callback_manager,
                **cast("RetrievalOptions", filters),
            )
            self.spec_functions.append(("search", "asearch"))
        if chat_id is not None or chat_name is not None or agent_id is not None:
            self._engine = RAGFlowQueryEngine(
                self._clients.primary,
                chat_id=chat_id,
                chat_name=chat_name,
                agent_id=agent_id,
                callback_manager=callback_manager,
                **cast("QuestionOptions", others),
            )
            self.spec_functions.append(("ask", "aask"))
        elif unused := sorted(set(others) - set(filters)):
            raise InvalidArgumentError(unused[0], "is an option of questions; name an assistant or agent to ask as well")
        if not self.spec_functions:
            raise InvalidArgumentError(
                "chat_id", "or `dataset_ids` (or another name for either) must say what the tools are for"
            )

    def _client_pair(self) -> ClientPair:
        return self._clients

    def to_tool_list(
        self,
        spec_functions: list[str | tuple[str, str]] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        """Return the tools, with the prefix before their names.

        Args:
            spec_functions: Names of the methods to make tools of; default all.
            func_to_metadata_mapping: Name of a method → what its tool is called and described as.
        """
        described = func_to_metadata_mapping or {}
        tools = super().to_tool_list(spec_functions, described)
        for tool in tools:
            metadata = tool.metadata
            if self._prefix and metadata not in described.values():
                name = str(metadata.name)
                metadata.name = f"{self._prefix}_{name}"
                # LlamaIndex begins the description with the signature of the method.
                metadata.description = metadata.description.replace(f"{name}(", f"{metadata.name}(", 1)
        return tools

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
    texts = [
        f"[{number}] {node.node.metadata.get('file_name', '')}\n{node.node.get_content()}"
        for number, node in enumerate(nodes, 1)
    ]
    return PlainResponse("\n\n".join(texts) or "Nothing was found.", nodes)


def _answer(response: object) -> Response:
    assert isinstance(response, Response)  # noqa: S101 - the engine does not stream
    return response
