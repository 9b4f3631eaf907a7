"""`ChatRAGFlow`: a RAGFlow chat assistant as a LangChain chat model."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence  # noqa: TC003 - pydantic evaluates the types of fields
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from langchain_core.language_models.chat_models import BaseChatModel
from pydantic import Field, SkipValidation, model_validator

from ragflow_integrations._protocol import validation
from ragflow_integrations._version import __version__
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.langchain._compat import PROVIDER
from ragflow_integrations.langchain._connection import Connected, arun, run
from ragflow_integrations.langchain._errors import langchain_errors
from ragflow_integrations.models import CitationStyle, ReasoningEffort  # noqa: TC001 - pydantic evaluates the types of fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LangSmithParams
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from ragflow_integrations.langchain import _messages
    from ragflow_integrations.langchain._connection import AnyClient, Flow

SystemMessagePolicy: TypeAlias = Literal["warn", "prepend", "error"]

_TARGETS = ("chat_id", "chat_name", "agent_id")
_SESSION = ("session_id", "conversation_id")
_OPTIONS = (
    "model",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "max_tokens",
    "citation_style",
    "document_ids",
    "metadata_condition",
    "reasoning_effort",
    "internet",
    "variables",
    "inputs",
    "return_trace",
)


@dataclass(slots=True)
class _Turn:
    """A question on its way: what the client is called with, and what the answer's message needs.

    Attributes:
        arguments: Of the client's method.
        conversation_id: The conversation whose session has to be found or created first.
        stateless: Whether the messages are the whole history.
        stop: Where to cut the text.
    """

    arguments: dict[str, Any]
    conversation_id: str | None
    stateless: bool
    stop: tuple[str, ...]

    @property
    def asked(self) -> _messages.Asked:
        """What of it shapes the answer's message."""
        from ragflow_integrations.langchain import _messages  # noqa: PLC0415 - as in `_turn`

        given = self.arguments
        return _messages.Asked(given.get("chat_id"), given.get("agent_id"), given.get("model"), self.stop)


