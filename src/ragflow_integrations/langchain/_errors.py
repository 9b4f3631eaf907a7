"""Errors that are RAGFlow's and LangChain's at once: whichever a program catches, it catches them.

LangChain's retry helpers ask `is_retryable`; here it says what the core's `retryable` says.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_core.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from ragflow_integrations import errors

if TYPE_CHECKING:
    from collections.abc import Iterator


class RAGFlowInvalidArgumentError(errors.InvalidArgumentError, ModelInvalidRequestError):
    """An argument is missing or wrong; nothing was sent."""


class RAGFlowConnectionError(errors.ConnectionFailedError, ModelConnectionError):
    """No reply came."""


class RAGFlowTimeoutError(errors.RequestTimeoutError, ModelTimeoutError):
    """No reply came in time."""


class RAGFlowAPIError(errors.APIError, ModelAPIError):
    """The server answered with an error of no other kind."""


class RAGFlowAuthenticationError(errors.AuthenticationError, ModelAuthenticationError):
    """The API key is missing, malformed or unknown to the server."""


class RAGFlowPermissionDeniedError(errors.PermissionDeniedError, ModelPermissionDeniedError):
    """The key is valid and may not do this."""


class RAGFlowInvalidRequestError(errors.InvalidRequestError, ModelInvalidRequestError):
    """The server refused the content of the request."""


class RAGFlowRateLimitError(errors.RateLimitError, ModelRateLimitError):
    """Too many requests."""


class RAGFlowServerError(errors.ServerError, ModelAPIError):
    """The server failed."""


class RAGFlowNotFoundError(errors.NotFoundError, ModelNotFoundError):
    """The object does not exist, or belongs to somebody else."""


class RAGFlowChatNotFoundError(errors.ChatNotFoundError, ModelNotFoundError):
    """No such chat assistant."""


class RAGFlowSessionNotFoundError(errors.SessionNotFoundError, ModelNotFoundError):
    """No such session."""


class RAGFlowDatasetNotFoundError(errors.DatasetNotFoundError, ModelNotFoundError):
    """No such dataset."""


class RAGFlowDocumentNotFoundError(errors.DocumentNotFoundError, ModelNotFoundError):
    """No such document."""


class RAGFlowAgentNotFoundError(errors.AgentNotFoundError, ModelNotFoundError):
    """No such agent."""


class RAGFlowModelUnavailableError(errors.ModelUnavailableError, ModelNotFoundError):
    """The LLM or rerank model asked for is not configured on the server."""


class RAGFlowEmbeddingModelMismatchError(errors.EmbeddingModelMismatchError, ModelInvalidRequestError):
    """The datasets of one retrieval use different embedding models."""


class RAGFlowGenerationError(errors.GenerationError, ModelAPIError):
    """The LLM behind RAGFlow failed."""


class RAGFlowStreamInterruptedError(errors.StreamInterruptedError, ModelConnectionError):
    """An answer began and did not end."""


class RAGFlowProtocolError(errors.ProtocolError, ModelError):
    """The reply is not RAGFlow's API."""


class RAGFlowUnsupportedByServerError(errors.UnsupportedByServerError, ModelInvalidRequestError):
    """This server's version cannot do what was asked."""


class RAGFlowSessionBusyError(errors.SessionBusyError, ModelError):
    """Another turn of this session is unfinished."""


#: The classes above by the core's class, which is the first parent of each.
_CLASSES: dict[type, type[errors.RAGFlowError]] = {
    cls.__bases__[0]: cls for cls in tuple(globals().values()) if isinstance(cls, type) and issubclass(cls, errors.RAGFlowError)
}


def translate(error: errors.RAGFlowError) -> errors.RAGFlowError:
    """Return an error of the core as one of LangChain too, with its text, attributes and traceback."""
    cls = next((_CLASSES[base] for base in type(error).__mro__ if base in _CLASSES), None)
    if cls is None or isinstance(error, ModelError):
        return error
    twin = cls.__new__(cls, *error.args)
    twin.__dict__.update(error.__dict__, is_retryable=error.retryable)
    return twin.with_traceback(error.__traceback__)


@contextmanager
def langchain_errors() -> Iterator[None]:
    """Raise errors of the core as LangChain's too."""
    try:
        yield
    except errors.RAGFlowError as error:
        raise translate(error) from error.__cause__
