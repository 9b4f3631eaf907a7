"""Who is measured: ours, the frameworks alone, and other packages where they are installed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic_core import from_json

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, TextDelta
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from langchain_core.messages import BaseMessage


class ReadyMade(BaseChatModel):
    """A chat model that yields chunks it has: what LangChain itself costs."""

    pieces: list[str]

    @property
    def _llm_type(self) -> str:
        return "ready-made"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:  # noqa: ARG002 - LangChain's signature
        for piece in self.pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))

    async def _astream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for piece in self._stream(messages, *args, **kwargs):
            yield piece


def raw(base_url: str, what: str) -> str:
    """Read the bytes and parse each event's JSON: what no client can do without."""
    host = urlsplit(base_url)
    response = requests.post(f"http://{host.netloc}/{what}", data=b"", stream=True, timeout=60)
    events = (line for line in response.content.split(b"\n\n") if line.startswith(b"data:"))
    answers = [from_json(event[5:])["data"] for event in events]
    return "".join(answer["answer"] for answer in answers if isinstance(answer, dict))


def contenders(base_url: str, what: str, pieces: list[str]) -> dict[str, Callable[[], str]]:
    """Give what is to be run, by name; each returns the answer's text.

    Args:
        base_url: The server.
        what: The prepared reply.
        pieces: Pieces of the answer, for those that need no server.
    """
    client = RAGFlowClient(base_url, "key")
    model = ChatRAGFlow(chat_id=what, session_id="s", client=client)
    floor = ReadyMade(pieces=pieces)

    def stream() -> str:
        with client.stream(what, chat_id=what, session_id="s") as events:
            return "".join(event.text for event in events if isinstance(event, TextDelta))

    async def astream() -> str:
        async with (
            AsyncRAGFlowClient(base_url, "key") as other,
            other.stream(what, chat_id=what, session_id="s") as events,
        ):
            return "".join([event.text async for event in events if isinstance(event, TextDelta)])

    async def alangchain(of: BaseChatModel) -> str:
        text = "".join([str(chunk.content) async for chunk in of.astream(what)])
        if isinstance(of, ChatRAGFlow):
            await of.aclose()
        return text

    def llamaindex() -> str:
        engine = RAGFlowChatEngine(client, chat_id=what, session_id="s")
        return "".join(engine.stream_chat(what).response_gen)

    found: dict[str, Callable[[], str]] = {
        "bytes and JSON alone": lambda: raw(base_url, what),
        "RAGFlowClient.stream": stream,
        "AsyncRAGFlowClient.stream": lambda: asyncio.run(astream()),
        "LangChain alone, stream": lambda: "".join(str(chunk.content) for chunk in floor.stream(what)),
        "ChatRAGFlow.stream": lambda: "".join(str(chunk.content) for chunk in model.stream(what)),
        "LangChain alone, astream": lambda: asyncio.run(alangchain(floor)),
        "ChatRAGFlow.astream": lambda: asyncio.run(
            alangchain(ChatRAGFlow(chat_id=what, session_id="s", base_url=base_url, api_key="key"))
        ),
        "RAGFlowChatEngine.stream_chat": llamaindex,
    }
    if importlib.util.find_spec("langchain_openai"):
        route = f"{base_url}/api/v1/chats_openai/{what.replace('native', 'openai')}"
        peer = importlib.import_module("langchain_openai").ChatOpenAI(base_url=route, api_key="key", model="model")
        found["langchain-openai, stream"] = lambda: "".join(str(chunk.content) for chunk in peer.stream(what))
    return found
