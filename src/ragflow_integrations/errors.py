"""What can go wrong, one class per remedy.

Every error is a `RAGFlowError`; its text says what happened, to which object, and what to do. Errors survive `pickle` and
`copy`, and carry no API key: `ErrorResponse` keeps the server's reply, never the request.

    RAGFlowError
      InvalidArgumentError (also a ValueError)    a call was wrong before anything was sent
      ConnectionFailedError → RequestTimeoutError
      APIError                                    the server said no: code, http_status, message, response, request_id
        AuthenticationError · PermissionDeniedError · InvalidRequestError · RateLimitError · ServerError
        NotFoundError → ChatNotFoundError · SessionNotFoundError · DatasetNotFoundError · DocumentNotFoundError
                        · ChunkNotFoundError · AgentNotFoundError
        ModelUnavailableError · EmbeddingModelMismatchError
        InvalidRequestError → DocumentUploadError
      GenerationError                             the LLM behind RAGFlow failed
      StreamInterruptedError                      an answer began and did not end
      ProtocolError                               the reply is not RAGFlow's
      UnsupportedByServerError · SessionBusyError · DocumentParsingError

Example:
    >>> from ragflow_integrations import ChatNotFoundError, RAGFlowError
    >>> issubclass(ChatNotFoundError, RAGFlowError)
    True
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The server's reply behind an `APIError`: what LangChain's tracers read from an exception's `response`.

    Attributes:
        status_code: HTTP status.
        headers: Reply headers, names in lower case.
        text: Body, cut after 4,096 characters.
    """

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    text: str = ""

    def json(self) -> Any:
        """Parse the body as JSON.

        Raises:
            ValueError: The body is not (whole) JSON.
        """
        return json.loads(self.text)


class RAGFlowError(Exception):
    """Base of every error of this package.

    Attributes:
        retryable: Whether the same call may well succeed when it is made again later.
    """

    retryable: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from class, arguments and attributes, so that constructors may take keywords."""
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[RAGFlowError], args: tuple[object, ...], state: dict[str, object]) -> RAGFlowError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class InvalidArgumentError(RAGFlowError, ValueError):
    """An argument is missing, empty, of the wrong type or contradicts another; nothing was sent.

    Attributes:
        argument: Name of the argument to change.
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"`{argument}` {problem}")
        self.argument = argument


class ConnectionFailedError(RAGFlowError):
    """No reply came: refused, reset, not resolved, TLS failed.

    Attributes:
        sent: Whether the request may have reached the server.
        began: Whether a reply had begun to come.
    """

    retryable = True
    began: bool = False

    def __init__(self, text: str, *, sent: bool = True) -> None:
        super().__init__(text)
        self.sent = sent


class RequestTimeoutError(ConnectionFailedError):
    """No reply came within the connect or the read timeout."""


