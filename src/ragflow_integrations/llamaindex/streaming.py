"""`RAGFlowStreamingChatResponse`: an answer that is pulled from the connection by whoever reads it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.chat_engine.types import StreamingAgentChatResponse

from ragflow_integrations.client import AnswerStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from llama_index.core.memory import BaseMemory

    from ragflow_integrations.async_client import AsyncAnswerStream
    from ragflow_integrations.llamaindex._turn import Turn


@dataclass(init=False, eq=False)
class RAGFlowStreamingChatResponse(StreamingAgentChatResponse):
    """A streamed answer of `RAGFlowChatEngine`.

    Each piece is read from the connection when its reader asks for it: there is no thread, no queue and no task. Leaving the
    loop, `close()` or `aclose()`, leaving a `with` or `async with` block, cancelling the task, or dropping the response closes
    the connection, and the server stops generating. (An `async for` left by `break` is closed one step of the event loop
    later; `async with` closes at once.) Read it once: a second loop gives nothing.

    Attributes:
        response: The server's final text, or as much as came; also `str(response)`.
        source_nodes: Everything retrieved, in the server's order; filled when the answer is whole.
        sources: The retrieval as a `ToolOutput`.
        metadata: `session_id`, `message_id`, `citations`, `usage`, `finish_reason`; of agents `input_request`, `structured`,
            `attachments`, `trace`.
        exception: What ended the answer early, if it was an error.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowChatEngine
        >>> engine = RAGFlowChatEngine(base_url=base_url, api_key=api_key, chat_id=chat_id)
        >>> with engine.stream_chat("How long does a full charge take?") as response:
        ...     text = "".join(response.response_gen)
        >>> str(response) == response.response and len(response.source_nodes) > 0
        True
    """

    is_writing_to_memory: bool = False
    metadata: dict[str, Any] | None = None

    def __init__(self, turn: Turn, stream: AnswerStream | AsyncAnswerStream, memory: BaseMemory | None = None) -> None:
        super().__init__(sources=turn.sources, source_nodes=turn.nodes, is_writing_to_memory=False)
        self.metadata = turn.metadata
        self.is_function = False
        # These are no fields: tracers copy every field of what a call returns, and copying a connection reads it empty.
        self._turn = turn
        self._stream = stream
        self._memory = memory
        self._closed = False
        # Streams close themselves when they are dropped; the trace must be ended.
        self._finalizer = weakref.finalize(self, turn.end)
        self._finalizer.atexit = False

    def __str__(self) -> str:
        return self.response or self.unformatted_response

    @property
    def response_gen(self) -> Generator[str, None, None]:
        """The pieces of the answer.

        Raises:
            TypeError: The response is that of `astream_chat`.
        """
        return self._pull(self._sync_stream())

    def _pull(self, stream: AnswerStream) -> Generator[str, None, None]:
        if self.is_done:
            return
        error: Exception | None = None
        try:
            for event in stream:
                if delta := self._turn.take(event):
                    self.unformatted_response += delta
                    yield delta
        except Exception as problem:
            if not self._closed:  # otherwise it was closed from another thread, and its reader has just to stop
                error = problem
                raise
        finally:
            self._close(stream, error)

    async def async_response_gen(self) -> AsyncGenerator[str, None]:
        """Return the pieces of the answer.

        Raises:
            TypeError: The response is that of `stream_chat`.
        """
        stream = self._async_stream()
        if self.is_done:
            return
        error: Exception | None = None
        try:
            async for event in stream:
                if delta := self._turn.take(event):
                    self.unformatted_response += delta
                    yield delta
        except Exception as problem:
            if not self._closed:  # otherwise it was closed from another task, and its reader has just to stop
                error = problem
                raise
        finally:
            await self._aclose(stream, error)

    def close(self) -> None:
        """Close the connection, if it is open; what came of the answer stays.

        Raises:
            TypeError: The response is that of `astream_chat`.
        """
        stream = self._sync_stream()
        self._closed = True
        self._close(stream, None)

    async def aclose(self) -> None:
        """Close the connection, if it is open; what came of the answer stays.

        Raises:
            TypeError: The response is that of `stream_chat`.
        """
        stream = self._async_stream()
        self._closed = True
        await self._aclose(stream, None)

    def __enter__(self) -> Self:
        self._sync_stream()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._async_stream()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _close(self, stream: AnswerStream, error: Exception | None) -> None:
        stream.close()
        if self._end(error) and self._memory is not None:
            self._memory.put_messages(self._turn.kept)

    async def _aclose(self, stream: AsyncAnswerStream, error: Exception | None) -> None:
        await stream.aclose()
        if self._end(error) and self._memory is not None:
            for message in self._turn.kept:
                # One by one: the base class of memories sends `aput_messages` to a thread.
                await self._memory.aput(message)

    def _end(self, error: Exception | None) -> bool:
        if self.is_done:
            return False
        self.is_done = True
        self.exception = error
        self.response = self._turn.text
        return self._turn.end(error)

    def _sync_stream(self) -> AnswerStream:
        if isinstance(self._stream, AnswerStream):
            return self._stream
        raise TypeError("This response is that of astream_chat(): use async_response_gen(), aclose() and `async with`.")

    def _async_stream(self) -> AsyncAnswerStream:
        if isinstance(self._stream, AnswerStream):
            raise TypeError("This response is that of stream_chat(): use response_gen, close() and `with`.")
        return self._stream
