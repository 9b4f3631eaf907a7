"""RAGFlow for LlamaIndex."""

from ragflow_integrations.llamaindex.chat_engine import RAGFlowChatEngine
from ragflow_integrations.llamaindex.query_engine import RAGFlowQueryEngine
from ragflow_integrations.llamaindex.retriever import RAGFlowRetriever
from ragflow_integrations.llamaindex.streaming import RAGFlowStreamingChatResponse

__all__ = ["RAGFlowChatEngine", "RAGFlowQueryEngine", "RAGFlowRetriever", "RAGFlowStreamingChatResponse"]
