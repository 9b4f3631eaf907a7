"""The requests of a soak: through the client and both adapters, in threads and on an event loop, ended in many ways."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
from typing import TYPE_CHECKING, Any

from ragflow_integrations import RAGFlowError
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.soak.server import FAULTS, WORDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient

WAYS = ("client", "stateless", "langchain", "llamaindex")


class Mix:
    """Seeded choices of one worker, and what came of them.

    Args:
        seed: Seed.
        client: The client that all share.
        twin: Its asynchronous twin.
    """

    def __init__(self, seed: str, client: RAGFlowClient, twin: AsyncRAGFlowClient) -> None:
        self._chance = random.Random(seed)
        self._client = client
        self._twin = twin
        self._turn: dict[str, Any] = {"chat_id": "c", "session_id": f"session-{seed}"}
        self._model = ChatRAGFlow(client=client, chat_id="c")
        self.outcomes: collections.Counter[str] = collections.Counter()

    def _question(self) -> tuple[str, str, int]:
        """The way, what to ask, and after how many pieces to leave."""
        fault = self._chance.choice(FAULTS[:-1]) if self._chance.random() < 0.2 else "right"
        if self._chance.random() < 0.005:
            fault = "stall"
        leave = self._chance.randrange(1, WORDS) if self._chance.random() < 0.3 else 10**6
        return self._chance.choice(WAYS), f"{fault} question", leave

    def _engine(self, client: RAGFlowClient | AsyncRAGFlowClient) -> RAGFlowChatEngine:
        return RAGFlowChatEngine(client, **self._turn)

    # One request in a thread

    def ask(self) -> None:
        way, question, leave = self._question()
        self.outcomes[f"asked {question.split(' ')[0]}"] += 1
        try:
            with contextlib.closing(self._pieces(way, question)) as pieces:
                for at, _ in enumerate(pieces, 1):
                    if at >= leave:
                        self.outcomes["left"] += 1
                        return
            self.outcomes["read"] += 1
        except RAGFlowError as error:
            self.outcomes[type(error).__name__] += 1

    def _pieces(self, way: str, question: str) -> Generator[object]:
        if way == "client":
            with self._client.stream(question, **self._turn) as stream:
                yield from stream
        elif way == "stateless":
            messages = [{"role": "user", "content": question}]
            yield from self._client.stream_complete(messages, chat_id="c")  # dropped, not closed
        elif way == "langchain":
            yield from self._model.stream(question)
        else:
            yield from self._engine(self._client).stream_chat(question).response_gen

    # One request in a task

    async def ask_async(self) -> None:
        way, question, leave = self._question()
        self.outcomes[f"asked {question.split(' ')[0]}"] += 1
        reading = asyncio.ensure_future(self._read(way, question, leave))
        if self._chance.random() < 0.1:
            await asyncio.wait([reading], timeout=self._chance.random() * 0.01)
            reading.cancel()
        try:
            self.outcomes[await reading] += 1
        except asyncio.CancelledError:
            self.outcomes["cancelled"] += 1
        except RAGFlowError as error:
            self.outcomes[type(error).__name__] += 1

    async def _read(self, way: str, question: str, leave: int) -> str:
        at = 0
        async with contextlib.aclosing(self._pieces_async(way, question)) as pieces:
            async for _ in pieces:
                at += 1
                if at >= leave:
                    return "left"
        return "read"

    async def _pieces_async(self, way: str, question: str) -> AsyncGenerator[object]:
        if way == "client":
            async with self._twin.stream(question, **self._turn) as stream:
                async for event in stream:
                    yield event
        elif way == "stateless":
            messages = [{"role": "user", "content": question}]
            async for event in self._twin.stream_complete(messages, chat_id="c"):  # dropped, not closed
                yield event
        elif way == "langchain":
            async for piece in self._model.astream(question):
                yield piece
        else:
            response = await self._engine(self._twin).astream_chat(question)
            async for token in response.async_response_gen():
                yield token
