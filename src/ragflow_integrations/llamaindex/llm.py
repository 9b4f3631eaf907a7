"""`RAGFlowLLM`: a RAGFlow chat assistant where LlamaIndex wants an LLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

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

from ragflow_integrations._adapters import Clients
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.llamaindex._respondent import Question, Respondent
from ragflow_integrations.models import Completed, CompletionOptions, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence
    from typing import Unpack

    from llama_index.core.callbacks import CallbackManager
    from pydantic import SecretStr

    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.models import Answer, AnswerEvent, Timeout

_SYSTEM = (MessageRole.SYSTEM, MessageRole.DEVELOPER)


class RAGFlowLLM(LLM):
    """A chat assistant as an LLM: for synthesizers, evaluators, routers and whatever else takes one.

    It is not the main door: the assistant has a prompt of its own, retrieves for every prompt, and calls no tools. To talk with
    it, use `RAGFlowChatEngine`. Nothing is stored on the server. System messages, which RAGFlow drops, are put before the first
    message of the user.

    Args:
        client: Client to share, of either kind; excludes `base_url` and `api_key`.
        base_url: Root of the server; default RAGFLOW_BASE_URL.
        api_key: API key; default RAGFLOW_API_KEY.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        context_window: Tokens that fit into a prompt, for those who cut prompts to fit.
        callback_manager: Legacy callbacks; default those of `Settings`.
        system_prompt: Put before every prompt.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing.
        **options: Options of every question (`model`, `temperature` …); see `CompletionOptions`.

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
    _respondent: Respondent = PrivateAttr()

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        chat_id: str | None = None,
        chat_name: str | None = None,
        context_window: int = 32_768,
        callback_manager: CallbackManager | None = None,
        system_prompt: str | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        **options: Unpack[CompletionOptions],
    ) -> None:
        fields: dict[str, Any] = {
            "chat_id": chat_id,
            "chat_name": chat_name,
            "context_window": context_window,
            "system_prompt": system_prompt,
            "options": dict(options),
        }
        if callback_manager is not None:
            fields["callback_manager"] = callback_manager
        super().__init__(**fields)
        clients = Clients(client, base_url=base_url, api_key=api_key, timeout=timeout, max_retries=max_retries)
        self._respondent = Respondent(clients, chat_id=chat_id, chat_name=chat_name, agent_id=None, options=options)

    @classmethod
    def from_defaults(cls, client: RAGFlowClient | AsyncRAGFlowClient | None = None, **settings: Any) -> Self:
        """Make an LLM; the arguments are those of the constructor."""
        return cls(client, **settings)

    @classmethod
    def class_name(cls) -> str:
        """Give the name of the class."""
        return "RAGFlowLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What the LLM can do."""
        return LLMMetadata(
            context_window=self.context_window,
            is_chat_model=True,
            is_function_calling_model=False,
            model_name=self._respondent.name,
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

    # The decorated methods tell tracers; these do not, so that a completion is told once.

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _whole(self._respondent.ask(_question(messages, kwargs)))

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _whole(await self._respondent.aask(_question(messages, kwargs)))

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        stream = self._respondent.stream(_question(messages, kwargs))

        def pieces() -> Generator[ChatResponse, None, None]:
            growing = _Growing()
            with stream:
                for event in stream:
                    yield growing.take(event)

        return pieces()

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        stream = await self._respondent.astream(_question(messages, kwargs))

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            growing = _Growing()
            async with stream:
                async for event in stream:
                    yield growing.take(event)

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


class _Growing:
    """The responses of a stream: each holds all that came before, and what is new."""

    def __init__(self) -> None:
        self._text = ""
        self._thinking = ""

    def take(self, event: AnswerEvent) -> ChatResponse:
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


def _question(messages: Sequence[ChatMessage], options: dict[str, Any]) -> Question:
    rules = "\n\n".join(message.content or "" for message in messages if message.role in _SYSTEM)
    others = [message for message in messages if message.role not in _SYSTEM]
    if not others:
        others, rules = [ChatMessage(role=MessageRole.USER, content=rules)], ""
    sent = list(_nodes.sent_messages(others))
    first = next((at for at, message in enumerate(sent) if message.role == "user"), None)
    if first is None:
        raise InvalidArgumentError("messages", "hold no question of the user")
    if rules:
        sent[first] = type(sent[first])(role="user", content=f"{rules}\n\n{sent[first].content}")
    return Question(sent[-1].content, None, tuple(sent), cast("CompletionOptions", options))
