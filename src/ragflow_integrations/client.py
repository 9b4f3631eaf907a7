# Generated from `async_client.py` by `tools/generate_sync.py`; `make format` writes it again.
"""`RAGFlowClient`: RAGFlow's API for synchronous code, over `requests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ragflow_integrations._client_base import ClientBase
from ragflow_integrations._http.settings import Settings
from ragflow_integrations._http.sync_stream import AnswerStream
from ragflow_integrations._http.sync_transport import Transport
from ragflow_integrations._protocol.calls import asking, retrieval, system
from ragflow_integrations._resources import (
    Agents,
    Chats,
    Chunks,
    Datasets,
    Documents,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    import requests
    from pydantic import SecretStr

    from ragflow_integrations.async_client import AsyncRAGFlowClient
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


class RAGFlowClient(ClientBase["requests.Session"]):
    """A RAGFlow server.

    One client may be used by many threads at once. It can be pickled, key included; connections are opened anew where it is
    loaded.

    Args:
        base_url: Root of the server; default RAGFLOW_BASE_URL, else http://localhost:9380. A trailing `/api/v1` is accepted.
        api_key: API key; default RAGFLOW_API_KEY.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing, if repeating is safe.
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
        super().__init__(Settings.of(base_url, api_key, timeout, max_retries), session)

    def _connect(self) -> None:
        self._transport = Transport(self._settings, self._session)
        self.chats = Chats(self._transport)
        self.sessions = self.chats.sessions
        self.agents = Agents(self._transport)
        self.datasets = Datasets(self._transport)
        self.documents = Documents(self._transport)
        self.chunks = Chunks(self._transport)

    def as_async(self) -> AsyncRAGFlowClient:
        """Return an asynchronous client with the same settings; connections are not shared."""
        from ragflow_integrations.async_client import AsyncRAGFlowClient  # noqa: PLC0415 - it loads its HTTP library

        return self._twin(AsyncRAGFlowClient)

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
        answer: Answer = self._transport.run(operation)
        return answer

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
        operation = asking.stateless(self._settings.profile, messages, chat_id=chat_id, options=options, stream=False)
        answer: Answer = self._transport.run(operation)
        return answer

    def stream_complete(
        self,
        messages: Iterable[Message | Mapping[str, str]],
        *,
        chat_id: str,
        **options: Unpack[CompletionOptions],
    ) -> AnswerStream:
        """Like `complete`, giving the answer as it is written; see `stream`."""
        operation = asking.stateless(self._settings.profile, messages, chat_id=chat_id, options=options, stream=True)
        return self._transport.stream(operation)

    def related_questions(self, question: str) -> list[str]:
        """Ask for questions related to one; the tenant's default LLM writes them."""
        return self._transport.run(system.related_questions(question))

    def health(self) -> Health:
        """Ask the server how it is."""
        return self._transport.run(system.health())

    def server(self) -> ServerInfo:
        """Find out which release the server is, as far as its replies tell."""
        return self._transport.run(system.server(self._settings.profile))

    # -- retrieval ---------------------------------------------------------------------------------------------------------

    def retrieve(
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
        return self._transport.run(
            retrieval.retrieve(self._settings.profile, question, dataset_ids=dataset_ids, limit=limit, options=options)
        )


__all__ = ["AnswerStream", "RAGFlowClient"]
