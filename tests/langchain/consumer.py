"""A program that uses every public name; type checkers must understand it, and `test_typing` runs them on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.content import Citation
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import BaseTool
from pydantic import SecretStr

from ragflow_integrations import AsyncRAGFlowClient, AuthenticationError, RAGFlowClient, Timeout
from ragflow_integrations import langchain as lc
from ragflow_integrations.langchain import (
    ChatRAGFlow,
    CitedAnswer,
    CitedAnswerParser,
    RAGFlowAuthenticationError,
    RAGFlowLoader,
    RAGFlowRetriever,
    RAGFlowToolkit,
)

if TYPE_CHECKING:
    from langchain_core.exceptions import ModelAuthenticationError, ModelError


async def chat() -> None:
    model = ChatRAGFlow(
        chat_id="c",
        base_url="http://localhost:9380",
        api_key="key",
        timeout=Timeout(read=30),
        max_retries=1,
        session_store={},
        temperature=0.1,
        max_tokens=100,
        stop=["\n\n"],
        citation_style="none",
        document_ids=["d"],
        metadata_condition={"conditions": [{"name": "a", "comparison_operator": "empty"}]},
        reasoning_effort="high",
        system_message="prepend",
        cache=False,
        tags=["t"],
    )
    assert_type(model.invoke("q", session_id="s"), AIMessage)
    assert_type(await model.ainvoke("q"), AIMessage)
    for chunk in model.stream("q", conversation_id="c"):
        assert_type(chunk, AIMessageChunk)
    async for chunk in model.astream("q"):
        assert_type(chunk, AIMessageChunk)
    model.configurable_fields(session_id=ConfigurableField(id="session_id"))
    with RAGFlowClient("http://localhost:9380", SecretStr("key")) as client:
        assert_type(ChatRAGFlow.from_client(client, chat_name="n"), ChatRAGFlow)
        ChatRAGFlow(client=client, agent_id="a", inputs={"topic": "x"})
    async with AsyncRAGFlowClient() as asynchronous:
        ChatRAGFlow(client=asynchronous, chat_id="c", api_key=None)
    assert_type(model.close(), None)
    await model.aclose()


async def chains() -> None:
    chain = ChatPromptTemplate.from_template("{q}") | ChatRAGFlow(chat_id="c") | CitedAnswerParser()
    answer = assert_type(chain.invoke({"q": "?"}), CitedAnswer)
    async for piece in chain.astream({"q": "?"}):
        answer = assert_type(answer + piece, CitedAnswer)
    assert_type(answer.text, str)
    assert_type(answer.citations, list[Citation])
    assert_type(answer.sources, list[Document])
    assert_type(answer.reasoning, str)
    assert_type(answer.to_markdown(), str)
    assert_type(CitedAnswer.from_message(AIMessage("a")), CitedAnswer)


async def documents() -> None:
    retriever = RAGFlowRetriever(dataset_ids=["d"], k=4, api_key=SecretStr("key"), similarity_threshold=0.1)
    assert_type(retriever.invoke("q", k=3), list[Document])
    assert_type(await retriever.ainvoke("q"), list[Document])
    assert_type(retriever.with_filters({"team": "sales", "year": 2024}, document_ids=["d"]), RAGFlowRetriever)
    loader = RAGFlowLoader(dataset_name="n", document_ids=["d"], by="document")
    RAGFlowLoader(dataset_name="n", mode="documents")  # the old name
    assert_type(loader.load(), list[Document])
    for document in loader.lazy_load():
        assert_type(document, Document)
    async for document in loader.alazy_load():
        assert_type(document, Document)
    toolkit = RAGFlowToolkit(chat_id="c", dataset_names=["n"], k=3, about="bikes", prefix="bikes")
    assert_type(toolkit.get_tools(), list[BaseTool])


def errors() -> None:
    try:
        ChatRAGFlow(chat_id="c").invoke("q")
    except lc.RAGFlowRateLimitError as error:
        assert_type(error.retry_after, float | None)
    except RAGFlowAuthenticationError as error:
        assert_type(error.code, int | None)
        first: AuthenticationError = error
        second: ModelAuthenticationError = error
        assert_type(second.is_retryable, bool)
        raise first from second
    except (lc.RAGFlowGenerationError, lc.RAGFlowStreamInterruptedError, lc.RAGFlowServerError) as error:
        assert_type(error.partial, str)
    except (
        lc.RAGFlowAPIError,
        lc.RAGFlowAgentNotFoundError,
        lc.RAGFlowChatNotFoundError,
        lc.RAGFlowConnectionError,
        lc.RAGFlowDatasetNotFoundError,
        lc.RAGFlowDocumentNotFoundError,
        lc.RAGFlowEmbeddingModelMismatchError,
        lc.RAGFlowInvalidArgumentError,
        lc.RAGFlowInvalidRequestError,
        lc.RAGFlowModelUnavailableError,
        lc.RAGFlowNotFoundError,
        lc.RAGFlowPermissionDeniedError,
        lc.RAGFlowProtocolError,
        lc.RAGFlowSessionBusyError,
        lc.RAGFlowSessionNotFoundError,
        lc.RAGFlowTimeoutError,
        lc.RAGFlowUnsupportedByServerError,
    ) as error:
        found: ModelError = error
        raise found from None
