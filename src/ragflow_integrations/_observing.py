"""What requests tell of themselves, to logs and to OpenTelemetry: written once for both transports.

Told are method, address, status, time and the kind of error: never a key, a query, a body or the server's words.
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

    from ragflow_integrations._protocol.http import Request
    from ragflow_integrations._settings import Settings
    from ragflow_integrations._telemetry import Span

_logger = logging.getLogger("ragflow_integrations")


class Exchange:
    """One request, from before it is sent until its reply has been read or given up. This one tells nobody.

    As a context manager it ends with the error that leaves the block; otherwise it stays open until `end`.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to send along."""
        return {}

    def sending(self) -> AbstractContextManager[object]:
        """Surround the call that sends."""
        return contextlib.nullcontext()

    def answered(self, status: int) -> None:
        """Take note of the reply's HTTP status."""

    def end(self, error: BaseException | None = None) -> None:
        """Tell how it ended; only the first call counts."""

    def drop(self) -> None:
        """End without telling yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.end(error)


class _Told(Exchange):
    """A request that is logged, traced, or both."""

    def __init__(self, request: Request, url: str, span: Span | None, dropped: deque[_Told]) -> None:
        self._what = (request.method, url)
        self._span = span
        self._dropped = dropped
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
            self.tell(error)

    def drop(self) -> None:
        if self._stop():
            self._dropped.append(self)

    def _stop(self) -> bool:
        if self._ended:
            return False
        self._seconds, self._ended = time.perf_counter() - self._began, time.time_ns()
        return True

    def tell(self, error: BaseException | None = None) -> None:
        """Write the line, end the span."""
        if self._process != os.getpid():
            return  # it is the parent's to tell, not a forked child's
        kind = type(error).__qualname__ if error is not None else None
        if self._span is not None:
            self._span.end(self._status, kind, self._seconds, self._ended)
        outcome = " ".join(str(part) for part in (self._status or "no reply", kind) if part)
        _logger.debug("%s %s: %s in %.3f s", *self._what, outcome, self._seconds)


_UNTOLD = Exchange()


class Observer:
    """Watches the requests of one client.

    Args:
        settings: Settings of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dropped: deque[_Told] = deque()

    def begin(self, request: Request, resends: int) -> Exchange:
        """Begin to watch a request.

        Args:
            request: What will be sent.
            resends: How often it has been sent before.
        """
        self.settle()
        # Who wants spans or metrics has loaded OpenTelemetry, to say where they go. Loaded for nobody, it costs 30 ms.
        traced = "opentelemetry.context" in sys.modules
        if not traced and not _logger.isEnabledFor(logging.DEBUG):
            return _UNTOLD
        url = self._settings.url(request)
        span = None
        if traced:
            from ragflow_integrations import _telemetry  # noqa: PLC0415 - loaded for nobody, it costs 30 ms

            span = _telemetry.begin(request.method, url, resends)
        return _Told(request, url, span, self._dropped)

    def settle(self) -> None:
        """Tell of the streams that were dropped.

        The garbage collector drops them, perhaps while this same thread is inside of a logging handler or an exporter and
        holds its lock. So the drop itself only takes the time, and the next request or `close` tells.
        """
        with contextlib.suppress(IndexError):
            while self._dropped:
                self._dropped.popleft().tell()
