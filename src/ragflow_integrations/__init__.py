"""RAGFlow for LangChain, LlamaIndex and plain Python.

The core, framework-free: `RAGFlowClient` and `AsyncRAGFlowClient`, the values they return, the errors they raise. The adapters
are in `ragflow_integrations.langchain` and `ragflow_integrations.llamaindex`; importing one never loads the other's framework.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

from ragflow_integrations import errors, models
from ragflow_integrations._version import __version__
from ragflow_integrations.client import AnswerStream, RAGFlowClient
from ragflow_integrations.errors import *  # noqa: F403 - all errors are public here
from ragflow_integrations.models import *  # noqa: F403 - all models are public here

if TYPE_CHECKING:
    from ragflow_integrations.async_client import AsyncAnswerStream, AsyncRAGFlowClient

__all__ = ["AnswerStream", "AsyncAnswerStream", "AsyncRAGFlowClient", "RAGFlowClient", "__version__"]
__all__ += errors.__all__
__all__ += models.__all__

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Load the asynchronous client, and aiohttp with it, when it is first used."""
    if name in ("AsyncAnswerStream", "AsyncRAGFlowClient"):
        return getattr(importlib.import_module(f"{__name__}.async_client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
