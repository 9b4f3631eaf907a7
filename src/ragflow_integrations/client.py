"""`RAGFlowClient`: RAGFlow's API for synchronous code, over `requests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ragflow_integrations import _protocol
from ragflow_integrations._resources import Agents, Chats, Chunks, Datasets, Documents, Sessions
from ragflow_integrations._settings import Settings
from ragflow_integrations._transport import AnswerStream, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    import requests
    from pydantic import SecretStr

    from ragflow_integrations._protocol.http import Subject
    from ragflow_integrations._transport import Prepare
    from ragflow_integrations._turns import Turn
    from ragflow_integrations.async_client import AsyncRAGFlowClient
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


class RAGFlowClient:
    """A RAGFlow server.

    One client may be used by many threads at once. It can be pickled, key included; connections are opened anew where it is
    loaded.

    Args:
        base_url: Root of the server; default RAGFLOW_BASE_URL, else http://localhost:9380. A trailing `/api/v1` is accepted.
        api_key: API key; default RAGFLOW_API_KEY.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing, where repeating is safe.
        session: A `requests.Session` to use (proxies, TLS, adapters); it is not closed.

    Raises:
        InvalidArgumentError: An argument is missing or malformed.

    Example:
        >>> from ragflow_integrations import RAGFlowClient
        >>> with RAGFlowClient(base_url, api_key) as client:
        ...     answer = client.ask("How far does a full battery go?", chat_id=chat_id)
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
        session: requests.Session | None = None,
    ) -> None:
        self.__setstate__((Settings.of(base_url, api_key, timeout, max_retries), session))

    def __getstate__(self) -> tuple[Settings, requests.Session | None]:
        return self._settings, self._session

    def __setstate__(self, state: tuple[Settings, requests.Session | None]) -> None:
        settings, session = state
        self._settings = settings
        self._session = session
        self._transport = Transport(settings, session)
        self.chats = Chats(self._transport, settings)
        self.sessions = Sessions(self._transport, settings)
        self.agents = Agents(self._transport, settings)
        self.datasets = Datasets(self._transport)
        self.documents = Documents(self._transport)
        self.chunks = Chunks(self._transport)

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

    def as_async(self) -> AsyncRAGFlowClient:
        """Give an asynchronous client with the same settings; connections are not shared."""
        from ragflow_integrations.async_client import AsyncRAGFlowClient  # noqa: PLC0415 - aiohttp is loaded when needed

        twin = AsyncRAGFlowClient.__new__(AsyncRAGFlowClient)
        twin.__setstate__((self._settings, None))
        return twin

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- questions ---------------------------------------------------------------------------------------------------------

    def ask(
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
        prepare, turn = self._take_turn(question, asked, session_id, checked, stream=False)
        try:
            return self._transport.ask(prepare)
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
    ) -> AnswerStream:
        """Ask in a session and get the answer as it is written.

        The connection is made and a refusal raised here. Arguments and errors are those of `ask`.

        Returns:
            A context manager and iterator of `AnswerEvent`s.
        """
        asked, checked = _protocol.completions.check_turn(question, chat_id, agent_id, options)
        prepare, turn = self._take_turn(question, asked, session_id, checked, stream=True)
        try:
            return self._transport.stream(prepare, turn.release)
        except BaseException:
            turn.release()
            raise

    def _take_turn(
        self, question: str, asked: Subject, session_id: str | None, options: CompletionOptions, *, stream: bool
    ) -> tuple[Prepare, Turn]:
        settings = self._settings
        session = self._transport.run(_protocol.completions.begin(settings.profile, asked, session_id, options))

        prepare = _protocol.completions.taking_turn(
            settings.profile, question, asked=asked, session_id=session, stream=stream, options=options
        )
        return prepare, settings.turns.wait(session, settings.timeout.read)

    def complete(
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
        return self._transport.ask(
            _protocol.completions.preparing(self._settings.profile, messages, chat_id, options, stream=False)
        )

    def stream_complete(
        self,
        messages: Iterable[Message | Mapping[str, str]],
        *,
        chat_id: str,
        **options: Unpack[CompletionOptions],
    ) -> AnswerStream:
        """Like `complete`, giving the answer as it is written; see `stream`."""
        return self._transport.stream(
            _protocol.completions.preparing(self._settings.profile, messages, chat_id, options, stream=True)
        )

    def related_questions(self, question: str) -> list[str]:
        """Ask for questions related to one; the tenant's default LLM writes them."""
        return self._transport.run(_protocol.operations.related_questions(question))

    def health(self) -> Health:
        """Ask the server how it is."""
        return self._transport.run(_protocol.operations.health())

    def server(self) -> ServerInfo:
        """Find out which release the server is, as far as its replies tell."""
        return self._transport.run(_protocol.operations.server(self._settings.profile))

    # -- retrieval ---------------------------------------------------------------------------------------------------------

    def retrieve(
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
        return self._transport.run(
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


__all__ = ["AnswerStream", "RAGFlowClient"]
