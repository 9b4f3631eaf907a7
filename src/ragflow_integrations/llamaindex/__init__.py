"""RAGFlow for LlamaIndex.

`RAGFlowChatEngine` talks with a chat assistant or an agent, `RAGFlowQueryEngine` asks single questions, `RAGFlowRetriever`
searches datasets, `RAGFlowToolSpec` lets agents do both, `RAGFlowIndex` fills a dataset and gives the others, `RAGFlowReader`
reads one, and `RAGFlowLLM` stands where an LLM is wanted. None of them needs an LLM in `Settings`.
"""

from ragflow_integrations.llamaindex.chat_engine import RAGFlowChatEngine
from ragflow_integrations.llamaindex.index import RAGFlowIndex
from ragflow_integrations.llamaindex.llm import RAGFlowLLM
from ragflow_integrations.llamaindex.query_engine import RAGFlowQueryEngine
from ragflow_integrations.llamaindex.reader import RAGFlowReader
from ragflow_integrations.llamaindex.retriever import RAGFlowRetriever
from ragflow_integrations.llamaindex.streaming import RAGFlowStreamingChatResponse
from ragflow_integrations.llamaindex.tools import RAGFlowToolSpec

__all__ = [
    "RAGFlowChatEngine",
    "RAGFlowIndex",
    "RAGFlowLLM",
    "RAGFlowQueryEngine",
    "RAGFlowReader",
    "RAGFlowRetriever",
    "RAGFlowStreamingChatResponse",
    "RAGFlowToolSpec",
]
