"""Who is asked: a chat assistant by id or name, or an agent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ragflow_integrations._adapters.clients import acquire_or_wait, complete, shared_by
from ragflow_integrations._adapters.steps import Pending
from ragflow_integrations._protocol import validation
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import CompletionOptions

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from ragflow_integrations._adapters.clients import AnyClient
    from ragflow_integrations._adapters.steps import Steps
    from ragflow_integrations.models import JsonObject, Message, Session

#: Names of the arguments that name a target.
TARGETS = ("chat_id", "chat_name", "agent_id")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what it follows.

    Attributes:
        text: The question.
        session_id: Session that it continues; None opens one if there is no `history` either.
        history: Messages that end with the question, for an answer that is stored nowhere.
        options: Options of the question.
        stop: Sequences before which the answer is cut off.
    """

    text: str = ""
    session_id: str | None = None
    history: Sequence[Message] | None = None
    options: CompletionOptions = field(default_factory=CompletionOptions)
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatTarget:
    """A chat assistant or an agent. Exactly one attribute is set.

    Attributes:
        chat_id: Id of a chat assistant.
        chat_name: Its exact name, looked up once per client.
        agent_id: Id of an agent.

    Raises:
        InvalidArgumentError: Not exactly one is given, or it is empty.
    """

    chat_id: str | None = None
    chat_name: str | None = None
    agent_id: str | None = None

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in TARGETS}
        validation.text(name := validation.exactly_one(**values), values[name])

    @property
    def name(self) -> str:
        """The id or name that was given."""
        return str(self.chat_id or self.chat_name or self.agent_id)

    def ids(self, client: AnyClient) -> Steps[dict[str, str]]:
        """Return the target as arguments of a client: its `chat_id` or `agent_id`.

        Raises:
            ChatNotFoundError: There is no assistant of this name.
        """
        if self.agent_id is not None:
            return {"agent_id": self.agent_id}
        return {"chat_id": self.chat_id or (yield from id_of(client, "chat", str(self.chat_name)))}

    def create_session(self, client: AnyClient, inputs: JsonObject | None = None) -> Steps[Session]:
        """Create a session. Releases up to 0.19.1 need the values of an agent's begin form (`inputs`) here."""
        ids = yield from self.ids(client)
        session: Session
        if self.agent_id is not None:
            session = yield client.agents.create_session(self.agent_id, inputs=inputs)
        else:
            session = yield client.sessions.create(ids["chat_id"])
        return session

    def get_session(self, client: AnyClient, session_id: str) -> Steps[Session]:
        """Return a session with its messages."""
        ids = yield from self.ids(client)
        session: Session
        if self.agent_id is not None:
            session = yield client.agents.get_session(self.agent_id, session_id)
        else:
            session = yield client.sessions.get(ids["chat_id"], session_id)
        return session

    def _stored_session(
        self, client: AnyClient, store: MutableMapping[str, str], key: str, inputs: JsonObject | None
    ) -> Steps[str]:
        """Return the id of a conversation's session; create and store it if there is none.

        Of several first calls at once one creates it and the others wait.
        """
        mine = Pending()
        while not isinstance(session := acquire_or_wait(client, store, key, mine), str):
            if session is not None:
                yield session
                continue
            created = None
            try:
                created = (yield from self.create_session(client, inputs)).id
            finally:
                complete(client, store, key, created)
        return session

    def within_stored_session(
        self, client: AnyClient, question: Question, store: MutableMapping[str, str], key: str
    ) -> Steps[Question]:
        """Return a question as one of a conversation's session."""
        session_id = yield from self._stored_session(client, store, key, question.options.get("inputs"))
        return replace(question, session_id=session_id)

    def ask(self, client: AnyClient, question: Question, *, stream: bool = False) -> Steps[Any]:
        """Ask; refusals are raised here.

        Returns:
            The answer, or its stream.

        Raises:
            InvalidArgumentError: A history is given to an agent, which keeps it in its sessions.
        """
        if question.history is not None and self.agent_id is not None:
            raise InvalidArgumentError(
                "chat_history", "cannot be given to an agent, which keeps the history in its sessions; use `session_id`"
            )
        ids = yield from self.ids(client)
        if question.history is not None:
            complete_ = client.stream_complete if stream else client.complete
            return (yield complete_(question.history, chat_id=ids["chat_id"], **question.options))
        ask = client.stream if stream else client.ask
        return (yield ask(question.text, **ids, session_id=question.session_id, **question.options))


def id_of(client: AnyClient, kind: str, name: str) -> Steps[str]:
    """Return the id of a chat assistant (`kind` "chat") or a dataset ("dataset") of this exact name, looked up once per client.

    Raises:
        NotFoundError: There is none.
    """
    ids = shared_by(client).ids
    if (kind, name) not in ids:
        ids[kind, name] = (yield (client.chats if kind == "chat" else client.datasets).find(name)).id
    return ids[kind, name]


@dataclass(frozen=True, slots=True)
class DatasetsTarget:
    """Datasets to search, by id or by name. Exactly one attribute is set.

    Attributes:
        dataset_ids: Their ids.
        dataset_names: Their exact names, looked up once per client.

    Raises:
        InvalidArgumentError: Not exactly one is given, or it is empty.
    """

    dataset_ids: Sequence[str] | None = None
    dataset_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        values = {"dataset_ids": self.dataset_ids, "dataset_names": self.dataset_names}
        validation.ids(name := validation.exactly_one(**values), values[name])

    def ids(self, client: AnyClient) -> Steps[list[str]]:
        """Return the ids of the datasets.

        Raises:
            DatasetNotFoundError: There is no dataset of a name.
        """
        if self.dataset_ids is not None:
            return list(self.dataset_ids)
        ids = []
        for name in self.dataset_names or ():
            dataset_id = yield from id_of(client, "dataset", name)
            ids.append(dataset_id)
        return ids


@dataclass(frozen=True, slots=True)
class DatasetTarget:
    """One dataset, by id or by name. Exactly one attribute is set.

    Attributes:
        dataset_id: Its id.
        dataset_name: Its exact name, looked up once per client.

    Raises:
        InvalidArgumentError: Not exactly one is given, or it is empty.
    """

    dataset_id: str | None = None
    dataset_name: str | None = None

    def __post_init__(self) -> None:
        values = {"dataset_id": self.dataset_id, "dataset_name": self.dataset_name}
        validation.text(name := validation.exactly_one(**values), values[name])

    def id(self, client: AnyClient) -> Steps[str]:
        """Return the id of the dataset.

        Raises:
            DatasetNotFoundError: There is no dataset of this name.
        """
        return self.dataset_id or (yield from id_of(client, "dataset", str(self.dataset_name)))
