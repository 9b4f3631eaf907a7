"""`AsyncRAGFlowClient`: RAGFlow's API for asynchronous code, over `aiohttp`; the twin of `client`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ragflow_integrations import _protocol
from ragflow_integrations._async_resources import (
    AsyncAgents,
    AsyncChats,
    AsyncChunks,
    AsyncDatasets,
    AsyncDocuments,
    AsyncSessions,
)
from ragflow_integrations._async_transport import AsyncAnswerStream, AsyncTransport, Connection
from ragflow_integrations._settings import Settings
from ragflow_integrations.client import RAGFlowClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    import aiohttp
    from pydantic import SecretStr

    from ragflow_integrations._protocol.http import Subject
    from ragflow_integrations._transport import Prepare
    from ragflow_integrations._turns import Turn
    from ragflow_integrations.models import (
        Answer,
        CompletionOptions,
        Health,
        JsonObject,
        Message,
        Retrieval,
        ServerInfo,
        Timeout,
    )


class AsyncRAGFlowClient:
    """A RAGFlow server, asynchronously.

    One client may be used by many tasks and event loops at once; each loop has connections of its own, closed by `aclose()` or
    when the loop ends. It can be pickled, key included.

    Args:
        base_url: Root of the server; default RAGFLOW_BASE_URL, else http://localhost:9380. A trailing `/api/v1` is accepted.
        api_key: API key; default RAGFLOW_API_KEY.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing, where repeating is safe.
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
        self.__setstate__((Settings.of(base_url, api_key, timeout, max_retries), session))

    def __getstate__(self) -> tuple[Settings, aiohttp.ClientSession | None]:
        return self._settings, self._session

    def __setstate__(self, state: tuple[Settings, aiohttp.ClientSession | None]) -> None:
        settings, session = state
        self._settings = settings
        self._session = session
        self._transport = AsyncTransport(settings, session)
        self.chats = AsyncChats(self._transport, settings)
        self.sessions = AsyncSessions(self._transport, settings)
        self.agents = AsyncAgents(self._transport, settings)
        self.datasets = AsyncDatasets(self._transport)
        self.documents = AsyncDocuments(self._transport)
        self.chunks = AsyncChunks(self._transport)

    def __repr__(self) -> str:
        """Show the address, never the key."""
        return f"{type(self).__name__}({self.base_url!r})"

    @property
    def base_url(self) -> str:
        """Root of the server."""
        return self._settings.base_url

    @property
    def api_key(self) -> SecretStr:
        """The key; it shows itself only to `get_secret_value()`."""
        return self._settings.api_key

    @property
    def timeout(self) -> Timeout:
        """Limits in seconds."""
        return self._settings.timeout

    def as_sync(self) -> RAGFlowClient:
        """Give a synchronous client with the same settings; connections are not shared."""
        twin = RAGFlowClient.__new__(RAGFlowClient)
        twin.__setstate__((self._settings, None))
        return twin

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
        Deep research, which 0.24–0.26 would cut short, is streamed and gathered; for that the settings of an assistant are
        looked up once.

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
        asked, checked = _protocol.completions.check_turn(question, chat_id, agent_id, options)
        prepare, turn = await self._take_turn(question, asked, session_id, checked, stream=False)
        try:
            return await self._transport.ask(prepare)
        finally:
            turn.release()

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
        asked, checked = _protocol.completions.check_turn(question, chat_id, agent_id, options)

        async def connect() -> Connection:
            prepare, turn = await self._take_turn(question, asked, session_id, checked, stream=True)
            try:
                return await self._transport.connect(prepare, turn.release)
            except BaseException:
                turn.release()
                raise

        return AsyncAnswerStream(connect)

    async def _take_turn(
        self, question: str, asked: Subject, session_id: str | None, options: CompletionOptions, *, stream: bool
    ) -> tuple[Prepare, Turn]:
        settings = self._settings
        session = await self._transport.run(_protocol.completions.begin(settings.profile, asked, session_id, options))

        prepare = _protocol.completions.taking_turn(
            settings.profile, question, asked=asked, session_id=session, stream=stream, options=options
        )
        return prepare, await settings.turns.wait_async(session, settings.timeout.read)

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
        return await self._transport.ask(
            _protocol.completions.preparing(self._settings.profile, messages, chat_id, options, stream=False)
        )

    def stream_complete(
        self,
        messages: Iterable[Message | Mapping[str, str]],
        *,
        chat_id: str,
        **options: Unpack[CompletionOptions],
    ) -> AsyncAnswerStream:
        """Like `complete`, giving the answer as it is written; see `stream`."""
        prepare = _protocol.completions.preparing(self._settings.profile, messages, chat_id, options, stream=True)
        return AsyncAnswerStream(lambda: self._transport.connect(prepare))

    async def related_questions(self, question: str) -> list[str]:
        """Ask for questions related to one; the tenant's default LLM writes them."""
        return await self._transport.run(_protocol.operations.related_questions(question))

    async def health(self) -> Health:
        """Ask the server how it is."""
        return await self._transport.run(_protocol.operations.health())

    async def server(self) -> ServerInfo:
        """Find out which release the server is, as far as its replies tell."""
        return await self._transport.run(_protocol.operations.server(self._settings.profile))

    # -- retrieval ---------------------------------------------------------------------------------------------------------

    async def retrieve(
        self,
        question: str,
        *,
        dataset_ids: Sequence[str],
        document_ids: Sequence[str] | None = None,
        limit: int = 30,
        similarity_threshold: float | None = None,
        vector_similarity_weight: float | None = None,
        top_k: int | None = None,
        rerank_id: str | None = None,
        keyword: bool | None = None,
        highlight: bool | None = None,
        metadata_condition: JsonObject | None = None,
        cross_languages: Sequence[str] | None = None,
        use_kg: bool | None = None,
        toc_enhance: bool | None = None,
        metadata_fields: Sequence[str] | None = None,
    ) -> Retrieval:
        """Search datasets.

        Args:
            question: What to look for.
            dataset_ids: Datasets to search; all of one embedding model.
            document_ids: Only these documents.
            limit: Chunks wanted.
            similarity_threshold: Drop chunks below, 0 … 1 (server's default 0.2).
            vector_similarity_weight: Share of the embedding's score, 0 … 1 (server's default 0.3).
            top_k: Vector candidates considered; not the number of results.
            rerank_id: Rerank model.
            keyword: Let an LLM add keywords.
            highlight: Mark matches in `Chunk.highlight`.
            metadata_condition: Only documents with such metadata.
            cross_languages: Languages to translate the question into.
            use_kg: Search the knowledge graph too; its result comes first.
            toc_enhance: Use tables of contents.
            metadata_fields: Only these fields in `Chunk.document_metadata`, which RAGFlow ≥ 0.25.6 fills.

        Raises:
            InvalidArgumentError: An argument is empty or malformed.
            DatasetNotFoundError: A dataset does not exist or belongs to somebody else.
        """
        return await self._transport.run(
            _protocol.datasets.retrieve(
                self._settings.profile,
                question,
                dataset_ids=dataset_ids,
                document_ids=document_ids,
                limit=limit,
                similarity_threshold=similarity_threshold,
                vector_similarity_weight=vector_similarity_weight,
                top_k=top_k,
                rerank_id=rerank_id,
                keyword=keyword,
                highlight=highlight,
                metadata_condition=metadata_condition,
                cross_languages=cross_languages,
                use_kg=use_kg,
                toc_enhance=toc_enhance,
                metadata_fields=metadata_fields,
            )
        )


__all__ = ["AsyncAnswerStream", "AsyncRAGFlowClient"]
