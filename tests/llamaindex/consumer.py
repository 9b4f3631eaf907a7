"""A program as its users' type checkers see it; it is checked by mypy and pyright, and never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from ragflow_integrations.llamaindex import (
    RAGFlowChatEngine,
    RAGFlowIndex,
    RAGFlowLLM,
    RAGFlowQueryEngine,
    RAGFlowReader,
    RAGFlowRetriever,
    RAGFlowToolSpec,
)

if TYPE_CHECKING:
    from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient


async def components(client: RAGFlowClient, async_client: AsyncRAGFlowClient) -> None:
    retriever = RAGFlowRetriever.from_defaults(client, dataset_ids=["d"], similarity_top_k=3, metadata_fields=["team"])
    assert_type(retriever, RAGFlowRetriever)
    assert_type(RAGFlowChatEngine.from_defaults(async_client, chat_id="c", stop=["END"]), RAGFlowChatEngine)
    assert_type(RAGFlowQueryEngine.from_defaults(agent_id="a", timeout=3, max_retries=0), RAGFlowQueryEngine)
    assert_type(RAGFlowLLM.from_defaults(chat_name="n", model="m@X", temperature=0.1), RAGFlowLLM)
    assert_type(RAGFlowIndex.from_defaults(dataset_id="d", base_url="http://h", api_key="k"), RAGFlowIndex)
    assert_type(RAGFlowReader.from_defaults(dataset_id="d", by="chunk"), RAGFlowReader)
    assert_type(RAGFlowToolSpec.from_defaults(chat_id="c", dataset_names=["n"], prefix="bikes"), RAGFlowToolSpec)
    assert_type(retriever.close(), None)
    await retriever.aclose()
