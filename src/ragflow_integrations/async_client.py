"""`AsyncRAGFlowClient`: RAGFlow's API for asynchronous code, over `aiohttp`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ragflow_integrations._async_resources import (
    AsyncAgents,
    AsyncChats,
    AsyncChunks,
    AsyncDatasets,
    AsyncDocuments,
)
from ragflow_integrations._client_base import ClientBase
from ragflow_integrations._http.async_stream import AsyncAnswerStream
from ragflow_integrations._http.async_transport import AsyncTransport
from ragflow_integrations._http.settings import Settings
from ragflow_integrations._protocol.calls import asking, retrieval, system
from ragflow_integrations.client import RAGFlowClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    import aiohttp
    from pydantic import SecretStr

    from ragflow_integrations.models import (
        Answer,
        CompletionOptions,
        Health,
        Message,
        Retrieval,
        RetrievalOptions,
        ServerInfo,
        Timeout,
    )


class AsyncRAGFlowClient(ClientBase["aiohttp.ClientSession"]):
    """A RAGFlow server, asynchronously.

    One client may be used by many tasks and event loops at once; each loop has connections of its own, closed by `aclose()` or
    when the loop ends. It can be pickled, key included.

    Args:
        base_url: Root of the server; default RAGFLOW_BASE_URL, else http://localhost:9380. A trailing `/api/v1` is accepted.
        api_key: API key; default RAGFLOW_API_KEY.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing, if repeating is safe.
        session: An `aiohttp.ClientSession` to use (proxies, TLS), within its event loop; it is not closed.

    Raises:
        InvalidArgumentError: An argument is missing or malformed.

    Example:
        >>> import asyncio
        >>> from ragflow_integrations import AsyncRAGFlowClient
        >>> async def main():
        ...     async with AsyncRAGFlowClient(base_url, api_key) as client:
        ...         return await client.ask("How far does a full battery go?", chat_id=chat_id)
        >>> answer = asyncio.run(main())
        >>> bool(answer.text and answer.citations)
        True
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        *,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        super().__init__(Settings.of(base_url, api_key, timeout, max_retries), session)

    def _connect(self) -> None:
        self._transport = AsyncTransport(self._settings, self._session)
        self.chats = AsyncChats(self._transport)
        self.sessions = self.chats.sessions
        self.agents = AsyncAgents(self._transport)
        self.datasets = AsyncDatasets(self._transport)
        self.documents = AsyncDocuments(self._transport)
        self.chunks = AsyncChunks(self._transport)

    def as_sync(self) -> RAGFlowClient:
        """Return a synchronous client with the same settings; connections are not shared."""
        return self._twin(RAGFlowClient)

    async def aclose(self) -> None:
        """Close idle connections; a later call opens new ones."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # -- questions ---------------------------------------------------------------------------------------------------------

    async def ask(
        self,
        question: str,
        *,
        chat_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Answer:
        """Ask in a session and wait for the whole answer.

        The server is asked not to stream: 0.24.0 and ≥ 0.26.1 add citations the LLM left out only then.

        Args:
            question: The question.
            chat_id: Chat assistant to ask.
            agent_id: Agent to ask instead.
            session_id: Session to continue; without one a session is created and named in the answer.
            **options: See `CompletionOptions`.

        Raises:
            InvalidArgumentError: An argument is empty, malformed or unknown.
            ChatNotFoundError: The assistant does not exist or belongs to somebody else.
            SessionNotFoundError: The session does not.
            SessionBusyError: The session is busy with another turn.
            UnsupportedByServerError: The server cannot honour an option, or run an agent.
            GenerationError: The LLM behind RAGFlow failed.
            RAGFlowError: Anything else; see `ragflow_integrations.errors`.
        """
        operation = asking.in_session(
            self._settings.profile,
            question,
            chat_id=chat_id,
            agent_id=agent_id,
            session_id=session_id,
            options=options,
            stream=False,
        )
        answer: Answer = await self._transport.run(operation)
        return answer

    def stream(
        self,
        question: str,
        *,
        chat_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> AsyncAnswerStream:
        """Ask in a session and get the answer as it is written.

        The connection is made, and a refusal raised, by `async with client.stream(…) as stream` or by `await client.stream(…)`.
        Arguments and errors are those of `ask`.
        """
        operation = asking.in_session(
            self._settings.profile,
            question,
            chat_id=chat_id,
            agent_id=agent_id,
            session_id=session_id,
            options=options,
            stream=True,
        )
        return self._transport.stream(operation)

    async def complete(
        self,
        messages: Iterable[Message | Mapping[str, str]],
        *,
        chat_id: str,
        **options: Unpack[CompletionOptions],
    ) -> Answer:
        """Answer the last message of a history; nothing is stored on the server.

        Args:
            messages: `Message`s or `{"role", "content"}` mappings, the last of role `"user"`.
            chat_id: Chat assistant to ask.
            **options: See `CompletionOptions`.

        Raises:
            InvalidArgumentError: An argument is empty, malformed or unknown.
            UnsupportedByServerError: The server cannot honour an option.
            RAGFlowError: As `ask`.
        """
        operation = asking.stateless(self._settings.profile, messages, chat_id=chat_id, options=options, stream=False)
        answer: Answer = await self._transport.run(operation)
        return answer

    def stream_complete(
        self,
        messages: Iterable[Message | Mapping[str, str]],
        *,
        chat_id: str,
        **options: Unpack[CompletionOptions],
    ) -> AsyncAnswerStream:
        """Like `complete`, giving the answer as it is written; see `stream`."""
        operation = asking.stateless(self._settings.profile, messages, chat_id=chat_id, options=options, stream=True)
        return self._transport.stream(operation)

    async def related_questions(self, question: str) -> list[str]:
        """Ask for questions related to one; the tenant's default LLM writes them."""
        return await self._transport.run(system.related_questions(question))

    async def health(self) -> Health:
        """Ask the server how it is."""
        return await self._transport.run(system.health())

    async def server(self) -> ServerInfo:
        """Find out which release the server is, as far as its replies tell."""
        return await self._transport.run(system.server(self._settings.profile))

    # -- retrieval ---------------------------------------------------------------------------------------------------------

    async def retrieve(
        self,
        question: str,
        *,
        dataset_ids: Sequence[str],
        limit: int = 30,
        **options: Unpack[RetrievalOptions],
    ) -> Retrieval:
        """Search datasets.

        Args:
            question: What to look for.
            dataset_ids: Datasets to search; all of one embedding model.
            limit: Chunks wanted.
            **options: See `RetrievalOptions`.

        Raises:
            InvalidArgumentError: An argument is empty or malformed.
            UnsupportedByServerError: The server cannot honour an option, or two options together.
            DatasetNotFoundError: A dataset does not exist or belongs to somebody else.
        """
        return await self._transport.run(
            retrieval.retrieve(self._settings.profile, question, dataset_ids=dataset_ids, limit=limit, options=options)
        )


__all__ = ["AsyncAnswerStream", "AsyncRAGFlowClient"]