class APIError(RAGFlowError):
    """The server answered with an error.

    RAGFlow answers nearly every error with HTTP 200 and a `code` other than 0 in the body.

    Attributes:
        code: RAGFlow's code (100, 101, 102, 103, 108, 109, 401 …) or None if the body had none.
        http_status: HTTP status of the reply.
        message: The server's own words.
        response: The reply; `response.json()` gives the body.
        request_id: The `x-request-id` header, if a proxy sets one.
    """

    def __init__(
        self,
        text: str,
        *,
        code: int | None = None,
        http_status: int = 200,
        message: str = "",
        response: ErrorResponse | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.http_status = http_status
        self.message = message
        self.response = response
        self.request_id = request_id


class AuthenticationError(APIError):
    """The API key is missing, malformed or unknown to the server."""


class PermissionDeniedError(APIError):
    """The key is valid and may not do this."""


class InvalidRequestError(APIError):
    """The server refused the content of the request."""


class RateLimitError(APIError):
    """Too many requests.

    Attributes:
        retry_after: Seconds the server asked to wait, or None.
    """

    retryable = True
    retry_after: float | None = None


class ServerError(APIError):
    """The server failed: a 5xx, an exception text, or a `code: 500` event within a stream.

    Attributes:
        partial: Answer text received before the failure.
        retry_after: Seconds the server asked to wait, or None.
    """

    retryable = True
    partial: str = ""
    retry_after: float | None = None


class NotFoundError(APIError):
    """The object does not exist, or belongs to somebody else: RAGFlow does not tell these apart.

    Attributes:
        remaining: After a delete of several objects: the ids of those that still exist.
        gone: After a delete of several objects: the ids of those that do not exist now.
    """

    remaining: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class ChatNotFoundError(NotFoundError):
    """No such chat assistant."""


class SessionNotFoundError(NotFoundError):
    """No such session in this chat assistant or agent."""


class DatasetNotFoundError(NotFoundError):
    """No such dataset."""


class DocumentNotFoundError(NotFoundError):
    """No such document."""


class ChunkNotFoundError(NotFoundError):
    """No such chunk in this document."""


class AgentNotFoundError(NotFoundError):
    """No such agent."""


class ModelUnavailableError(APIError):
    """The LLM or rerank model asked for is not configured on the server."""


class EmbeddingModelMismatchError(APIError):
    """The datasets of one retrieval use different embedding models."""


#: Kinds of LLM failure that may pass when tried again (RAGFlow `rag/llm/chat_model.py`, `LLMErrorCode`).
_PASSING_KINDS = frozenset({"RATE_LIMIT_EXCEEDED", "SERVER_ERROR", "TIMEOUT", "CONNECTION_ERROR", "MAX_RETRIES_EXCEEDED"})


class GenerationError(RAGFlowError):
    """The LLM behind RAGFlow failed; on the wire this is text within a successful answer.

    Attributes:
        kind: RAGFlow's word, such as `RATE_LIMIT_EXCEEDED` or `AUTH_ERROR`; None if it gives none (streams ≤ 0.22.1).
        detail: The rest of the server's text.
        partial: Answer text received before the failure.
    """

    def __init__(self, text: str, *, kind: str | None = None, detail: str = "", partial: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.detail = detail
        self.partial = partial
        self.retryable = kind is None or kind in _PASSING_KINDS


class StreamInterruptedError(RAGFlowError):
    """An answer began and did not end: cut off, fallen silent, or without its terminator.

    Attributes:
        partial: Answer text received until then.
    """

    retryable = True

    def __init__(self, text: str, *, partial: str = "") -> None:
        super().__init__(text)
        self.partial = partial


class ProtocolError(RAGFlowError):
    """The reply is not RAGFlow's API: HTML, another service, a wrong base path, malformed frames.

    Attributes:
        partial: Answer text received before it.
    """

    partial: str = ""


class DocumentParsingError(RAGFlowError):
    """The server could not parse a document, or was told to stop."""


class StoredDocument(Protocol):
    """A document as `DocumentUploadError` names it: a `Document` of the models."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def name(self) -> str:
        """Its file name."""
        ...


class DocumentUploadError(InvalidRequestError):
    """Files of an upload were refused; uploading all again would store the others twice.

    Attributes:
        stored: Documents made of the other files, in the order of the files. Before 0.26.3 the server does not name them:
            they are looked up by name and size.
        failed: Names of the refused files, each with the server's reason.
    """

    def __init__(
        self,
        text: str,
        *,
        stored: tuple[StoredDocument, ...] = (),
        failed: Mapping[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(text, **details)
        self.stored = stored
        self.failed = dict(failed or {})


class UnsupportedByServerError(RAGFlowError):
    """The server cannot do what was asked: its release cannot, or no release can honour these options together.

    Attributes:
        feature: What it cannot do, in words.
        since: First release that can, such as `"0.26.0"`; None if none can, or an older one could.
    """

    def __init__(self, text: str, *, feature: str = "", since: str | None = None) -> None:
        super().__init__(text)
        self.feature = feature
        self.since = since


class SessionBusyError(RAGFlowError):
    """Another turn of this session is unfinished: one turn at a time keeps a session's history whole."""

    retryable = True


__all__ = [
    "APIError",
    "AgentNotFoundError",
    "AuthenticationError",
    "ChatNotFoundError",
    "ChunkNotFoundError",
    "ConnectionFailedError",
    "DatasetNotFoundError",
    "DocumentNotFoundError",
    "DocumentParsingError",
    "DocumentUploadError",
    "EmbeddingModelMismatchError",
    "ErrorResponse",
    "GenerationError",
    "InvalidArgumentError",
    "InvalidRequestError",
    "ModelUnavailableError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "RAGFlowError",
    "RateLimitError",
    "RequestTimeoutError",
    "ServerError",
    "SessionBusyError",
    "SessionNotFoundError",
    "StreamInterruptedError",
    "UnsupportedByServerError",
]
