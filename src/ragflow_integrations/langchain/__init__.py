"""RAGFlow for LangChain.

`ChatRAGFlow` is a chat model, `RAGFlowRetriever` a retriever, `RAGFlowToolkit` gives tools for agents, `CitedAnswerParser` ends
a chain without losing citations, `RAGFlowLoader` loads documents. Errors are RAGFlow's and LangChain's at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
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

_HOMES = {
    "CitedAnswer": "output_parsers",
    "CitedAnswerParser": "output_parsers",
    "RAGFlowLoader": "document_loaders",
    "RAGFlowRetriever": "retrievers",
    "RAGFlowToolkit": "tools",
}


def __getattr__(name: str) -> object:
    """Load what a program asks for when it does: LangChain's tools alone take longer than the chat model."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
