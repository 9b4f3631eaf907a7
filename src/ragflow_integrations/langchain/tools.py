"""`RAGFlowToolkit`: RAGFlow as tools, for agents whose model calls tools."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - pydantic evaluates the types of fields
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import Callbacks  # noqa: TC002 - LangChain evaluates the types of a tool's function
from langchain_core.documents import Document  # noqa: TC002 - as above
from langchain_core.tools import BaseTool, BaseToolkit, StructuredTool, ToolException
from pydantic import BaseModel, Field, model_validator

from ragflow_integrations._adapters.options import DEFAULT_LIMIT
from ragflow_integrations._protocol import validation
from ragflow_integrations.errors import RAGFlowError
from ragflow_integrations.langchain._component import RAGFlowComponent
from ragflow_integrations.langchain.chat_models import ChatRAGFlow
from ragflow_integrations.langchain.output_parsers import CitedAnswer
from ragflow_integrations.langchain.retrievers import RAGFlowRetriever

if TYPE_CHECKING:
    from collections.abc import Iterator


_ASK = "Ask an assistant that answers from a document collection. Gives an answer with numbered citations such as [1]."
_SEARCH = "Search a document collection. Gives the passages that fit best, numbered, with the documents' names."


class AskInput(BaseModel):
    """Arguments of `ragflow_ask`."""

    question: str = Field(description="A complete question that can be understood without the conversation.")


class SearchInput(BaseModel):
    """Arguments of `ragflow_search`."""

    query: str = Field(description="What to look for: a question or key words.")


@dataclass(frozen=True)
class _Ask:
    """Asks an assistant; content is its answer, artifact a `CitedAnswer`."""

    model: ChatRAGFlow

    def run(self, question: str, callbacks: Callbacks = None) -> tuple[str, CitedAnswer]:
        with _tool_errors():
            answer = CitedAnswer.from_message(self.model.invoke(question, {"callbacks": callbacks}))
        return answer.text, answer

    async def arun(self, question: str, callbacks: Callbacks = None) -> tuple[str, CitedAnswer]:
        with _tool_errors():
            answer = CitedAnswer.from_message(await self.model.ainvoke(question, {"callbacks": callbacks}))
        return answer.text, answer


@dataclass(frozen=True)
class _Search:
    """Searches datasets; content is the passages as text, artifact the documents."""

    retriever: RAGFlowRetriever

    def run(self, query: str, callbacks: Callbacks = None) -> tuple[str, list[Document]]:
        with _tool_errors():
            documents = self.retriever.invoke(query, {"callbacks": callbacks})
        return _numbered(documents), documents

    async def arun(self, query: str, callbacks: Callbacks = None) -> tuple[str, list[Document]]:
        with _tool_errors():
            documents = await self.retriever.ainvoke(query, {"callbacks": callbacks})
        return _numbered(documents), documents


class RAGFlowToolkit(BaseToolkit, RAGFlowComponent):
    """RAGFlow as tools, for agents whose model calls tools.

    `ragflow_ask`, if an assistant or agent is named, returns its answer as content and a `CitedAnswer` as artifact.
    `ragflow_search`, if datasets are named, returns the passages as content and the documents as artifact. Both are native
    in async code. Errors become text that says what happened and whether to try again; with `tool.handle_tool_error = False`
    they are raised.

    Example:
        >>> from ragflow_integrations.langchain import RAGFlowToolkit
        >>> toolkit = RAGFlowToolkit(chat_id=chat_id, dataset_ids=[dataset_id], base_url=base_url, api_key=api_key)
        >>> ask, search = toolkit.get_tools()
        >>> ask.invoke({"question": "How long does a full charge take?"})
        'A full charge at a charging station takes four hours [1].'
        >>> call = {"type": "tool_call", "name": "ragflow_search", "id": "1", "args": {"query": "full charge"}}
        >>> search.invoke(call).artifact[0].metadata["source"]
        'charging-stations.md'
        >>> toolkit.close()
    """

    chat_id: str | None = None
    """Chat assistant that `ragflow_ask` asks."""
    chat_name: str | None = None
    """Its exact name instead."""
    agent_id: str | None = None
    """Agent that it asks instead."""
    dataset_ids: Sequence[str] | None = None
    """Datasets that `ragflow_search` searches."""
    dataset_names: Sequence[str] | None = None
    """Their exact names instead."""
    k: int = DEFAULT_LIMIT
    """Documents that it gives."""
    document_ids: Sequence[str] | None = None
    """Both tools stay within these documents."""
    metadata_condition: dict[str, Any] | None = None
    """Both tools stay within documents with such metadata; see `RetrievalOptions`."""
    about: str = ""
    """What the documents are about: it tells the model when to use the tools."""
    prefix: str = "ragflow"
    """First part of the tools' names, to tell several toolkits apart."""

    @model_validator(mode="after")
    def _make_tools(self) -> Self:
        self.get_tools()  # what is wrong is raised now
        return self

    def get_tools(self) -> list[BaseTool]:
        """Return the tools."""
        assistant = _without_none(chat_id=self.chat_id, chat_name=self.chat_name, agent_id=self.agent_id)
        datasets = _without_none(dataset_ids=self.dataset_ids, dataset_names=self.dataset_names)
        filters = _without_none(document_ids=self.document_ids, metadata_condition=self.metadata_condition)
        tools: list[BaseTool] = []
        if assistant:
            # The inner model's tokens are no part of the outer model's answer: agents' streams leave them out by this tag.
            model = ChatRAGFlow(client=self.client, disable_streaming=True, tags=["nostream"], **assistant, **filters)
            tools.append(self._tool("ask", _ASK, AskInput, _Ask(model)))
        if datasets:
            retriever = RAGFlowRetriever(client=self.client, k=self.k, **datasets, **filters)
            tools.append(self._tool("search", _SEARCH, SearchInput, _Search(retriever)))
        if not tools:
            validation.exactly_one(**dict.fromkeys(("chat_id", "chat_name", "agent_id", "dataset_ids", "dataset_names")))
        return tools

    def _tool(self, name: str, description: str, schema: type[BaseModel], action: _Ask | _Search) -> BaseTool:
        about = f" The documents are about {self.about}." if self.about else ""
        return StructuredTool.from_function(
            action.run,
            action.arun,
            name=f"{self.prefix}_{name}",
            description=description + about,
            args_schema=schema,
            response_format="content_and_artifact",
            handle_tool_error=True,
            handle_validation_error=True,
        )


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Raise errors as what agents give to their model, with what it can do about them."""
    try:
        yield
    except RAGFlowError as error:
        advice = "This may pass: try again once." if error.retryable else "The same call will fail again: do not repeat it."
        raise ToolException(f"{error} {advice}") from error


def _numbered(documents: list[Document]) -> str:
    if not documents:
        return "Nothing was found. Try other words."
    return "\n\n".join(
        f"[{number}] {document.metadata['document_name']}\n{document.page_content}"
        for number, document in enumerate(documents, 1)
    )


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


__all__ = ["RAGFlowToolkit"]
