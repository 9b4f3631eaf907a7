"""`RAGFlowLLM`: a RAGFlow chat assistant where LlamaIndex wants an LLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ThinkingBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import LLM
from pydantic import Field, PrivateAttr

from ragflow_integrations._adapters.history import check_ends_with_question, prepend_system
from ragflow_integrations._adapters.stop import StopFilter, cut_answer
from ragflow_integrations._adapters.target import ChatTarget
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.llamaindex._component import RAGFlowComponent
from ragflow_integrations.llamaindex._engine_target import EngineTarget
from ragflow_integrations.models import Completed, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
    from typing import Unpack

    from llama_index.core.callbacks import CallbackManager

    from ragflow_integrations._adapters.clients import ClientPair
    from ragflow_integrations._adapters.target import Question
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.llamaindex.options import EngineOptions
    from ragflow_integrations.models import Answer, AnswerEvent

_SYSTEM = (MessageRole.SYSTEM, MessageRole.DEVELOPER)


class RAGFlowLLM(RAGFlowComponent, LLM):
    """A chat assistant as an LLM: for synthesizers, evaluators, routers and whatever else takes one.

    To talk with an assistant, use `RAGFlowChatEngine` instead: as an LLM, the assistant has a prompt of its own, retrieves for
    every prompt, and calls no tools. Nothing is stored on the server. System messages, which RAGFlow drops, are put before the
    first message of the user.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        context_window: Tokens that fit into a prompt, for those who cut prompts to fit.
        callback_manager: Legacy callbacks; default those of `Settings`.
        system_prompt: Put before every prompt.
        **options: Options of every question (`model`, `temperature`, `stop` …), see `QuestionOptions`; settings of the client
            (`base_url`, `api_key` …), see `ConnectionOptions`.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowLLM
        >>> llm = RAGFlowLLM(base_url=base_url, api_key=api_key, chat_id=chat_id)
        >>> response = llm.complete("How long does a full charge take?")
        >>> response.additional_kwargs["citations"][0]["document_name"]
        'charging-stations.md'
    """

    chat_id: str | None = None
    chat_name: str | None = None
    context_window: int = Field(default=32_768, gt=0)
    options: dict[str, Any] = Field(default_factory=dict)
    _target: EngineTarget = PrivateAttr()

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        chat_id: str | None = None,
        chat_name: str | None = None,
        context_window: int = 32_768,
        callback_manager: CallbackManager | None = None,
        system_prompt: str | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        target = EngineTarget(client, ChatTarget(chat_id, chat_name), options)
        fields: dict[str, Any] = {
            "chat_id": chat_id,
            "chat_name": chat_name,
            "context_window": context_window,
            "system_prompt": system_prompt,
            "options": target.all_options,
        }
        if callback_manager is not None:
            fields["callback_manager"] = callback_manager
        super().__init__(**fields)
        self._target = target

    def _client_pair(self) -> ClientPair:
        return self._target.clients

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class."""
        return "RAGFlowLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What the LLM can do."""
        return LLMMetadata(
            context_window=self.context_window,
            is_chat_model=True,
            is_function_calling_model=False,
            model_name=self._target.name,
        )

    # -- chat ----------------------------------------------------------------------------------------------------------------

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer the last message."""
        return self._chat(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer the last message, asynchronously."""
        return await self._achat(messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """Answer the last message in pieces; refusals are raised here."""
        return self._stream_chat(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        """Answer the last message in pieces, asynchronously; refusals are raised here."""
        return await self._astream_chat(messages, **kwargs)

    def _question(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Question:
        system = [message.content or "" for message in messages if message.role in _SYSTEM]
        others = [message for message in messages if message.role not in _SYSTEM]
        if not others:  # an LLM may be asked by a system message alone
            others, system = [ChatMessage(role=MessageRole.USER, content="\n\n".join(system))], []
        history = prepend_system(_nodes.sent_messages(others), system)
        return self._target.question(check_ends_with_question(history), options, history=history)

    # The decorated methods tell tracers; these do not, so that a completion is told once.

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        question = self._question(messages, kwargs)
        return _whole(cut_answer(self._target.ask(question), question.stop))

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        question = self._question(messages, kwargs)
        return _whole(cut_answer(await self._target.aask(question), question.stop))

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        question = self._question(messages, kwargs)
        stream = self._target.stream(question)

        def pieces() -> Generator[ChatResponse, None, None]:
            response = _CumulativeResponse(question.stop)
            with stream:
                for event in stream:
                    yield from response.feed(event)

        return pieces()

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        question = self._question(messages, kwargs)
        stream = await self._target.astream(question)

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            response = _CumulativeResponse(question.stop)
            async with stream:
                async for event in stream:
                    for part in response.feed(event):
                        yield part

        return pieces()

    # -- completion ----------------------------------------------------------------------------------------------------------

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: ARG002 - LLM's
        """Answer a prompt."""
        return chat_to_completion_decorator(self._chat)(prompt, **kwargs)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: ARG002 - LLM's
        """Answer a prompt, asynchronously."""
        return await achat_to_completion_decorator(self._achat)(prompt, **kwargs)

    @llm_completion_callback()
    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 - LLM's
        **kwargs: Any,
    ) -> Generator[CompletionResponse, None, None]:
        """Answer a prompt in pieces."""
        return stream_chat_to_completion_decorator(self._stream_chat)(prompt, **kwargs)

    @llm_completion_callback()
    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 - LLM's
        **kwargs: Any,
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Answer a prompt in pieces, asynchronously."""
        return await astream_chat_to_completion_decorator(self._astream_chat)(prompt, **kwargs)


class _CumulativeResponse:
    """The responses of a stream: each holds all that came before, and what is new."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop_filter = StopFilter(stop)
        self._text = ""
        self._thinking = ""

    def feed(self, event: AnswerEvent) -> Iterator[ChatResponse]:
        """Accept an event; return the responses that it makes."""
        yield from map(self._response, self._stop_filter.feed_event(event))

    def _response(self, event: AnswerEvent) -> ChatResponse:
        if isinstance(event, Completed):
            return _whole(event.answer, delta="")
        delta, extra = "", {}
        if isinstance(event, TextDelta):
            delta = event.text
            self._text += delta
        elif isinstance(event, ReasoningDelta):
            extra = {"thinking_delta": event.text}  # the name that LlamaIndex's agents read
            self._thinking += event.text
        blocks: list[ContentBlock] = [ThinkingBlock(content=self._thinking)] if self._thinking else []
        blocks.append(TextBlock(text=self._text))
        return ChatResponse(
            message=ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks), delta=delta, additional_kwargs=extra
        )


def _whole(answer: Answer, delta: str | None = None) -> ChatResponse:
    response = _nodes.chat_response(_nodes.assistant_message(answer), answer)
    response.delta = delta
    return response
