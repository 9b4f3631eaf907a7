"""`ChatRAGFlow`: a RAGFlow chat assistant as a LangChain chat model."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence  # noqa: TC003 - pydantic evaluates the types of fields
from typing import TYPE_CHECKING, Annotated, Any, Self

from langchain_core.language_models.chat_models import BaseChatModel
from pydantic import Field, SkipValidation, model_validator

from ragflow_integrations._adapters.options import QUESTION_OPTIONS, check_names, question_options
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.stop import check_stop
from ragflow_integrations._adapters.target import TARGETS, ChatTarget, Question
from ragflow_integrations._protocol import validation
from ragflow_integrations._version import __version__
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.langchain import _requests
from ragflow_integrations.langchain._answers import MessageBuilder
from ragflow_integrations.langchain._compat import PROVIDER
from ragflow_integrations.langchain._component import RAGFlowComponent
from ragflow_integrations.langchain._errors import langchain_errors
from ragflow_integrations.langchain._requests import SystemMessagePolicy  # noqa: TC001 - pydantic evaluates the types of fields
from ragflow_integrations.models import CitationStyle, ReasoningEffort  # noqa: TC001 - pydantic evaluates the types of fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LangSmithParams
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from ragflow_integrations._adapters.clients import AnyClient
    from ragflow_integrations._adapters.steps import Steps

_SESSION = ("session_id", "conversation_id")


class ChatRAGFlow(BaseChatModel, RAGFlowComponent):
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
        `additional_kwargs["citations"]` too. A citation spans its marker in the text, or its sentence if no marker is shown.

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
        _ = self._target
        _session_of(self.session_id, self.conversation_id)
        return self

    @model_validator(mode="after")
    def _set_ragflow_version(self) -> Self:
        self._add_version("ragflow-integrations", __version__)
        return self

    @property
    def _target(self) -> ChatTarget:
        return ChatTarget(self.chat_id, self.chat_name, self.agent_id)

    # -- what LangChain asks about ------------------------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "ragflow-chat" if self.agent_id is None else "ragflow-agent"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What makes two models give different answers; the key of LangChain's cache."""
        shaping = (*TARGETS, *_SESSION, *QUESTION_OPTIONS, "stop", "system_message")
        return {"base_url": self._clients.primary.base_url} | {
            name: value for name in shaping if (value := getattr(self, name)) is not None
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        params.setdefault("ls_model_name", self._target.name)
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return {
            "text_inputs": True,
            "text_outputs": True,
            "image_inputs": False,
            "tool_calling": False,
            "structured_output": False,
        }

    # -- a question --------------------------------------------------------------------------------------------------------

    def _question(
        self, client: AnyClient, messages: list[BaseMessage], stop: list[str] | None, call: dict[str, Any]
    ) -> Steps[Question]:
        """Return the question, with its session; the options of a call replace those of the model."""
        call = {name: value for name, value in call.items() if name != "stream"}  # LangChain's own
        check_names(call, (*_SESSION, *QUESTION_OPTIONS), "call")
        session_id, conversation_id = _session_of(self.session_id, self.conversation_id)
        if any(call.get(name) is not None for name in _SESSION):
            session_id, conversation_id = _session_of(call.get("session_id"), call.get("conversation_id"))
        options = question_options({name: call.get(name, getattr(self, name)) for name in QUESTION_OPTIONS})
        stops = check_stop(self.stop if stop is None else stop)
        stored = session_id is not None or conversation_id is not None
        if not stored and self.agent_id is None:
            return Question(history=_requests.history(messages, self.system_message), options=options, stop=stops)
        if not stored:
            _requests.check_alone(messages)
        text = _requests.question(messages, self.system_message)
        question = Question(text, session_id, options=options, stop=stops)
        if conversation_id is None:
            return question
        return (yield from self._target.within_stored_session(client, question, self.session_store, conversation_id))

    def _builder(self, client: AnyClient, question: Question) -> Steps[MessageBuilder]:
        ids = yield from self._target.ids(client)
        return MessageBuilder(ids.get("chat_id"), ids.get("agent_id"), question.options.get("model"), question.stop)

    def _answer(
        self, client: AnyClient, messages: list[BaseMessage], stop: list[str] | None, call: dict[str, Any]
    ) -> Steps[ChatResult]:
        question = yield from self._question(client, messages, stop, call)
        answer = yield from self._target.ask(client, question)
        return (yield from self._builder(client, question)).result(answer)

    def _open_stream(
        self, client: AnyClient, messages: list[BaseMessage], stop: list[str] | None, call: dict[str, Any]
    ) -> Steps[Any]:
        """Return the stream of an answer, and the builder of its chunks."""
        question = yield from self._question(client, messages, stop, call)
        builder = yield from self._builder(client, question)
        return (yield from self._target.ask(client, question, stream=True)), builder.chunks()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            return run(self._answer(self._sync, messages, stop, kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            return await arun(self._answer(self._async, messages, stop, kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain itself reports tokens
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with langchain_errors():
            stream, chunks = run(self._open_stream(self._sync, messages, stop, kwargs))
            with stream:
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
            stream, chunks = await arun(self._open_stream(self._async, messages, stop, kwargs))
            async with stream:
                async for event in stream:
                    if (chunk := chunks.feed(event)) is not None:
                        yield chunk

    # -- no cache in sessions ----------------------------------------------------------------------------------------------

    def _generate_with_cache(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return super(ChatRAGFlow, self._uncached(kwargs))._generate_with_cache(messages, *args, **kwargs)

    async def _agenerate_with_cache(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return await super(ChatRAGFlow, self._uncached(kwargs))._agenerate_with_cache(messages, *args, **kwargs)

    def _uncached(self, call: dict[str, Any]) -> Self:
        """Return the model without LangChain's cache if a session is used: a cached reply would skip the server's turn."""
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
