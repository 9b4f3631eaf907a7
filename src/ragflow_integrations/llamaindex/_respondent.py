"""Who answers: a chat assistant or an agent, asked through either client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ragflow_integrations._adapters import Assistant
from ragflow_integrations._protocol import validation
from ragflow_integrations.citations import check_style
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import CompletionOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations._adapters import Clients
    from ragflow_integrations.async_client import AsyncAnswerStream
    from ragflow_integrations.client import AnswerStream
    from ragflow_integrations.models import Answer, Message, Session


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what it follows.

    Attributes:
        text: The question.
        session_id: Session that it continues; None opens one, where there is no `history` either.
        history: Messages with the question behind them, for an answer that is stored nowhere.
        options: Options of this question, over those of the respondent.
    """

    text: str
    session_id: str | None
    history: tuple[Message, ...] | None
    options: CompletionOptions


class Respondent:
    """A chat assistant or an agent.

    Args:
        clients: Both clients.
        chat_id: Id of a chat assistant.
        chat_name: Or its exact name, looked up once.
        agent_id: Or the id of an agent.
        options: Options of every question.

    Raises:
        InvalidArgumentError: Not exactly one of the three is given, or an option is unknown.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        chat_id: str | None,
        chat_name: str | None,
        agent_id: str | None,
        options: CompletionOptions,
    ) -> None:
        validation.exactly_one(chat_id=chat_id, chat_name=chat_name, agent_id=agent_id)
        self.clients = clients
        self.agent_id = None if agent_id is None else validation.text("agent_id", agent_id)
        self._assistant = Assistant(chat_id=chat_id, chat_name=chat_name) if agent_id is None else None
        self.options = _known(options)

    @property
    def name(self) -> str:
        """What it is called in traces."""
        if self._assistant is None:
            return f"ragflow/{self.agent_id}"
        return f"ragflow/{self._assistant.chat_name or self._assistant.chat_id}"

    def _all(self, options: CompletionOptions) -> CompletionOptions:
        return cast("CompletionOptions", {**self.options, **_known(options)})

    def _messages(self, asked: Question) -> tuple[Message, ...]:
        if self._assistant is None:
            raise InvalidArgumentError(
                "chat_history", "cannot be given to an agent, which keeps the history in its sessions; use `session_id`"
            )
        return asked.history or ()

    def chat_id(self) -> str | None:
        """Give the id of the assistant; None for an agent."""
        return self._assistant.resolve(self.clients) if self._assistant else None

    async def achat_id(self) -> str | None:
        """Give the id of the assistant, asynchronously."""
        return await self._assistant.aresolve(self.clients) if self._assistant else None

    # -- the lines that differ by mode only ----------------------------------------------------------------------------------

    def create_session(self) -> Session:
        """Begin a conversation that the server keeps."""
        client, chat_id = self.clients.sync, self.chat_id()
        if chat_id is not None:
            return client.sessions.create(chat_id)
        return client.agents.create_session(str(self.agent_id), inputs=self.options.get("inputs"))

    async def acreate_session(self) -> Session:
        """Begin a conversation that the server keeps, asynchronously."""
        client, chat_id = self.clients.asynchronous, await self.achat_id()
        if chat_id is not None:
            return await client.sessions.create(chat_id)
        return await client.agents.create_session(str(self.agent_id), inputs=self.options.get("inputs"))

    def get_session(self, session_id: str) -> Session:
        """Get a conversation."""
        client, chat_id = self.clients.sync, self.chat_id()
        if chat_id is not None:
            return client.sessions.get(chat_id, session_id)
        return client.agents.get_session(str(self.agent_id), session_id)

    async def aget_session(self, session_id: str) -> Session:
        """Get a conversation, asynchronously."""
        client, chat_id = self.clients.asynchronous, await self.achat_id()
        if chat_id is not None:
            return await client.sessions.get(chat_id, session_id)
        return await client.agents.get_session(str(self.agent_id), session_id)

    def ask(self, asked: Question) -> Answer:
        """Ask and wait for the whole answer."""
        client, options = self.clients.sync, self._all(asked.options)
        if asked.history is not None:
            return client.complete(self._messages(asked), chat_id=str(self.chat_id()), **options)
        return client.ask(asked.text, chat_id=self.chat_id(), agent_id=self.agent_id, session_id=asked.session_id, **options)

    async def aask(self, asked: Question) -> Answer:
        """Ask and wait for the whole answer, asynchronously."""
        client, options = self.clients.asynchronous, self._all(asked.options)
        if asked.history is not None:
            return await client.complete(self._messages(asked), chat_id=str(await self.achat_id()), **options)
        return await client.ask(
            asked.text, chat_id=await self.achat_id(), agent_id=self.agent_id, session_id=asked.session_id, **options
        )

    def stream(self, asked: Question) -> AnswerStream:
        """Ask; refusals are raised here, the answer comes from the stream."""
        client, options = self.clients.sync, self._all(asked.options)
        if asked.history is not None:
            return client.stream_complete(self._messages(asked), chat_id=str(self.chat_id()), **options)
        return client.stream(asked.text, chat_id=self.chat_id(), agent_id=self.agent_id, session_id=asked.session_id, **options)

    async def astream(self, asked: Question) -> AsyncAnswerStream:
        """Ask asynchronously; refusals are raised here, the answer comes from the stream."""
        client, options = self.clients.asynchronous, self._all(asked.options)
        if asked.history is not None:
            return await client.stream_complete(self._messages(asked), chat_id=str(await self.achat_id()), **options)
        return await client.stream(
            asked.text, chat_id=await self.achat_id(), agent_id=self.agent_id, session_id=asked.session_id, **options
        )


def _known(options: Mapping[str, object]) -> CompletionOptions:
    """Refuse what no server knows when it is written, not when it is used."""
    known = CompletionOptions.__optional_keys__
    for name in options:
        if name not in known:
            raise InvalidArgumentError(name, f"is not an option; there are {', '.join(sorted(known))}")
    if options.get("agent_steps"):
        raise InvalidArgumentError("agent_steps", "gives events for which LlamaIndex has no place; use `client.stream`")
    given = cast("CompletionOptions", {name: value for name, value in options.items() if value is not None})
    check_style(given.get("citation_style", "bracket"))
    return given
