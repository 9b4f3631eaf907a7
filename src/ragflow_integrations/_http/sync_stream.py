"""A streamed answer over `requests`."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from typing import TYPE_CHECKING, Self

import urllib3.exceptions

from ragflow_integrations._http import connection_errors
from ragflow_integrations._http.driver import DRAIN_SECONDS, OnClose
from ragflow_integrations._protocol.answers.reader import MAX_DRAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from ragflow_integrations._http.request_log import RequestRecord
    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import Answer, AnswerEvent

_BLOCK = 64 * 1024
#: What reading a response may raise; urllib3 raises the last two when another thread closes the response.
PROBLEMS = (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError)


class Connection:
    """The connection of an open stream. It closes itself when it is dropped, even by the garbage collector.

    Args:
        response: The response, of which the body has not been read.
        settings: Settings of the client.
        record: The record of the request.
    """

    def __init__(self, response: requests.Response, settings: Settings, record: RequestRecord) -> None:
        self.on_close = OnClose()
        self._response = response
        self._settings = settings
        self._record = record
        self._blocks = blocks(response)
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _abandon, response, self.on_close, record)
        self._finalizer.atexit = False

    def read(self) -> bytes:
        """Return the next bytes of the body, none at its end.

        Raises:
            OSError, ValueError, AttributeError, urllib3.exceptions.HTTPError: The connection broke; urllib3 raises the second
                and third when another thread closes the response it reads.
        """
        return next(self._blocks, b"")

    def drain(self) -> None:
        """Read to the end, which is near, so that the connection can be used again."""
        connection = self._response.raw.connection
        sock = connection.sock if connection is not None else None
        with contextlib.suppress(*PROBLEMS):
            if sock is not None:
                sock.settimeout(DRAIN_SECONDS)
            left, deadline = MAX_DRAIN, time.monotonic() + DRAIN_SECONDS
            while left > 0 and time.monotonic() < deadline and (block := self.read()):
                left -= len(block)
            if sock is not None:
                sock.settimeout(self._settings.timeout.read)

    def abort(self) -> None:
        """End a read of another thread that waits for bytes."""
        if self._finalizer.alive and self._process == os.getpid():  # in a forked child it would end the parent's read
            with contextlib.suppress(ValueError, OSError, RuntimeError):
                self._response.raw.shutdown()

    def end(self, error: BaseException | None = None) -> None:
        """Close the connection, or give it back to the pool if its body has been read; a second call does nothing."""
        try:
            self._record.end(error)
        finally:  # a log handler or an exporter may raise
            self._finalizer()


def _abandon(response: requests.Response, on_close: OnClose, record: RequestRecord) -> None:
    record.abandon()
    try:
        response.close()
    finally:
        on_close.call()


class AnswerStream:
    """A streamed answer: iterate it for `AnswerEvent`s; leave it early as you like.

    The last event is `Completed`, or an exception is raised after all text before it. Text that arrived together is one
    `TextDelta`. Leaving the `with` block, `close()`, or dropping the stream closes the connection at once, and the server stops
    generating.

    Example:
        >>> with client.stream("How long is the battery range?", chat_id=chat_id) as stream:  # doctest: +SKIP
        ...     for event in stream:
        ...         print(event)
    """

    def __init__(
        self,
        connection: Connection,
        reader: AnswerReader,
        settings: Settings,
        settle: Callable[[AnswerReader], list[AnswerEvent]],
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._settings = settings
        self._settle = settle
        self._ready: list[AnswerEvent] = []
        self._index = 0
        self._closed = False

    @property
    def partial(self) -> str:
        """The text so far."""
        return self._reader.partial

    @property
    def answer(self) -> Answer:
        """The finished answer.

        Raises:
            StreamInterruptedError: The stream has not been read to its end.
        """
        if self._reader.answer is None:
            raise connection_errors.incomplete(self.partial)
        return self._reader.answer

    def __iter__(self) -> Iterator[AnswerEvent]:
        return self

    def __next__(self) -> AnswerEvent:
        while self._index >= len(self._ready):
            if self._closed:
                raise StopIteration
            if self._reader.done:
                self._closed = True
                if self._reader.error is not None:
                    raise self._reader.error
                raise StopIteration
            self._fill()
        event = self._ready[self._index]
        self._index += 1
        return event

    def _open(self) -> Self:
        """Read a reply that is no event stream, so that a refusal is raised by the call itself."""
        while not self._reader.done and not self._reader.began:
            self._fill()
        if self._reader.error is not None and not self._ready:
            raise self._reader.error
        return self

    def _fill(self) -> None:
        """Read a block; keep the events it completes."""
        self._index, self._ready = 0, []
        reader, connection = self._reader, self._connection
        failure: RAGFlowError | None = None
        block, silent = b"", False
        try:
            block = connection.read()
        except PROBLEMS as problem:
            silent = isinstance(problem, urllib3.exceptions.ReadTimeoutError | TimeoutError)
            failure = connection_errors.cut_off(self._settings, reader, problem, silent=silent)
        if self._closed:  # by another thread
            raise connection_errors.closed(self.partial)
        if failure is not None:
            events = reader.interrupt(failure, silent=silent)
        else:
            events = reader.feed(block) if block else reader.finish()
        if failure is None and (reader.unsettled or reader.done):
            connection.drain()
        if reader.unsettled:
            events += self._settle(reader)
        self._ready = events
        if reader.done:
            if reader.error is not None:
                connection_errors.mask_key(reader.error, self._settings)
            connection.end(reader.error)

    def close(self) -> None:
        """Close the connection, if it is open; also from another thread, whose blocked read then ends."""
        self._ready = []
        if not self._closed:
            self._closed = True
            self._connection.abort()
            self._connection.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def blocks(response: requests.Response) -> Iterator[bytes]:
    """Return an iterator over the bytes of a body as they come.

    The iterators of requests hold back text, or the whole of a body that is not chunked.
    """
    raw = response.raw
    if raw.chunked and raw.supports_chunked_reads():
        return iter(raw.stream(_BLOCK, decode_content=True))
    return iter(lambda: raw.read1(_BLOCK, decode_content=True), b"")
