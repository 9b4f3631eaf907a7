"""This project's clients and adapters."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.clients import KEY, QUESTION, Ask
from ragflow_integrations import RAGFlowClient, TextDelta
from ragflow_integrations._protocol.answers.reader import AnswerReader
from ragflow_integrations._protocol.calls.completion import Completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from benchmarks.answers import Markers


class Core:
    """`RAGFlowClient`."""

    markers: Markers = "bracket"

    def __init__(self, base_url: str) -> None:
        self._client = RAGFlowClient(base_url, KEY)

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream a turn of a session."""
        with self._client.stream(QUESTION, chat_id=ask.chat, session_id=ask.session) as events:
            for event in events:
                if isinstance(event, TextDelta):
                    yield event.text

    def retrieve(self) -> int:
        """Search."""
        return len(self._client.retrieve(QUESTION, dataset_ids=["dataset"]).chunks)


class CoreAsync:
    """`AsyncRAGFlowClient`."""

    markers: Markers = "bracket"

    def __init__(self, base_url: str) -> None:
        self._client = RAGFlowClient(base_url, KEY).as_async()

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream a turn of a session."""
        async with self._client.stream(QUESTION, chat_id=ask.chat, session_id=ask.session) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text

    async def aretrieve(self) -> int:
        """Search."""
        return len((await self._client.retrieve(QUESTION, dataset_ids=["dataset"])).chunks)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


class LangChain:
    """`ChatRAGFlow` in a session: the server keeps the history, and the native route answers."""

    markers: Markers = "bracket"

    def __init__(self, base_url: str) -> None:
        adapter: Any = import_module("ragflow_integrations.langchain")
        client = RAGFlowClient(base_url, KEY)
        self._client = client
        self._model = functools.cache(lambda chat: adapter.ChatRAGFlow(client=client, chat_id=chat))

    def _options(self, ask: Ask) -> dict[str, str]:
        return {"session_id": ask.session}

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream a turn of a session."""
        for chunk in self._model(ask.chat).stream(QUESTION, **self._options(ask)):
            if chunk.content:
                yield chunk.content

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream a turn of a session."""
        async for chunk in self._model(ask.chat).astream(QUESTION, **self._options(ask)):
            if chunk.content:
                yield chunk.content

    def retrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aretrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.as_async().aclose()


class LangChainStateless(LangChain):
    """`ChatRAGFlow` as it is by default: the messages are the history, and the OpenAI-compatible route answers."""

    def _options(self, ask: Ask) -> dict[str, str]:
        del ask
        return {}


class LlamaIndex:
    """`RAGFlowChatEngine` in a session."""

    markers: Markers = "bracket"

    def __init__(self, base_url: str) -> None:
        adapter: Any = import_module("ragflow_integrations.llamaindex")
        client = RAGFlowClient(base_url, KEY)
        twin = client.as_async()
        self._twin = twin
        # An engine per turn, so that none gathers a history; they share connections.
        self._engine: Callable[[Ask], Any] = lambda ask: adapter.RAGFlowChatEngine(
            client, chat_id=ask.chat, session_id=ask.session
        )
        self._async_engine: Callable[[Ask], Any] = lambda ask: adapter.RAGFlowChatEngine(
            twin, chat_id=ask.chat, session_id=ask.session
        )

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream a turn of a session."""
        yield from self._engine(ask).stream_chat(QUESTION).response_gen

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream a turn of a session."""
        response = await self._async_engine(ask).astream_chat(QUESTION)
        async for piece in response.async_response_gen():
            yield piece

    def retrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aretrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close connections."""
        await self._twin.aclose()


def _keep_apart() -> None:
    """Stop the merging of what arrives together.

    A burst comes in a few reads, and merging makes it a few pieces. To compare a piece with a piece it is switched off in this
    process; clients have no such option.
    """

    def apart(self: Completion, status: int, headers: Any) -> AnswerReader:
        return AnswerReader(self._about(), status=status, headers=headers)

    Completion.reader = apart  # type: ignore[method-assign]


class LangChainApart(LangChain):
    """`ChatRAGFlow` without merging."""

    def __init__(self, base_url: str) -> None:
        _keep_apart()
        super().__init__(base_url)


class LlamaIndexApart(LlamaIndex):
    """`RAGFlowChatEngine` without merging."""

    def __init__(self, base_url: str) -> None:
        _keep_apart()
        super().__init__(base_url)