class ChatRAGFlow(BaseChatModel, Connected):
    """A RAGFlow chat assistant, or agent, as a chat model.

    Setup:
        Install `ragflow-integrations[langchain]`, and set `RAGFLOW_BASE_URL` and `RAGFLOW_API_KEY`, or pass `base_url` and
        `api_key`. Keys are made in RAGFlow under your avatar > API.

    Key init args, who is asked (exactly one):
        chat_id: Chat assistant.
        chat_name: Its exact name, looked up once, on first use.
        agent_id: Agent.

    Key init args, how it answers (each may be given per call too, and with `bind`):
        session_id: Session whose history the server keeps. Without one the messages are the history.
        conversation_id: Your own key of a conversation, such as a user or a LangGraph thread; its session is created on first
            use and kept in `session_store`.
        model: LLM that RAGFlow should use instead of the assistant's own.
        temperature, top_p, presence_penalty, frequency_penalty, max_tokens: Generation (RAGFlow ≥ 0.26).
        stop: Sequences before which the answer is cut off.
        citation_style: `"bracket"` shows `[4]`, `"raw"` the server's markers, `"none"` no markers.
        document_ids, metadata_condition: Documents to answer from.
        reasoning_effort, internet, variables, inputs: See the fields.

    Key init args, the client:
        base_url, api_key, timeout, max_retries: Or `client`, to share its connections among many models.

    An option that the server cannot honour raises `RAGFlowUnsupportedByServerError`; none is dropped.

    Instantiate:
        >>> from ragflow_integrations.langchain import ChatRAGFlow
        >>> model = ChatRAGFlow(chat_id=chat_id, base_url=base_url, api_key=api_key)

    Invoke:
        >>> message = model.invoke("How long does a full charge take?")
        >>> print(message.content)
        A full charge at a charging station takes four hours [1].

    Stream:
        >>> for chunk in model.stream("How long does a full charge take?"):
        ...     print(chunk.content, end="")
        A full charge at a charging station takes four hours [1].

        Chunks add up to the whole message; the last one brings citations, usage and metadata.

    Async:
        >>> import asyncio
        >>> async def ask():
        ...     message = await model.ainvoke("How long does a full charge take?")
        ...     await model.aclose()
        ...     return message
        >>> asyncio.run(ask()).content == message.content
        True

    Citations:
        `content` is plain text. `content_blocks` has one text block with standard annotations; they are in
        `additional_kwargs["citations"]` too. A citation spans its marker in the text, or its sentence where no marker is shown.

        >>> citation = message.content_blocks[-1]["annotations"][0]
        >>> citation["title"], message.content[citation["start_index"] : citation["end_index"]]
        ('charging-stations.md', '[1]')
        >>> claim = citation["extras"]
        >>> message.content[claim["claim_start"] : claim["claim_end"]]
        'A full charge at a charging station takes four hours'

        Parsers such as `StrOutputParser` drop citations; `CitedAnswerParser` keeps them.

    Reasoning:
        Thinking is a reasoning block in front of the text, and `additional_kwargs["reasoning_content"]`.

    Sessions:
        >>> first = model.invoke("How long does a full charge take?", conversation_id="ann")
        >>> second = model.invoke("And in winter?", conversation_id="ann")
        >>> second.response_metadata["session_id"] == model.session_store["ann"]
        True

        With LangGraph, `model.configurable_fields(conversation_id=ConfigurableField(id="thread_id"))` gives each thread a
        session. LangChain's cache is off in sessions.

    System messages:
        Every RAGFlow server drops them. By default that is a warning; `system_message="prepend"` puts them in front of the
        first message of the user, `"error"` refuses them.

    Errors:
        Each is RAGFlow's and LangChain's, and says whether it may pass.

        >>> from langchain_core.exceptions import ModelError
        >>> try:
        ...     ChatRAGFlow(chat_id="nobody", base_url=base_url, api_key=api_key).invoke("Hello?")
        ... except ModelError as error:
        ...     print(type(error).__name__, error.is_retryable)
        RAGFlowChatNotFoundError False

    Response metadata:
        `model_provider`, `model_name`, `chat_id` or `agent_id`, `session_id` and `message_id` in a session, `finish_reason`,
        `reference` (all retrieved chunks in the server's order, cited or not), `timings` in seconds where the server reports
        them, `final_answer` where the server's final text differs from what it streamed, and of an agent
        `input_request`, the form it waits for, `structured` output by component, `attachments` (files it made) and `trace`.
        `usage_metadata` where the server counts tokens; of an agent it knows the total alone: `token_usage`.

        >>> sorted(message.response_metadata["reference"])
        ['chunks', 'documents', 'total']
        >>> sorted(message.usage_metadata)
        ['input_tokens', 'output_tokens', 'total_tokens']
    """

    chat_id: str | None = None
    """Chat assistant to ask."""
    chat_name: str | None = None
    """Its exact name instead, looked up once, on first use."""
    agent_id: str | None = None
    """Agent to ask instead of a chat assistant; it always answers in a session."""
    session_id: str | None = None
    """Session whose history the server keeps; only the last message is sent then."""
    conversation_id: str | None = None
    """Your own key of a conversation; its session is created on first use and kept in `session_store`."""
    session_store: Annotated[MutableMapping[str, str], SkipValidation] = Field(default_factory=dict, exclude=True, repr=False)
    """Session ids by `conversation_id`; any mutable mapping, for one assistant."""
    model: str | None = None
    """LLM that RAGFlow should use instead of the assistant's own."""
    temperature: float | None = None
    """Sampling temperature."""
    top_p: float | None = None
    """Nucleus sampling."""
    presence_penalty: float | None = None
    """Presence penalty."""
    frequency_penalty: float | None = None
    """Frequency penalty."""
    max_tokens: int | None = None
    """Longest answer, in tokens."""
    stop: Sequence[str] | None = None
    """Sequences before which the answer is cut off (by this class; RAGFlow knows none)."""
    streaming: bool | None = None
    """Whether `invoke` streams, for callbacks that want tokens; None leaves it to LangChain."""
    citation_style: CitationStyle = "bracket"
    """How citation markers are shown: `[4]`, as the server writes them, or not at all."""
    document_ids: Sequence[str] | None = None
    """Answer from these documents only."""
    metadata_condition: dict[str, Any] | None = None
    """Answer from documents with such metadata only."""
    reasoning_effort: ReasoningEffort | None = None
    """Deep research."""
    internet: bool | None = None
    """Search the web too."""
    variables: dict[str, str] | None = None
    """Values of the prompt's variables (in a session)."""
    inputs: dict[str, Any] | None = None
    """Values of an agent's begin form, or of the form it waits for."""
    return_trace: bool | None = None
    """Keep the events of an agent's nodes in `response_metadata["trace"]`."""
    system_message: SystemMessagePolicy = "warn"
    """What to do with system messages, which RAGFlow drops: drop them with a warning, put them in front of the first message
    of the user, or refuse them."""

    @classmethod
    def from_client(cls, client: AnyClient, **fields: Any) -> Self:
        """Make a model that uses a client, and its connections, together with others.

        Args:
            client: A `RAGFlowClient` or an `AsyncRAGFlowClient`; either serves both modes.
            **fields: Fields of the model.
        """
        return cls(client=client, **fields)

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        given = {name: getattr(self, name) for name in _TARGETS}
        validation.text(name := validation.exactly_one(**given), given[name])
        _session_of(self.session_id, self.conversation_id)
        return self

    @model_validator(mode="after")
    def _set_ragflow_version(self) -> Self:
        self._add_version("ragflow-integrations", __version__)
        return self

    # -- what LangChain asks about ------------------------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "ragflow-chat" if self.agent_id is None else "ragflow-agent"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What makes two models give different answers; the key of LangChain's cache."""
        shaping = (*_TARGETS, *_SESSION, *_OPTIONS, "stop", "system_message")
        return {"base_url": self._clients.given.base_url} | {
            name: value for name in shaping if (value := getattr(self, name)) is not None
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        params.setdefault("ls_model_name", next(filter(None, (getattr(self, name) for name in _TARGETS))))
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return {
            "text_inputs": True,
            "text_outputs": True,
            "image_inputs": False,
            "tool_calling": False,
            "structured_output": False,
        }

    # -- a turn ------------------------------------------------------------------------------------------------------------

    def _turn(self, messages: list[BaseMessage], stop: list[str] | None, call: dict[str, Any]) -> _Turn:
        # All the models are loaded with it: half of what this class would add to the loading of LangChain.
        from ragflow_integrations.langchain import _messages  # noqa: PLC0415

        call = {name: value for name, value in call.items() if name != "stream"}  # LangChain's own
        unknown = sorted(set(call) - {*_SESSION, *_OPTIONS})
        if unknown:
            raise InvalidArgumentError(unknown[0], f"is no option of a call; options are {', '.join((*_SESSION, *_OPTIONS))}")
        session_id, conversation_id = _session_of(self.session_id, self.conversation_id)
        if any(call.get(name) is not None for name in _SESSION):
            session_id, conversation_id = _session_of(call.get("session_id"), call.get("conversation_id"))
        given = {name: call.get(name, getattr(self, name)) for name in _OPTIONS}
        given = {name: value for name, value in given.items() if value is not None}
        stored = session_id is not None or conversation_id is not None
        stateless = not stored and self.agent_id is None
        if stateless:
            given["messages"] = _messages.history(messages, self.system_message)
        else:
            if not stored:
                _messages.check_alone(messages)
            given["question"] = _messages.question(messages, self.system_message)
            given["session_id"] = session_id
        return _Turn(given, conversation_id, stateless, tuple(stop if stop is not None else self.stop or ()))

    def _addressing(self, client: AnyClient, turn: _Turn) -> Flow[None]:
        """Complete a turn with ids, asking the server for those not yet known."""
        shared = self._shared
        given = turn.arguments
        if self.agent_id is not None:
            given["agent_id"] = self.agent_id
        elif self.chat_id is not None:
            given["chat_id"] = self.chat_id
        else:
            key = ("chat", str(self.chat_name))
            if key not in shared.ids:
                shared.ids[key] = (yield client.chats.find(key[1])).id
            given["chat_id"] = shared.ids[key]
        if turn.conversation_id is not None:
            given["session_id"] = yield from self._session(client, turn)

    def _session(self, client: AnyClient, turn: _Turn) -> Flow[str]:
        """Find a conversation's session, or create it; of several first calls at once one creates it and the others wait."""
        shared, store, key = self._shared, self.session_store, str(turn.conversation_id)
        while not isinstance(found := shared.claim(store, key), str):
            if found is not None:
                yield found
                continue
            created = None
            try:
                if self.agent_id is not None:
                    # Up to 0.19.1 the values of an agent's begin form are needed here.
                    inputs = turn.arguments.get("inputs")
                    created = (yield client.agents.create_session(self.agent_id, inputs=inputs)).id
                else:
                    created = (yield client.sessions.create(turn.arguments["chat_id"])).id
            finally:
                shared.settle(store, key, created)
        return found

    def _answering(
        self, client: AnyClient, messages: list[BaseMessage], stop: list[str] | None, call: dict[str, Any]
    ) -> Flow[ChatResult]:
        turn = self._turn(messages, stop, call)
        yield from self._addressing(client, turn)
        answer = yield (client.complete if turn.stateless else client.ask)(**turn.arguments)
        return turn.asked.result(answer)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            return run(self._answering(self._sync, messages, stop, kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            return await arun(self._answering(self._async, messages, stop, kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain itself reports tokens
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with langchain_errors():
            turn, client = self._turn(messages, stop, kwargs), self._sync
            run(self._addressing(client, turn))
            chunks = turn.asked.chunks()
            with (client.stream_complete if turn.stateless else client.stream)(**turn.arguments) as stream:
                for event in stream:
                    if (chunk := chunks.feed(event)) is not None:
                        yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain itself reports tokens
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with langchain_errors():
            turn, client = self._turn(messages, stop, kwargs), self._async
            await arun(self._addressing(client, turn))
            chunks = turn.asked.chunks()
            async with (client.stream_complete if turn.stateless else client.stream)(**turn.arguments) as stream:
                async for event in stream:
                    if (chunk := chunks.feed(event)) is not None:
                        yield chunk

    # -- no cache in sessions ----------------------------------------------------------------------------------------------

    def _generate_with_cache(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return super(ChatRAGFlow, self._uncached(kwargs))._generate_with_cache(messages, *args, **kwargs)

    async def _agenerate_with_cache(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return await super(ChatRAGFlow, self._uncached(kwargs))._agenerate_with_cache(messages, *args, **kwargs)

    def _uncached(self, call: dict[str, Any]) -> Self:
        """Give the model without LangChain's cache where a session is used: a cached reply would skip the server's turn."""
        stored = any(call.get(name, getattr(self, name)) is not None for name in _SESSION)
        return self.model_copy(update={"cache": False}) if stored and self.cache is not False else self


def _session_of(session_id: str | None, conversation_id: str | None) -> tuple[str | None, str | None]:
    if session_id is not None and conversation_id is not None:
        raise InvalidArgumentError(
            "session_id", "and `conversation_id` exclude each other: the latter finds the session itself"
        )
    for name, value in (("session_id", session_id), ("conversation_id", conversation_id)):
        if value is not None:
            validation.text(name, value)
    return session_id, conversation_id


__all__ = ["ChatRAGFlow"]
