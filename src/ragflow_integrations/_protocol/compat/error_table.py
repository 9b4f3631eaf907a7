"""The exceptions that refusals stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragflow_integrations import errors
from ragflow_integrations.errors import ProtocolError, UnsupportedByServerError

if TYPE_CHECKING:
    from ragflow_integrations.errors import RAGFlowError

_OK = 200
_LOOKED_AT = 2000  # characters of a message: patterns with a gap take quadratic time on a long one


class EndpointNotFound(ProtocolError):  # noqa: N818 - a signal between protocol modules; callers see another error
    """The server has no such path or method."""

    http_status = 200


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of the error table; None matches anything.

    Attributes:
        error: Exception to raise; None means the kind of not-found error that fits the request.
        remedy: What the caller can do.
        codes: RAGFlow codes.
        statuses: HTTP statuses, or a hundred of them written as 5 for 5xx.
        pattern: Found in the message.
        servers: Which releases were seen to do this.
    """

    error: type[errors.APIError] | None
    remedy: str
    codes: frozenset[int | None] | None = None
    statuses: frozenset[int] | None = None
    pattern: re.Pattern[str] | None = None
    servers: str = "all"

    def matches(self, status: int, code: int | None, message: str) -> bool:
        """Return whether a reply is of this row."""
        return (
            (self.codes is None or code in self.codes)
            and (self.statuses is None or status in self.statuses or status // 100 in self.statuses)
            and (self.pattern is None or self.pattern.search(message[:_LOOKED_AT]) is not None)
        )


def _row(
    error: type[errors.APIError] | None,
    pattern: str | None,
    remedy: str,
    *,
    codes: tuple[int | None, ...] | None = None,
    statuses: tuple[int, ...] | None = None,
    servers: str = "all",
) -> ErrorRow:
    return ErrorRow(
        error,
        remedy,
        None if codes is None else frozenset(codes),
        None if statuses is None else frozenset(statuses),
        None if pattern is None else re.compile(pattern),
        servers,
    )


_KEY = "Check `api_key` (or RAGFLOW_API_KEY): it is made in RAGFlow under your avatar > API."
_MODEL = "Name a model that is configured in RAGFlow under Model providers, as `name@factory` or `name@instance@provider`."
_LIST = "Check the id, and that it belongs to the owner of this API key; RAGFlow does not tell unknown from foreign."

#: First match wins. Seen in recordings, unless docs/protocol.md, "Error codes", says otherwise.
ERROR_TABLE: tuple[ErrorRow, ...] = (
    _row(errors.AuthenticationError, None, _KEY, statuses=(401,), servers="≥ 0.24"),
    _row(errors.AuthenticationError, None, _KEY, codes=(401,), servers="≤ 0.23 with HTTP 200"),
    _row(
        errors.AuthenticationError,
        "API key is invalid|^Authentication error",
        _KEY,
        codes=(102, 109),
        servers="≤ 0.25; 102 for beta keys",
    ),
    _row(errors.AuthenticationError, "uthorization", _KEY, codes=(0,), servers="≤ 0.24: success with data false"),
    _row(errors.PermissionDeniedError, None, "Use a key of the owner.", statuses=(403,)),
    _row(errors.PermissionDeniedError, None, "Use a key of the owner.", codes=(403,)),
    _row(errors.RateLimitError, None, "Wait, then try again.", statuses=(429,), servers="proxies"),
    _row(
        errors.InvalidRequestError,
        None,
        "The body is larger than the proxy allows.",
        statuses=(413,),
        servers="proxies",
    ),
    _row(errors.ServerError, None, "Try again later; see the server's log.", statuses=(5,)),
    _row(
        errors.InvalidRequestError,
        "Miss parameter: ",
        "Give it in `variables`, which are for sessions, or make it optional in the assistant's prompt.",
        servers="all, as an exception",
    ),
    _row(
        errors.InvalidRequestError,
        "file has not been supported|File name must be ",
        "Upload a file of a type that RAGFlow reads, with its extension in its name.",
        servers="all [0.27.0-upload_partial]",
    ),
    _row(
        errors.ModelUnavailableError,
        r"^(?:LookupError\(['\"])?(?:Provider|Instance|(?:Tenant|Embedding )?[Mm]odel)\b|^LookupError\(.*\b[Mm]odel\b",
        _MODEL,
        codes=(100, 500),
        servers="≥ 0.26 [0.27.0-unknown_model], in a stream without LookupError; before: Model(…) not authorized",
    ),
    _row(errors.ServerError, None, "Try again later; see the server's log.", codes=(500,), servers="events of a stream"),
    _row(
        errors.EmbeddingModelMismatchError,
        "different embedding models",
        "Search datasets of one embedding model at a time.",
    ),
    _row(
        errors.SessionNotFoundError,
        r"[Ss]ession not found|own the session|[Ss]ession does not (?:exist|belong)",
        "Create a session, or leave `session_id` out.",
    ),
    _row(
        errors.DocumentNotFoundError,
        r"own the document|[Dd]ocuments? not found|[Dd]ocuments do not belong|find the document",
        "Check the ids of the documents, and that they are in this dataset.",
    ),
    _row(
        errors.ChunkNotFoundError,
        r"[Cc]hunk not found|find this chunk|rm_chunk deleted chunks",
        "Check the ids of the chunks, and that they are in this document.",
    ),
    _row(
        errors.DatasetNotFoundError,
        r"own the dataset|lacks permission for dataset|[Dd]ataset not found|find the dataset",
        _LIST,
    ),
    _row(errors.DatasetNotFoundError, r"<ids?\b.*Invalid UUID", _LIST, codes=(101,), servers="≥ 0.19"),
    _row(
        errors.ChatNotFoundError,
        r"(?:Assistant|Chat)\(.*\) not found|[Cc]hat doesn't exist|own the (?:chat|assistant)|Chat not found",
        _LIST,
    ),
    _row(
        errors.AgentNotFoundError,
        r"agent doesn't exist|canvas not found|own the agent|[Aa]gent not found|access the agent",
        _LIST,
    ),
    _row(errors.InvalidRequestError, "already exists", "Choose another name.", codes=(103,), servers="0.19–0.21: datasets"),
    _row(errors.AgentNotFoundError, None, _LIST, codes=(103,), servers="≥ 0.25"),
    _row(None, None, _LIST, codes=(109,), servers="≥ 0.25: `no authorization`"),
    _row(
        errors.ModelUnavailableError,
        r"`(?:llm_id|model_name|rerank_id|rerank_model|tenant_llm_id|embedding_model)`.*doesn't exist"
        r"|Cannot use specified model|(?:Unsupported|Unauthorized) model: <|^(?:Provider|Instance|Model)\b.* not found"
        r"|(?:LLM|Model)\(.*\) not (?:found|authorized)",
        _MODEL,
    ),
    _row(None, None, _LIST, codes=(404,), servers="HTTP 200, with the object in the message"),
    _row(errors.PermissionDeniedError, None, "Use a key of the owner.", codes=(108,), servers="source"),
    _row(errors.ServerError, None, "Try again later.", codes=(105, 106), servers="source"),
    _row(errors.InvalidRequestError, "^<BadRequest|must be", "Check the arguments.", codes=(100,)),
    _row(errors.ServerError, None, "An exception of the server; see its log.", codes=(100,)),
    _row(errors.InvalidRequestError, None, "Check the arguments.", codes=(101, 102, 400, 409, 411)),
    _row(errors.InvalidRequestError, None, "Check the arguments.", statuses=(4,)),
    _row(errors.APIError, None, "See the server's log."),
)

_MISSING = re.compile(r"<(?:NotFound '404|MethodNotAllowed '405)")


def endpoint_not_found(status: int, code: int | None, message: str) -> bool:
    """Return whether a reply says that there is no such path or method, in any release's spelling (docs/protocol.md)."""
    if status in (404, 405) or code == 405:  # noqa: PLR2004 - HTTP's statuses, which RAGFlow takes for codes too
        return True
    if code == 404:  # noqa: PLR2004 - of an object, which the message names, or of a path
        return message.strip().lower().startswith(("not found", "404 not found")) or not message.strip()
    return code == 100 and _MISSING.match(message) is not None  # noqa: PLR2004 - RAGFlow's code for an exception


def nothing_found(error: RAGFlowError) -> bool:
    """Return whether a retrieval failed only because the datasets hold no parsed chunk yet (docs/protocol.md)."""
    return isinstance(error, errors.APIError) and "No chunk found" in error.message


def refuses_files(error: errors.APIError) -> bool:
    """Return whether an upload was refused for its files (docs/protocol.md, "Uploads")."""
    names_files = 500
    return error.http_status == _OK and (error.code == names_files or isinstance(error, errors.InvalidRequestError))


def cannot_look_up_chunks(error: errors.ServerError) -> bool:
    """Return whether a release fails over the `id` of a listing of chunks, as 0.17 does (docs/protocol.md, "Chunks").

    It wants an image of the chunk, and falls over an unknown id.
    """
    exception = 100
    return error.code == exception and ("img_id" in error.message or "has no attribute 'keys'" in error.message)


def refuse_if_agent_sessions_unreadable(error: errors.APIError) -> None:
    """Say in words why 0.25.1–0.25.6 cannot list an agent's sessions: they fail over any answer that has sources.

    Raises:
        UnsupportedByServerError: It is this failure.
    """
    if isinstance(error, errors.ServerError) and "'str' object has no attribute 'get'" in error.message:
        raise UnsupportedByServerError(
            "RAGFlow 0.25.1–0.25.6 cannot list the sessions of an agent once it has answered with sources. Read each "
            "with `agents.get_session`.",
            feature="listing the sessions of an agent that has answered with sources",
            since="0.26.0",
        ) from error


def refuse_if_sessions_unreadable(error: errors.APIError) -> None:
    """Say in words why 0.19.0 cannot list sessions: it fails over any turn that has a reference (docs/protocol.md).

    Raises:
        UnsupportedByServerError: It is this failure.
    """
    if isinstance(error, errors.ServerError) and "IndexError" in error.message:
        raise UnsupportedByServerError(
            "RAGFlow 0.19.0 cannot read sessions that hold a cited answer; asking in them works. Upgrade it to read them."
        ) from error
