"""Stand-ins for the LLMs that users bring: they say what the test tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata, MessageRole, ToolCallBlock
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Scripted(CustomLLM):
    """Answers each prompt with what a function makes of it, and remembers the prompts."""

    _reply: Any = PrivateAttr()
    _prompts: list[str] = PrivateAttr(default_factory=list)

    def __init__(self, reply: Callable[[str], str] | str) -> None:
        super().__init__()
        self._reply = reply

    @property
    def prompts(self) -> list[str]:
        return self._prompts

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=100_000, num_output=1000, model_name="scripted")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:  # noqa: ARG002 - CustomLLM's
        self._prompts.append(prompt)
        return CompletionResponse(text=self._reply if isinstance(self._reply, str) else self._reply(prompt))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Generator[CompletionResponse, None, None]:
        yield self.complete(prompt, formatted)


def calling(*calls: tuple[str, dict[str, Any]]) -> MockFunctionCallingLLM:
    """An LLM that calls tools, one each turn, and then repeats what the last one said."""

    async def reply(messages: list[ChatMessage], **_: Any) -> Any:
        said = [message.content for message in messages if message.role is MessageRole.TOOL]
        if len(said) < len(calls):
            name, arguments = calls[len(said)]
            block = ToolCallBlock(tool_call_id=str(len(said)), tool_name=name, tool_kwargs=arguments)
            yield ChatMessage(role=MessageRole.ASSISTANT, blocks=[block])
        else:
            yield ChatMessage(role=MessageRole.ASSISTANT, content=f"It says: {said[-1]}")

    return MockFunctionCallingLLM(response_generator=reply)
