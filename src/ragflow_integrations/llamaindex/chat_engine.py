"""`RAGFlowChatEngine`: a RAGFlow chat assistant or agent as a LlamaIndex chat engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.callbacks import CallbackManager
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine
from llama_index.core.tools import QueryEngineTool

from ragflow_integrations._adapters.history import check_ends_with_question
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.target import ChatTarget
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.llamaindex._component import RAGFlowComponent
from ragflow_integrations.llamaindex._engine_target import EngineTarget
from ragflow_integrations.llamaindex._tracing import Trace
from ragflow_integrations.llamaindex._turn import Turn
from ragflow_integrations.llamaindex.query_engine import RAGFlowQueryEngine
from ragflow_integrations.llamaindex.streaming import RAGFlowStreamingChatResponse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from llama_index.core.memory import BaseMemory

    from ragflow_integrations._adapters.clients import AnyClient, ClientPair
    from ragflow_integrations._adapters.steps import Steps
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.llamaindex.options import EngineOptions, QuestionOptions
    from ragflow_integrations.models import Session

#: Key of the one session of a conversation, in the form that all session stores have.
_SESSION = "session"


@dataclass
class _Conversation:
    """What an engine knows of its conversation; a reset begins another, and turns still open end in the old one."""

    sessions: dict[str, str] = field(default_factory=dict)
    messages: list[ChatMessage] = field(default_factory=list)
    stateless: bool = False

    @property
    def session_id(self) -> str | None:
        return self.sessions.get(_SESSION)


class RAGFlowChatEngine(RAGFlowComponent, BaseChatEngine):
    """A RAGFlow chat assistant, or an agent, as a chat engine.

    The server keeps the conversation in a session, made at the first question unless `session_id` names one; `chat_history`
    mirrors it. With `chat_history=` in the first call nothing is stored on the server: the messages are the history, and each
    further turn of the engine sends what it has. `reset()` forgets the conversation and deletes nothing.

    A turn that fails before any text leaves no trace in the history; one that is left early or breaks keeps what came, marked
    with `additional_kwargs["interrupted"]`. One turn at a time runs in a session: the next waits, or raises
    `SessionBusyError` if it would wait for itself.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        agent_id: Or an agent.
        session_id: Session to continue.
        callback_manager: Legacy callbacks; default those of `Settings`.
        memory: Memory that every turn is copied to, in the mode (sync, async) of the call.
        **options: Options of every question (`citation_style`, `document_ids`, `stop` …), see `QuestionOptions`; settings of
            the client (`base_url`, `api_key` …), see `ConnectionOptions`.

    Raises:
        InvalidArgumentError: An argument is missing, malformed or contradicts another.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowChatEngine
        >>> engine = RAGFlowChatEngine(base_url=base_url, api_key=api_key, chat_id=chat_id)
        >>> response = engine.chat("How long does a full charge take?")
        >>> response.source_nodes[0].node.metadata["file_name"]
        'charging-stations.md'
        >>> [message.role.value for message in engine.chat_history]
        ['user', 'assistant']
    """

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        chat_id: str | None = None,
        chat_name: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        callback_manager: CallbackManager | None = None,
        memory: BaseMemory | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        self.callback_manager = callback_manager or CallbackManager()
        self._target = EngineTarget(client, ChatTarget(chat_id, chat_name, agent_id), options)
        self._conversation = _Conversation({} if session_id is None else {_SESSION: session_id})
        self._memory = memory

    def _client_pair(self) -> ClientPair:
        return self._target.clients

    def __getstate__(self) -> dict[str, Any]:
        # Callback handlers hold connections and locks of this process.
        return {**vars(self), "callback_manager": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "callback_manager": CallbackManager()})

    # -- the conversation ----------------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str | None:
        """The session on the server; None before the first turn, and without one."""
        return self._conversation.session_id

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The turns of this engine, and those loaded; see `load_history`."""
        return list(self._conversation.messages)

    def reset(self) -> None:
        """Begin a new conversation; the session on the server stays as it is."""
        self._conversation = _Conversation()
        if self._memory is not None:
            self._memory.reset()

    async def areset(self) -> None:
        """Begin a new conversation, asynchronously."""
        self._conversation = _Conversation()
        if self._memory is not None:
            await self._memory.areset()

    def load_history(self) -> list[ChatMessage]:
        """Read the session's messages from the server into `chat_history`.

        Raises:
            InvalidArgumentError: The engine has no session.
            SessionNotFoundError: The session does not exist.
        """
        loaded = self._loaded(run(self._stored_session(self._target.clients.sync)))
        if self._memory is not None:
            self._memory.set(loaded)
        return loaded

    async def aload_history(self) -> list[ChatMessage]:
        """Read the session's messages from the server into `chat_history`, asynchronously."""
        loaded = self._loaded(await arun(self._stored_session(self._target.clients.async_)))
        if self._memory is not None:
            await self._memory.aset(loaded)
        return loaded

    def _stored_session(self, client: AnyClient) -> Steps[Session]:
        if self.session_id is None:
            raise InvalidArgumentError("session_id", "is not known: pass one to the constructor, or ask a first question")
        return (yield from self._target.target.get_session(client, self.session_id))

    def _loaded(self, session: Session) -> list[ChatMessage]:
        style = self._target.options.get("citation_style", "bracket")
        self._conversation.messages = [_nodes.stored_message(message, style) for message in session.messages]
        return self.chat_history

    # -- the six methods -----------------------------------------------------------------------------------------------------

    def chat(
        self, message: str, chat_history: list[ChatMessage] | None = None, **options: Unpack[QuestionOptions]
    ) -> AgentChatResponse:
        """Ask and wait for the whole answer.

        Args:
            message: The question.
            chat_history: Messages that replace the history, for an engine without a session.
            **options: Options of this question; see `QuestionOptions`.

        Raises:
            InvalidArgumentError: `chat_history` is given to an engine with a session, or an option is wrong.
            RAGFlowError: The answer failed; see `ragflow_integrations.errors`.
        """
        conversation, earlier = self._place(chat_history)
        turn = self._begin(conversation, message, earlier, streamed=False)
        with turn.ended_by_errors():
            turn.complete(run(self._ask(self._target.clients.sync, turn, conversation, earlier, options)))
        turn.end()
        if self._memory is not None:
            self._memory.put_messages(turn.kept)
        return _response(turn)

    async def achat(
        self, message: str, chat_history: list[ChatMessage] | None = None, **options: Unpack[QuestionOptions]
    ) -> AgentChatResponse:
        """Ask and wait for the whole answer, asynchronously; see `chat`."""
        conversation, earlier = self._place(chat_history)
        turn = self._begin(conversation, message, earlier, streamed=False)
        with turn.ended_by_errors():
            turn.complete(await arun(self._ask(self._target.clients.async_, turn, conversation, earlier, options)))
        turn.end()
        if self._memory is not None:
            for kept in turn.kept:
                await self._memory.aput(kept)
        return _response(turn)

    def stream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None, **options: Unpack[QuestionOptions]
    ) -> RAGFlowStreamingChatResponse:
        """Ask and get the answer as it is written; refusals are raised here, before the first piece.

        Arguments and errors are those of `chat`.
        """
        conversation, earlier = self._place(chat_history)
        turn = self._begin(conversation, message, earlier, streamed=True)
        with turn.ended_by_errors():
            stream = run(self._ask(self._target.clients.sync, turn, conversation, earlier, options))
        return RAGFlowStreamingChatResponse(turn, stream, self._memory)

    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None, **options: Unpack[QuestionOptions]
    ) -> RAGFlowStreamingChatResponse:
        """Ask and get the answer as it is written, asynchronously; see `stream_chat`."""
        conversation, earlier = self._place(chat_history)
        turn = self._begin(conversation, message, earlier, streamed=True)
        with turn.ended_by_errors():
            stream = await arun(self._ask(self._target.clients.async_, turn, conversation, earlier, options))
        return RAGFlowStreamingChatResponse(turn, stream, self._memory)

    def _place(self, chat_history: Sequence[ChatMessage] | None) -> tuple[_Conversation, list[ChatMessage] | None]:
        """Decide what a turn follows: the session's history (None), or messages to send."""
        conversation = self._conversation
        if chat_history is None:
            return conversation, list(conversation.messages) if conversation.stateless else None
        if conversation.session_id is not None:
            raise InvalidArgumentError(
                "chat_history",
                f"cannot replace the history of session {conversation.session_id!r}, which the server keeps; "
                "call reset() first, or leave it out",
            )
        return conversation, list(chat_history)

    def _begin(self, conversation: _Conversation, message: str, earlier: list[ChatMessage] | None, *, streamed: bool) -> Turn:
        def record(kept: list[ChatMessage]) -> None:
            if earlier is None:
                conversation.messages.extend(kept)
            else:
                conversation.messages = [*earlier, *kept]
                conversation.stateless = True

        messages = [*(earlier or ()), ChatMessage(role=MessageRole.USER, content=message)]
        trace = Trace(self, message, messages, self.to_payload(), self.callback_manager, streamed=streamed)
        return Turn(message, conversation.session_id, trace, record, streamed=streamed)

    def to_payload(self) -> dict[str, Any]:
        """Describe the engine for traces, without secrets."""
        return {"class_name": type(self).__name__, "model": self._target.name, **self._target.all_options}

    def _ask(
        self,
        client: AnyClient,
        turn: Turn,
        conversation: _Conversation,
        earlier: list[ChatMessage] | None,
        options: QuestionOptions,
    ) -> Steps[Any]:
        """Ask, in the conversation's session or after the messages that come earlier; return the answer or its stream.

        The options are checked before a session is created for the first question.
        """
        target = self._target.target
        if earlier is None:
            question = self._target.question(turn.question, options)
            question = yield from target.within_stored_session(client, question, conversation.sessions, _SESSION)
            turn.metadata["session_id"] = question.session_id
        else:
            history = _nodes.sent_messages([*earlier, ChatMessage(role=MessageRole.USER, content=turn.question)])
            question = self._target.question(check_ends_with_question(history), options, history=history)
        turn.stop_before(question.stop)
        return (yield from target.ask(client, question, stream=turn.streamed))

    # -- other shapes --------------------------------------------------------------------------------------------------------

    def as_query_engine(self, *, streaming: bool = False) -> RAGFlowQueryEngine:
        """Return the assistant as a query engine, where every question stands alone."""
        return RAGFlowQueryEngine.of(self._target, streaming=streaming, callback_manager=self.callback_manager)

    def as_tool(self, name: str, description: str) -> QueryEngineTool:
        """Return the assistant as a tool for agents; each call stands alone.

        Args:
            name: Name of the tool.
            description: What an agent should ask it.
        """
        return QueryEngineTool.from_defaults(self.as_query_engine(), name=name, description=description)


def _response(turn: Turn) -> AgentChatResponse:
    return AgentChatResponse(response=turn.text, sources=turn.sources, source_nodes=turn.nodes, metadata=turn.metadata)
