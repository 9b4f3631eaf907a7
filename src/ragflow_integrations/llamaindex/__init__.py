"""RAGFlow for LlamaIndex.

`RAGFlowChatEngine` talks with a chat assistant or an agent, `RAGFlowQueryEngine` asks single questions, `RAGFlowRetriever`
searches datasets, `RAGFlowToolSpec` lets agents do both, `RAGFlowIndex` fills a dataset and gives the others, `RAGFlowReader`
reads one, and `RAGFlowLLM` stands where an LLM is wanted. None of them needs an LLM in `Settings`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragflow_integrations.llamaindex.chat_engine import RAGFlowChatEngine
    from ragflow_integrations.llamaindex.index import RAGFlowIndex
    from ragflow_integrations.llamaindex.llm import RAGFlowLLM
    from ragflow_integrations.llamaindex.options import EngineOptions, QuestionOptions, RetrieverOptions
    from ragflow_integrations.llamaindex.query_engine import RAGFlowQueryEngine
    from ragflow_integrations.llamaindex.reader import RAGFlowReader
    from ragflow_integrations.llamaindex.retriever import RAGFlowRetriever
    from ragflow_integrations.llamaindex.streaming import RAGFlowStreamingChatResponse
    from ragflow_integrations.llamaindex.tools import RAGFlowToolSpec

__all__ = [
    "EngineOptions",
    "QuestionOptions",
    "RAGFlowChatEngine",
    "RAGFlowIndex",
    "RAGFlowLLM",
    "RAGFlowQueryEngine",
    "RAGFlowReader",
    "RAGFlowRetriever",
    "RAGFlowStreamingChatResponse",
    "RAGFlowToolSpec",
    "RetrieverOptions",
]

_HOMES = {
    "EngineOptions": "options",
    "QuestionOptions": "options",
    "RAGFlowChatEngine": "chat_engine",
    "RAGFlowIndex": "index",
    "RAGFlowLLM": "llm",
    "RAGFlowQueryEngine": "query_engine",
    "RAGFlowReader": "reader",
    "RAGFlowRetriever": "retriever",
    "RAGFlowStreamingChatResponse": "streaming",
    "RAGFlowToolSpec": "tools",
    "RetrieverOptions": "options",
}


def __getattr__(name: str) -> object:
    """Load what a program asks for when it does."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
