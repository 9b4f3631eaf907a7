"""RAGFlow for LangChain, LlamaIndex and plain Python.

The core, framework-free: `RAGFlowClient` and `AsyncRAGFlowClient`, the values they return, the errors they raise. The adapters
are in `ragflow_integrations.langchain` and `ragflow_integrations.llamaindex`; importing one never loads the other's framework.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

from ragflow_integrations import errors
from ragflow_integrations._version import __version__
from ragflow_integrations.client import AnswerStream, RAGFlowClient
from ragflow_integrations.errors import *  # noqa: F403 - all errors are public here

if TYPE_CHECKING:
    from ragflow_integrations import models
    from ragflow_integrations.async_client import AsyncAnswerStream, AsyncRAGFlowClient
    from ragflow_integrations.models import *  # noqa: F403 - all models are public here

    __all__ = ["AnswerStream", "AsyncAnswerStream", "AsyncRAGFlowClient", "RAGFlowClient", "__version__"]
    __all__ += errors.__all__
    __all__ += models.__all__

_ASYNCHRONOUS = ("AsyncAnswerStream", "AsyncRAGFlowClient")

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Load what is first asked for: the models, and the asynchronous client with aiohttp."""
    if name in _ASYNCHRONOUS:
        return getattr(importlib.import_module(f"{__name__}.async_client"), name)
    if name == "__all__":
        return __dir__()
    if not name.startswith("_"):
        models = importlib.import_module(f"{__name__}.models")
        if name in models.__all__:
            return getattr(models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    models = importlib.import_module(f"{__name__}.models")
    return ["AnswerStream", "RAGFlowClient", "__version__", *_ASYNCHRONOUS, *errors.__all__, *models.__all__]
