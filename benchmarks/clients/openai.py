"""The frameworks' OpenAI clients on RAGFlow's OpenAI-compatible route."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.clients import KEY, QUESTION, Ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.answers import Markers


def _route(base_url: str, chat: str) -> str:
    return f"{base_url}/api/v1/chats_openai/{chat}"


class _Client:
    markers: Markers = "raw"

    def retrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aretrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Leave the connections to the end of the process: the frameworks have no way to close them."""


class LangChain(_Client):
    """`langchain-openai`."""

    def __init__(self, base_url: str) -> None:
        package: Any = import_module("langchain_openai")
        self._model = functools.cache(
            lambda chat: package.ChatOpenAI(model="model", base_url=_route(base_url, chat), api_key=KEY, max_retries=0)
        )

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream an answer."""
        for chunk in self._model(ask.chat).stream(QUESTION):
            if chunk.content:
                yield chunk.content

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream an answer."""
        async for chunk in self._model(ask.chat).astream(QUESTION):
            if chunk.content:
                yield chunk.content


class LlamaIndex(_Client):
    """`llama-index-llms-openai-like`: the model alone, which is less work than a chat engine around it."""

    def __init__(self, base_url: str) -> None:
        package: Any = import_module("llama_index.llms.openai_like")
        types: Any = import_module("llama_index.core.base.llms.types")
        self._question = [types.ChatMessage(role=types.MessageRole.USER, content=QUESTION)]
        self._model = functools.cache(
            lambda chat: package.OpenAILike(
                model="model", api_base=_route(base_url, chat), api_key=KEY, is_chat_model=True, max_retries=0
            )
        )

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream an answer."""
        for response in self._model(ask.chat).stream_chat(self._question):
            if response.delta:
                yield response.delta

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream an answer."""
        async for response in await self._model(ask.chat).astream_chat(self._question):
            if response.delta:
                yield response.delta
