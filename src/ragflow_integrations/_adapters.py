"""What both adapters share: their clients, the assistant they speak for, and chunks and citations as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from ragflow_integrations._forks import Lock
from ragflow_integrations._protocol import validation
from ragflow_integrations.client import RAGFlowClient
from ragflow_integrations.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import SecretStr

    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.models import Answer, Chunk, Citation, JsonValue, Timeout

G = TypeVar("G")
T = TypeVar("T")


class Clients:
    """The client an adapter was given, or one made from its arguments, and the twin of it for the other mode.

    The twin is made when first needed, and aiohttp is imported no sooner.

    Args:
        client: A client to share; excludes the other arguments.
        base_url: See `RAGFlowClient`; so are the others.
        api_key: API key.
        timeout: Limits.
        max_retries: Repetitions.

    Attributes:
        given: The client shared, or made of the arguments.

    Raises:
        InvalidArgumentError: `client` is no client, or is given together with `base_url` or `api_key`.
    """

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
    ) -> None:
        if client is None:
            client = RAGFlowClient(base_url, api_key, timeout=timeout, max_retries=max_retries)
        elif base_url is not None or api_key is not None:
            raise InvalidArgumentError("client", "excludes `base_url` and `api_key`: the client has its own")
        elif not isinstance(client, RAGFlowClient) and not hasattr(client, "as_sync"):
            kind = type(client).__name__
            raise InvalidArgumentError("client", f"must be a RAGFlowClient or an AsyncRAGFlowClient, not {kind}")
        self.given = client

    @property
    def sync(self) -> RAGFlowClient:
        """The synchronous client."""
        given = self.given
        return given if isinstance(given, RAGFlowClient) else _twin(_SYNC, given, given.as_sync)

    @property
    def asynchronous(self) -> AsyncRAGFlowClient:
        """The asynchronous client."""
        given = self.given
        return _twin(_ASYNC, given, given.as_async) if isinstance(given, RAGFlowClient) else given

    @property
    def twin(self) -> RAGFlowClient | AsyncRAGFlowClient | None:
        """The client of the other mode, if it was needed; all who share the client share it."""
        given = self.given
        return _ASYNC.get(given) if isinstance(given, RAGFlowClient) else _SYNC.get(given)


_SYNC: WeakKeyDictionary[AsyncRAGFlowClient, RAGFlowClient] = WeakKeyDictionary()
_ASYNC: WeakKeyDictionary[RAGFlowClient, AsyncRAGFlowClient] = WeakKeyDictionary()
_LOCK = Lock()


def _twin(twins: WeakKeyDictionary[G, T], given: G, make: Callable[[], T]) -> T:
    """Give a client's twin, made once."""
    twin = twins.get(given) or make()  # outside of the lock: it may import aiohttp
    with _LOCK:
        return twins.setdefault(given, twin)


class Assistant:
    """The chat assistant an adapter speaks for: named by id, or by name and looked up once.

    Args:
        chat_id: Its id.
        chat_name: Its exact name.

    Raises:
        InvalidArgumentError: Not exactly one is given, or it is empty.
    """

    def __init__(self, *, chat_id: str | None = None, chat_name: str | None = None) -> None:
        given = validation.exactly_one(chat_id=chat_id, chat_name=chat_name)
        validation.text(given, chat_id if given == "chat_id" else chat_name)
        self.chat_name = chat_name
        self.chat_id = chat_id

    def resolve(self, clients: Clients) -> str:
        """Give its id.

        Raises:
            ChatNotFoundError: There is no assistant of this name.
        """
        if self.chat_id is None:
            self.chat_id = clients.sync.chats.find(str(self.chat_name)).id
        return self.chat_id

    async def aresolve(self, clients: Clients) -> str:
        """Give its id, asynchronously."""
        if self.chat_id is None:
            self.chat_id = (await clients.asynchronous.chats.find(str(self.chat_name))).id
        return self.chat_id


def agent_metadata(answer: Answer) -> dict[str, JsonValue]:
    """Describe in JSON-safe data what an agent's answer has beside its text; None for what it has not.

    Keys: `input_request`, `structured`, `attachments`, `trace`.
    """
    form = answer.input_request
    return {
        "input_request": None if form is None else {"inputs": dict(form.inputs), "tips": form.tips},
        "structured": dict(answer.structured) or None,
        "attachments": [{"id": one.id, "name": one.name, "format": one.format} for one in answer.attachments] or None,
        "trace": [dict(one) for one in answer.trace] or None,
    }


def chunk_metadata(chunk: Chunk) -> dict[str, JsonValue]:
    """Describe a chunk in flat, JSON-safe data, under the same keys in both frameworks.

    Keys: `chunk_id`, `document_id`, `document_name`, `dataset_id`, `similarity`, `vector_similarity`, `term_similarity`,
    `positions`; and where known `image_id`, `url`, `doc_type`, `highlight`, `document_metadata`.
    """
    described: dict[str, JsonValue] = {
        "chunk_id": chunk.id,
        "document_id": chunk.document_id,
        "document_name": chunk.document_name,
        "dataset_id": chunk.dataset_id,
        "similarity": chunk.similarity,
        "vector_similarity": chunk.vector_similarity,
        "term_similarity": chunk.term_similarity,
        "positions": [list(box) for box in chunk.positions],
    }
    optional: dict[str, JsonValue] = {
        "image_id": chunk.image_id,
        "url": chunk.url,
        "doc_type": chunk.doc_type,
        "highlight": chunk.highlight,
        "document_metadata": dict(chunk.document_metadata),
    }
    return described | {key: value for key, value in optional.items() if value}


def citation_data(citation: Citation) -> dict[str, JsonValue]:
    """Describe a citation in JSON-safe data: where it is in the answer, what it supports, and the chunk it points to."""
    return {
        "index": citation.index,
        "number": citation.number,
        "start": citation.start,
        "end": citation.end,
        "claim_start": citation.claim_start,
        "claim_end": citation.claim_end,
        **chunk_metadata(citation.chunk),
    }


def citation_spans(citations: Sequence[object]) -> list[tuple[int, int]]:
    """Read the marker spans of citations described by `citation_data`, for `strip_markers`."""
    described = [item for item in citations if isinstance(item, dict)]
    spans = [(item.get("start"), item.get("end")) for item in described]
    return [(start, end) for start, end in spans if isinstance(start, int) and isinstance(end, int)]
