"""RAGFlow for LangChain.

`ChatRAGFlow` is a chat model, `RAGFlowRetriever` a retriever, `RAGFlowToolkit` gives tools for agents, `CitedAnswerParser` ends
a chain without losing citations, `RAGFlowLoader` loads documents. Errors are RAGFlow's and LangChain's at once.
"""

from ragflow_integrations.langchain import _compat
from ragflow_integrations.langchain._errors import (
    RAGFlowAgentNotFoundError,
    RAGFlowAPIError,
    RAGFlowAuthenticationError,
    RAGFlowChatNotFoundError,
    RAGFlowConnectionError,
    RAGFlowDatasetNotFoundError,
    RAGFlowDocumentNotFoundError,
    RAGFlowEmbeddingModelMismatchError,
    RAGFlowGenerationError,
    RAGFlowInvalidArgumentError,
    RAGFlowInvalidRequestError,
    RAGFlowModelUnavailableError,
    RAGFlowNotFoundError,
    RAGFlowPermissionDeniedError,
    RAGFlowProtocolError,
    RAGFlowRateLimitError,
    RAGFlowServerError,
    RAGFlowSessionBusyError,
    RAGFlowSessionNotFoundError,
    RAGFlowStreamInterruptedError,
    RAGFlowTimeoutError,
    RAGFlowUnsupportedByServerError,
)
from ragflow_integrations.langchain.chat_models import ChatRAGFlow
from ragflow_integrations.langchain.document_loaders import RAGFlowLoader
from ragflow_integrations.langchain.output_parsers import CitedAnswer, CitedAnswerParser
from ragflow_integrations.langchain.retrievers import RAGFlowRetriever
from ragflow_integrations.langchain.tools import RAGFlowToolkit

_compat.register()

__all__ = [
    "ChatRAGFlow",
    "CitedAnswer",
    "CitedAnswerParser",
    "RAGFlowAPIError",
    "RAGFlowAgentNotFoundError",
    "RAGFlowAuthenticationError",
    "RAGFlowChatNotFoundError",
    "RAGFlowConnectionError",
    "RAGFlowDatasetNotFoundError",
    "RAGFlowDocumentNotFoundError",
    "RAGFlowEmbeddingModelMismatchError",
    "RAGFlowGenerationError",
    "RAGFlowInvalidArgumentError",
    "RAGFlowInvalidRequestError",
    "RAGFlowLoader",
    "RAGFlowModelUnavailableError",
    "RAGFlowNotFoundError",
    "RAGFlowPermissionDeniedError",
    "RAGFlowProtocolError",
    "RAGFlowRateLimitError",
    "RAGFlowRetriever",
    "RAGFlowServerError",
    "RAGFlowSessionBusyError",
    "RAGFlowSessionNotFoundError",
    "RAGFlowStreamInterruptedError",
    "RAGFlowTimeoutError",
    "RAGFlowToolkit",
    "RAGFlowUnsupportedByServerError",
]
