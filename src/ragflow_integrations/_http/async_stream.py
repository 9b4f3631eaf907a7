"""A streamed answer over `aiohttp`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from ragflow_integrations._http import connection_errors
from ragflow_integrations._http.driver import DRAIN_SECONDS, OnClose
from ragflow_integrations._protocol.answers.reader import MAX_DRAIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

    from ragflow_integrations._http.request_log import RequestRecord
    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import Answer, AnswerEvent

#: What sending and reading may raise; TimeoutError is an OSError.
PROBLEMS = (aiohttp.ClientError, OSError, ValueError)


class Connection:
    """An open stream: blocks of the response, through the reader.

    It closes itself when it is dropped, even by the garbage collector in another thread.

    Args:
        response: The response, of which the body has not been read.
        reader: Reads the body.
        settings: Settings of the client.
        record: The record of the request.
        settle: Asks the server how an answer ended; see `asking.settle`.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        reader: AnswerReader,
        settings: Settings,
        record: RequestRecord,
        settle: Callable[[AnswerReader], Awaitable[list[AnswerEvent]]],
    ) -> None:
        self.on_close = OnClose()
        self.reader = reader
        self.ready: list[AnswerEvent] = []
        self.closed = False
        self._response = response
        self._settings = settings
        self._record = record
        self._settle = settle
        loop = asyncio.get_running_loop()
        self._finalizer = weakref.finalize(self, _abandon, response, self.on_close, record, loop, os.getpid())
        self._finalizer.atexit = False

    async def open(self) -> Self:
        """Read a reply that is no event stream, so that a refusal is raised by the call itself."""
        while not self.reader.done and not self.reader.began:
            await self.fill()
        if self.reader.error is not None and not self.ready:
            raise self.reader.error
        return self

    async def gather(self) -> Answer:
        """Read to the end; return the answer."""
        try:
            while not self.reader.done:
                self.ready.clear()
                await self.fill()
        finally:
            self.close()
        if self.reader.error is not None:
            raise self.reader.error
        assert self.reader.answer is not None  # noqa: S101 - done without error
        return self.reader.answer

    async def fill(self) -> None:
        """Read a block; the events it completes are added to `ready`."""
        try:
            await self._fill()
        except BaseException as interruption:  # no `Exception`: the connection must not outlive the task that reads it
            self.close(interruption)
            raise

    async def _fill(self) -> None:
        reader = self.reader
        failure: RAGFlowError | None = None
        block, silent = b"", False
        try:
            block = await self._response.content.readany()
        except PROBLEMS as problem:
            block = self._buffered_bytes(problem)
            silent = isinstance(problem, TimeoutError)
            if not block:
                failure = connection_errors.cut_off(self._settings, reader, problem, silent=silent)
        if self.closed:  # by another task
            raise connection_errors.closed(reader.partial)
        if failure is not None:
            self.ready += reader.interrupt(failure, silent=silent)
        else:
            self.ready += reader.feed(block) if block else reader.finish()
        if failure is None and (reader.unsettled or reader.done):
            await self._drain()
        if reader.unsettled:
            self.ready += await self._settle(reader)
        if reader.done:
            if reader.error is not None:
                connection_errors.mask_key(reader.error, self._settings)
            self._end(reader.error)

    async def _drain(self) -> None:
        """Read to the end, which is near, so that the connection can be used again."""
        left = MAX_DRAIN
        with contextlib.suppress(*PROBLEMS):
            async with asyncio.timeout(DRAIN_SECONDS):
                while left > 0 and (block := await self._response.content.readany()):
                    left -= len(block)

    def _buffered_bytes(self, problem: Exception) -> bytes:
        """Return what came before the connection broke: aiohttp has it, and raises its exception first; it raises it again."""
        content = self._response.content
        content.set_exception(None)  # type: ignore[arg-type]  # the way to read what it holds
        block = content.read_nowait()
        content.set_exception(problem)
        return block

    def close(self, error: BaseException | None = None) -> None:
        """Close the connection, if it is open."""
        self.closed = True
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        try:
            self._record.end(error)
        finally:  # a log handler or an exporter may raise
            self._finalizer()


def _abandon(
    response: aiohttp.ClientResponse, on_close: OnClose, record: RequestRecord, loop: asyncio.AbstractEventLoop, process: int
) -> None:
    """Close a connection, perhaps from the garbage collector in another thread, or in a forked child, whose it is not."""
    record.abandon()
    try:
        if loop.is_closed() or process != os.getpid():
            return
        try:
            is_here = asyncio.get_running_loop() is loop
        except RuntimeError:
            is_here = False
        if is_here or not loop.is_running():
            response.close()
        else:
            loop.call_soon_threadsafe(response.close)
    finally:
        on_close.call()


class AsyncAnswerStream:
    """A streamed answer: `async with client.stream(…) as stream`, then `async for event in stream`.

    The last event is `Completed`, or an exception is raised after all text before it. Text that arrived together is one
    `TextDelta`. Leaving the block, `aclose()`, cancelling the task or dropping the stream closes the connection at once, and
    the server stops generating.
    The connection is made by `async with`, by `await client.stream(…)`, or by the first event.

    Args:
        connect: Makes the connection.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._index = 0
        self._closed = False
        self._opening: asyncio.Timeout | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def _open(self) -> Self:
        if self._connection is None and not self._closed:
            try:
                async with asyncio.timeout(None) as self._opening:
                    self._connection = await self._connect()
            except TimeoutError:  # only `aclose` sets a deadline
                raise connection_errors.closed("") from None
            except BaseException:
                self._closed = True  # the question is not asked again
                raise
            finally:
                self._opening = None
        return self

    @property
    def partial(self) -> str:
        """The text so far."""
        return self._connection.reader.partial if self._connection else ""

    @property
    def answer(self) -> Answer:
        """The finished answer.

        Raises:
            StreamInterruptedError: The stream has not been read to its end.
        """
        answer = self._connection.reader.answer if self._connection else None
        if answer is None:
            raise connection_errors.incomplete(self.partial)
        return answer

    def __aiter__(self) -> AsyncIterator[AnswerEvent]:
        return self

    async def __anext__(self) -> AnswerEvent:
        await self._open()
        connection = self._connection
        while connection is not None and self._index >= len(connection.ready):
            if connection.closed:
                raise StopAsyncIteration
            if connection.reader.done:
                connection.closed = True
                if connection.reader.error is not None:
                    raise connection.reader.error
                raise StopAsyncIteration
            self._index = 0
            connection.ready = []
            await connection.fill()
        if connection is None:
            raise StopAsyncIteration
        event = connection.ready[self._index]
        self._index += 1
        return event

    async def aclose(self) -> None:
        """Close the connection, if it is open or being opened, also from another task."""
        self._closed = True
        if self._connection is not None:
            self._connection.ready = []
            self._connection.close()
        elif self._opening is not None:
            self._opening.reschedule(0)

    async def __aenter__(self) -> Self:
        return await self._open()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
