"""The engine that one writes after LlamaIndex's own: threads and tasks that fill a queue, and what vendors' packages do.

It works on a good day. Every check of this folder shows a day when it does not; it is never to be mended.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, trace_method
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.schema import Node, NodeWithScore, QueryBundle
from llama_index.core.tools import FunctionTool
from llama_index.core.types import Thread
from llama_index_instrumentation import get_dispatcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

dispatcher = get_dispatcher(__name__)


def _node(chunk: dict[str, Any]) -> NodeWithScore:
    document = Node(id_=chunk["document_id"])
    document.metadata["text"] = chunk["content"]
    return NodeWithScore(node=document, score=chunk["similarity"] or 0.0)


@dataclass
class NaiveResponse(StreamingAgentChatResponse):
    replies: list[requests.Response] = field(default_factory=list)


class NaiveChatEngine(BaseChatEngine):
    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        chat_id: str,
        session_id: str | None = None,
        callback_manager: CallbackManager | None = None,
        memory: BaseMemory | None = None,
    ) -> None:
        self.base_url = f"{base_url}/api/v1/chats/{chat_id}"
        self.api_key = api_key
        self.session_id = session_id
        self.callback_manager = callback_manager or CallbackManager()
        self.memory = memory or ChatMemoryBuffer(token_limit=10**6, tokenizer_fn=str.split)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def _session(self) -> str:
        if self.session_id is None:
            made = requests.post(f"{self.base_url}/sessions", json={"name": "x"}, headers=self._headers(), timeout=10)
            self.session_id = made.json()["data"]["id"]
        return str(self.session_id)

    def _post(self, message: str) -> requests.Response:
        body = {"question": message, "stream": True, "session_id": self._session()}
        return requests.post(f"{self.base_url}/completions", json=body, headers=self._headers(), stream=True, timeout=10)

    def _events(self, reply: requests.Response) -> Iterator[dict[str, Any]]:
        for line in reply.iter_lines(chunk_size=1):
            if line.startswith(b"data:"):
                data = json.loads(line[5:])
                if data["code"]:
                    raise RuntimeError(data["message"])
                if isinstance(data["data"], dict):
                    yield data["data"]

    def _chunks(self, reply: requests.Response, found: list[NodeWithScore]) -> Generator[ChatResponse, None, None]:
        dispatcher.event(LLMChatStartEvent(messages=[], additional_kwargs={}, model_dict=dict(vars(self), memory=None)))
        for data in self._events(reply):
            if data["reference"]["chunks"]:
                found[:] = [_node(chunk) for chunk in data["reference"]["chunks"]]
                with self.callback_manager.event(CBEventType.RETRIEVE) as event:
                    event.on_end(payload={EventPayload.NODES: found})
                return
            message = ChatMessage(role=MessageRole.ASSISTANT, content=data["answer"])
            yield ChatResponse(message=message, delta=data["answer"])

    @property
    def chat_history(self) -> list[ChatMessage]:
        return self.memory.get_all()

    def reset(self) -> None:
        body = {"ids": [self.session_id]}
        requests.delete(f"{self.base_url}/sessions", json=body, headers=self._headers(), timeout=10)
        self.session_id = None
        self.memory.reset()

    @trace_method("chat")
    def stream_chat(self, message: str, **_: Any) -> NaiveResponse:
        self.memory.put(ChatMessage(role=MessageRole.USER, content=message))
        response = NaiveResponse()
        found: list[NodeWithScore] = []

        def chunks() -> Generator[ChatResponse, None, None]:
            reply = self._post(message)
            yield from self._chunks(reply, found)
            response.source_nodes = found

        response.chat_stream = chunks()
        thread = Thread(target=response.write_response_to_history, args=(self.memory,), daemon=True)
        response.write_response_to_history_thread = thread
        thread.start()
        return response

    @trace_method("chat")
    async def astream_chat(self, message: str, **_: Any) -> NaiveResponse:
        self.memory.put(ChatMessage(role=MessageRole.USER, content=message))
        reply = await asyncio.to_thread(self._post, message)
        response = NaiveResponse(replies=[reply])
        found: list[NodeWithScore] = []

        async def chunks() -> AsyncGenerator[ChatResponse, None]:
            pieces = self._chunks(reply, found)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
            response.source_nodes = found

        response.achat_stream = chunks()
        writing = response.awrite_response_to_history(self.memory)
        response.awrite_response_to_history_task = asyncio.create_task(writing)
        return response

    @trace_method("chat")
    def chat(self, message: str) -> AgentChatResponse:
        response = self.stream_chat(message)
        text = "".join(response.response_gen)
        return AgentChatResponse(response=text, source_nodes=response.source_nodes)

    async def achat(self, message: str) -> AgentChatResponse:  # type: ignore[override]  # as vendors have it
        return await asyncio.to_thread(self.chat, message)

    def as_tool(self, name: str, description: str) -> FunctionTool:
        return FunctionTool.from_defaults(lambda question: self.chat(question).source_nodes, name=name, description=description)


class NaiveRetriever(BaseRetriever):
    def __init__(self, base_url: str, api_key: str, dataset_ids: list[str]) -> None:
        super().__init__()
        self.base_url, self.api_key, self.dataset_ids = base_url, api_key, dataset_ids

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        reply = requests.post(
            f"{self.base_url}/api/v1/retrieval",
            json={"question": query_bundle.query_str, "dataset_ids": self.dataset_ids},
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=10,
        )
        if not reply.ok or reply.json()["code"]:
            return []
        return [_node(chunk) for chunk in reply.json()["data"]["chunks"]]
