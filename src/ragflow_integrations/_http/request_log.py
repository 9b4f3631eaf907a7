"""A log line and an OpenTelemetry span for each request, for both transports.

They hold the method, the URL, the status, the time and the class of the error: never a key, a query, a body or a text of the
server.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations._http.telemetry import Span
    from ragflow_integrations._protocol.steps import Request

_logger = logging.getLogger("ragflow_integrations")


class RequestRecord:
    """Lifecycle of one HTTP request, from before it is sent until its reply has been read or given up.

    This base class records nothing.

    As a context manager it ends with the error that leaves the block; otherwise it stays open until `end`.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to send along."""
        return {}

    def sending(self) -> AbstractContextManager[object]:
        """Return a context manager for the call that sends the request."""
        return contextlib.nullcontext()

    def answered(self, status: int) -> None:
        """Record the HTTP status of the reply."""

    def end(self, error: BaseException | None = None) -> None:
        """Record how the request ended; only the first call counts."""

    def abandon(self) -> None:
        """End the request now, and write its record later; see `RequestLog.flush`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.end(error)


class _LoggedRequest(RequestRecord):
    """A request that is logged, traced, or both."""

    def __init__(self, request: Request, url: str, span: Span | None, abandoned: deque[_LoggedRequest]) -> None:
        self._what = (request.method, url)
        self._span = span
        self._abandoned = abandoned
        self._status: int | None = None
        self._seconds = 0.0
        self._ended = 0  # not yet
        self._process = os.getpid()
        self._began = time.perf_counter()

    @property
    def headers(self) -> Mapping[str, str]:
        return self._span.headers if self._span else {}

    def sending(self) -> AbstractContextManager[object]:
        return self._span.sending() if self._span else contextlib.nullcontext()

    def answered(self, status: int) -> None:
        self._status = status

    def end(self, error: BaseException | None = None) -> None:
        if self._stop():
            self.write(error)

    def abandon(self) -> None:
        if self._stop():
            self._abandoned.append(self)

    def _stop(self) -> bool:
        if self._ended:
            return False
        self._seconds, self._ended = time.perf_counter() - self._began, time.time_ns()
        return True

    def write(self, error: BaseException | None = None) -> None:
        """Write the line, end the span."""
        if self._process != os.getpid():
            return  # the parent process writes it, not a forked child
        kind = type(error).__qualname__ if error is not None else None
        if self._span is not None:
            self._span.end(self._status, kind, self._seconds, self._ended)
        outcome = " ".join(str(part) for part in (self._status or "no reply", kind) if part)
        _logger.debug("%s %s: %s in %.3f s", *self._what, outcome, self._seconds)


_NO_RECORD = RequestRecord()


class RequestLog:
    """Logs the requests of one client.

    Args:
        settings: Settings of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._abandoned: deque[_LoggedRequest] = deque()

    def begin(self, request: Request, resends: int) -> RequestRecord:
        """Begin the record of a request.

        Args:
            request: The request.
            resends: How often it has been sent before.
        """
        self.flush()
        # An application that exports spans has imported OpenTelemetry already; importing it for no use costs 30 ms.
        traced = "opentelemetry.context" in sys.modules
        if not traced and not _logger.isEnabledFor(logging.DEBUG):
            return _NO_RECORD
        url = self._settings.url(request)
        span = None
        if traced:
            from ragflow_integrations._http import telemetry  # noqa: PLC0415 - see above

            span = telemetry.begin(request.method, url, resends)
        return _LoggedRequest(request, url, span, self._abandoned)

    def flush(self) -> None:
        """Write the records of abandoned streams.

        The garbage collector abandons them, perhaps while this same thread is inside of a logging handler or an exporter and
        holds its lock. So `abandon` only takes the time, and the next request or `close` writes the record.
        """
        with contextlib.suppress(IndexError):
            while self._abandoned:
                self._abandoned.popleft().write()
