"""The steps of an API call: requests and replies, before any HTTP library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from ragflow_integrations.errors import InvalidArgumentError, NotFoundError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from ragflow_integrations._protocol.calls.completion import Completion
    from ragflow_integrations.models import Answer, File, JsonObject

T = TypeVar("T")

#: When a request may be sent again. `idempotent`: after any loss. `expensive`: sending it twice does no harm, but costs an
#: LLM's work, so it is not sent again after a read timeout or a broken reply. `unsafe`: only if the server cannot have seen it.
RetrySafety: TypeAlias = Literal["idempotent", "expensive", "unsafe"]

#: Largest reply that is read whole, in bytes; a page of a listing or 500 chunks are about 1 MB. Files have no bound.
MAX_REPLY = 64 * 1024 * 1024

#: An API call: it yields steps, is sent the result of each, and returns its own result. A step that fails throws its error into
#: the operation, so that a call can fall back to another endpoint. `_http` runs it, with or without asyncio.
Operation: TypeAlias = "Generator[Step, Any, T]"


@dataclass(frozen=True, slots=True)
class Subject:
    """An object of the server: its kind in words, its id, and the error that says it does not exist.

    Of several objects, the ids are joined with commas.
    """

    kind: str
    id: str
    not_found_error: type[NotFoundError] = NotFoundError

    def __str__(self) -> str:
        """Return the words that messages use for it."""
        return f"{self.kind} {self.id!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file of a multipart body."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        method: HTTP method.
        path: Path below `/api/v1`, quoted (see `path`); if `from_root` is set, below the server's root.
        params: Query.
        json: JSON body.
        files: Files of a multipart body.
        retry: When it may be sent again (see `retries`).
        subject: What the request is about: names it in messages, and decides what an ambiguous refusal means.
        part: What of the subject it is about, such as a session of a chat assistant; named in messages.
        from_root: Whether `path` counts from the server's root instead of `/api/v1`.
        raw_reply: Whether the reply is plain text or a file, not an envelope.
        may_be_partial: Whether a refusal that carries data is given to the call, which makes an error of it.
    """

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: JsonObject | None = None
    files: tuple[Upload, ...] = ()
    retry: RetrySafety = "unsafe"
    subject: Subject | None = None
    part: Subject | None = None
    from_root: bool = False
    raw_reply: bool = False
    may_be_partial: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """Send a request for a file; the result is its bytes."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReadFiles:
    """Read files from the disk; the result is a list of `Upload`s."""

    files: Sequence[File]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for the lock of a session; the result is its lease, which the operation releases."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for some time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Open:
    """Send a question whose reply is streamed; the result is the stream, or the whole answer if `gather` is set.

    Attributes:
        completion: The question.
        on_close: Called when the stream ends or is closed; not called if it cannot be opened.
        gather: Whether to read the stream to its end.
    """

    completion: Completion
    on_close: Callable[[], None] | None = None
    gather: bool = False


#: What an operation asks for. The result of a `Request` is the JSON object of the reply.
Step: TypeAlias = "Request | Download | ReadFiles | Wait | Sleep | Open"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply.

    Attributes:
        status: HTTP status.
        headers: Header names in lower case.
        body: Decoded body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class UnfinishedReply(ProtocolError):  # noqa: N818 - a kind of `ProtocolError`; a completion may be asked again for it
    """A reply that was not streamed is marked as unfinished: it is the first event of a stream.

    Attributes:
        message_id: Id of the turn that the server has stored for it, None if it tells none.
        answer: The answer that it may be all the same; None if it is none.
    """

    def __init__(self, message: str, message_id: str | None = None, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.message_id = message_id
        self.answer = answer


class Body:
    """Collects a body that is read whole.

    Args:
        most: Bytes it may have.
    """

    def __init__(self, most: float = MAX_REPLY) -> None:
        self._held = bytearray()  # not a list, in which a byte may take fifty
        self._most = most

    def add(self, block: bytes) -> None:
        """Accept the next bytes.

        Raises:
            ProtocolError: There are more than it may have.
        """
        self._held += block
        if len(self._held) > self._most:
            raise ProtocolError(f"The server sent a reply of more than {self._most} bytes without an end: is it RAGFlow?")

    def whole(self) -> bytes:
        """Return all that came."""
        return bytes(self._held)


def path(*parts: str) -> str:
    """Join path segments, quoting each whole.

    Raises:
        InvalidArgumentError: One would lead to another place.
    """
    for part in parts:
        if part in (".", ".."):
            raise InvalidArgumentError("id", f"cannot be {part!r}")
    return "/" + "/".join(quote(part, safe="") for part in parts)
