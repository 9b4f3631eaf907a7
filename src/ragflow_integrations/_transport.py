"""Requests over `requests`: connections, errors, streams."""

from __future__ import annotations

import collections
import contextlib
import copy
import itertools
import math
import os
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

from ragflow_integrations import _failures, _protocol
from ragflow_integrations._forks import begin_anew, of_parent
from ragflow_integrations._observing import Observer
from ragflow_integrations.errors import RAGFlowError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ragflow_integrations._observing import Exchange
    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations._protocol.completions import Completion
    from ragflow_integrations._protocol.http import Operation, Request
    from ragflow_integrations._protocol.listings import Pages
    from ragflow_integrations._settings import Settings
    from ragflow_integrations.errors import ConnectionFailedError
    from ragflow_integrations.models import Answer, AnswerEvent, JsonObject

T = TypeVar("T")

#: Makes the operation that prepares a question; made anew where the server turns out to want it put otherwise.
Prepare: TypeAlias = "Callable[[], Operation[Completion]]"

#: Nothing was sent; the last is another thread's `close` at this very moment.
_NOTHING_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ClosedPoolError,
)
_BLOCK = 64 * 1024
_POOL = 64
#: Seconds a stream may take to end behind its terminator before its connection is given up.
DRAIN_SECONDS = 1.0


class _Key(AuthBase):
    """Sets the Authorization header at the last moment: no header with the key in it lies about, and netrc is not asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._settings.authorization
        return request


def nothing() -> None:
    """Release nothing: a stateless answer holds no session."""


class Held:
    """What an open stream holds, the turn of its session, and gives back when it closes.

    A stream gets it when it has been opened for good: an attempt that is repeated gives nothing back.
    """

    def __init__(self) -> None:
        self._release: Callable[[], None] | None = nothing

    def until_closed(self, release: Callable[[], None]) -> None:
        """Hold something; it is given back at once where the stream has closed already."""
        if self._release is None:
            release()
        else:
            self._release = release

    def release(self) -> None:
        """Give back what is held; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()


class Transport:
    """Sends requests on one pool of connections.

    Args:
        settings: Settings of the client.
        session: The caller's session to use instead of an own one; it is not closed.
    """

    def __init__(self, settings: Settings, session: requests.Session | None) -> None:
        self._settings = settings
        self._given = session
        self._own: requests.Session | None = None
        self._lock = threading.Lock()
        self._observer = Observer(settings)
        begin_anew(self)

    def after_fork(self) -> None:
        """Leave the pool to the parent: two processes on one connection would read each other's replies."""
        of_parent.append(self._own)
        self._own = None
        self._lock = threading.Lock()
        given = self._given
        if given is not None:
            http = [(prefix, adapter) for prefix, adapter in given.adapters.items() if isinstance(adapter, HTTPAdapter)]
            of_parent.append(http)
            for prefix, adapter in http:
                given.mount(prefix, copy.copy(adapter))  # the same settings, no connections

    def _session(self) -> requests.Session:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None:
                self._own = self._new_session()
            return self._own

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # Proxies and certificates of the environment, looked up once: with each request that took a fifth of its time.
        found = session.merge_environment_settings(self._settings.base_url, {}, None, None, None)
        session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=_POOL))
        return session

    def close(self) -> None:
        """Close idle connections; the next request opens new ones."""
        with self._lock:
            session, self._own = self._own, None
        self._observer.settle()
        if session is not None:
            for adapter in session.adapters.values():
                _close_pools(adapter)
            session.close()

    def run(self, operation: Operation[T]) -> T:
        """Run an API call: send what it yields, give it the reply or the error."""
        try:
            request = next(operation)
            while True:
                try:
                    reply = self.send(request)
                except RAGFlowError as error:
                    request = operation.throw(error)
                else:
                    request = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result

    def iterate(self, pages: Pages[T]) -> Iterator[T]:
        """Iterate over a listing, asking for pages as they are needed."""
        number, last = 1, False
        while not last:
            page = self.run(pages(number))
            yield from page.items
            number, last = number + 1, page.last

    def send(self, request: Request) -> JsonObject:
        """Send a request and read its reply, again where that is safe."""
        return self._repeat(request, lambda reply: _protocol.envelope.decode(reply, request, self._settings.profile))

    def fetch(self, request: Request) -> bytes:
        """Send a request for a file, again where that is safe."""
        return self._repeat(request, lambda reply: _protocol.envelope.decode_file(reply, request), math.inf)

    def _repeat(self, request: Request, read: Callable[[_protocol.http.Reply], T], most: float | None = None) -> T:
        def once(exchange: Exchange) -> T:
            failure: ConnectionFailedError | None = None
            body = _protocol.http.Body(_protocol.http.MAX_REPLY if most is None else most)
            with self._open(request, exchange) as response:
                try:
                    for block in _blocks(response):
                        body.add(block)
                except (urllib3.exceptions.HTTPError, OSError) as problem:
                    failure = _translate(problem, self._settings)
                    failure.began = True
            if failure is not None:
                raise failure
            result = read(_protocol.http.Reply(response.status_code, _headers(response), body.whole()))
            exchange.end()
            return result

        return self._attempt(request, once)

    def _attempt(self, request: Request, send: Callable[[Exchange], T]) -> T:
        """Send a request, again where that is safe, and watch each time."""
        from tenacity import Retrying  # noqa: PLC0415 - it loads asyncio

        resends = itertools.count()

        def once() -> T:
            with self._observer.begin(request, next(resends)) as exchange:
                return send(exchange)

        try:
            return Retrying(**_protocol.retries.policy(request, self._settings.max_retries))(once)
        except RAGFlowError as error:
            _failures.hide_key(error, self._settings)
            raise

    def ask(self, prepare: Prepare) -> Answer:
        """Send a question and wait for the whole answer."""
        profile = self._settings.profile
        while True:
            completion = self.run(prepare())
            try:
                answer = self._ask(completion)
            except RAGFlowError as error:
                if not self.run(_protocol.asking_again.after_error(completion, error, profile)):
                    raise
            else:
                if not self.run(_protocol.asking_again.after_answer(completion, answer, profile)):
                    return answer

    def _ask(self, completion: Completion) -> Answer:
        if not completion.stream:
            return self._repeat(completion.request, partial(self._answer, completion))
        with self._stream(completion) as stream:
            collections.deque(stream, maxlen=0)
            return stream.answer

    def _answer(self, completion: Completion, reply: _protocol.http.Reply) -> Answer:
        return completion.answer(_protocol.envelope.decode(reply, completion.request, self._settings.profile))

    def stream(self, prepare: Prepare, release: Callable[[], None] = nothing) -> AnswerStream:
        """Send a question and open its stream; a refusal is raised here, not at the first event."""
        while True:
            completion = self.run(prepare())
            try:
                stream = self._stream(completion)
            except RAGFlowError as error:
                if not self.run(_protocol.asking_again.after_error(completion, error, self._settings.profile)):
                    raise
            else:
                stream.held.until_closed(release)
                return stream

    def _stream(self, completion: Completion) -> AnswerStream:
        def once(exchange: Exchange) -> AnswerStream:
            response = self._open(completion.request, exchange, streamed=True)
            reader = completion.reader(response.status_code, _headers(response))
            stream = AnswerStream(response, reader, self._settings, exchange, partial(self._ended, completion))
            if "event-stream" not in response.headers.get("content-type", "") or not response.ok:
                stream.read_ahead()
            return stream

        return self._attempt(completion.request, once)

    def _ended(self, completion: Completion, reader: AnswerReader) -> bool:
        """Tell whether a stream that broke is whole all the same; what keeps that from being found out does not matter."""
        try:
            return self.run(_protocol.asking_again.ended(completion, reader, self._settings.profile))
        except RAGFlowError:
            return False

    def _open(self, request: Request, exchange: Exchange, *, streamed: bool = False) -> requests.Response:
        settings = self._settings
        files = [("file", (upload.name, upload.content)) for upload in request.files]
        headers = {"Accept-Encoding": "identity"} if streamed else {}
        try:
            with exchange.sending():
                response = self._session().request(
                    request.method,
                    settings.url(request),
                    params=dict(request.params),
                    json=request.json,
                    files=files or None,
                    auth=_Key(settings),
                    headers={**exchange.headers, **headers},
                    timeout=(settings.timeout.connect, settings.timeout.read),
                    allow_redirects=False,
                    stream=True,
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as problem:
            failure = _translate(problem, settings)
        else:
            exchange.answered(response.status_code)
            return response
        # Raised outside of `except`, so that no exception of requests, which holds the request with its key, hangs on it.
        raise failure


def _close_pools(adapter: BaseAdapter) -> None:
    """Close the idle connections of an adapter.

    urllib3 closes them when their pool is dropped, and the traceback of an earlier error may hold it until the garbage
    collector comes by.
    """
    if isinstance(adapter, HTTPAdapter):
        pools = adapter.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118 - not a mapping one can iterate
            pool = pools.get(key)
            if pool is not None:
                pool.close()


def _headers(response: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


class AnswerStream:
    """A streamed answer: iterate it for `AnswerEvent`s; leave it early as you like.

    The last event is `Completed`, or an exception is raised once all text before it has been given. Leaving the `with` block,
    `close()`, or dropping the stream closes the connection at once, and the server stops generating.

    Example:
        >>> with client.stream("How long is the battery range?", chat_id=chat_id) as stream:  # doctest: +SKIP
        ...     for event in stream:
        ...         print(event)
    """

    def __init__(
        self,
        response: requests.Response,
        reader: AnswerReader,
        settings: Settings,
        exchange: Exchange,
        ended: Callable[[AnswerReader], bool],
    ) -> None:
        self.held = Held()
        self._ended = ended
        self._exchange = exchange
        self._response = response
        self._reader = reader
        self._settings = settings
        self._ready: list[AnswerEvent] = []
        self._at = 0
        self._closed = False
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _abandon, response, self.held, exchange)
        self._finalizer.atexit = False
        self._blocks = _blocks(response)

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
            raise _failures.incomplete(self.partial)
        return self._reader.answer

    def read_ahead(self) -> None:
        """Read a reply that is no event stream, so that a refusal is raised by the call itself."""
        while not self._reader.done and not self._reader.began:
            self._fill()
        if self._reader.error is not None and not self._ready:
            raise self._reader.error

    def __iter__(self) -> Iterator[AnswerEvent]:
        return self

    def __next__(self) -> AnswerEvent:
        while self._at >= len(self._ready):
            if self._closed:
                raise StopIteration
            if self._reader.done:
                self._closed = True
                if self._reader.error is not None:
                    raise self._reader.error
                raise StopIteration
            self._fill()
        event = self._ready[self._at]
        self._at += 1
        return event

    def _fill(self) -> None:
        self._at = 0
        self._ready = []
        failure: RAGFlowError | None = None
        silent = False
        block = b""
        try:
            block = next(self._blocks, b"")
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as problem:
            # urllib3 raises the last two when another thread closes the response it reads.
            silent = isinstance(problem, urllib3.exceptions.ReadTimeoutError | TimeoutError)
            failure = _failures.cut_off(self._settings, self._reader, problem, silent=silent)
        if self._closed:
            failure = _failures.closed(self.partial)
        if failure is not None:
            if self._closed or silent or not self._ended(self._reader):
                self._exchange.end(failure)
                self.close()
                raise failure
            self._ready = self._reader.conclude()
        elif block:
            self._ready = self._reader.feed(block)
        else:
            self._ready = self._reader.finish()
            if isinstance(self._reader.error, StreamInterruptedError) and self._ended(self._reader):
                self._ready += self._reader.conclude()
        if self._reader.done:
            self._drain()
            self._end(self._reader.error)

    def _drain(self) -> None:
        """Read to the end, which is near, so that the connection can be used again."""
        connection = self._response.raw.connection
        sock = connection.sock if connection is not None else None
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
            if sock is not None:
                sock.settimeout(DRAIN_SECONDS)
            left, until = _protocol.reader.MAX_DRAIN, time.monotonic() + DRAIN_SECONDS
            while left > 0 and time.monotonic() < until and (block := next(self._blocks, b"")):
                left -= len(block)
            if sock is not None:
                sock.settimeout(self._settings.timeout.read)

    def close(self) -> None:
        """Close the connection, if it is open; also from another thread, whose blocked read then ends."""
        self._ready = []
        if not self._closed:
            self._closed = True
            if self._finalizer.alive and self._process == os.getpid():  # in a forked child it would end the parent's read
                with contextlib.suppress(ValueError, OSError, RuntimeError):
                    self._response.raw.shutdown()
            self._end()

    def _end(self, error: RAGFlowError | None = None) -> None:
        if error is not None:
            _failures.hide_key(error, self._settings)
        try:
            self._exchange.end(error)
        finally:  # what is told of it may fail, by a handler's or an exporter's fault
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _abandon(response: requests.Response, held: Held, exchange: Exchange) -> None:
    exchange.drop()
    try:
        response.close()
    finally:
        held.release()


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """Give bytes the moment they come: requests' own iterators hold back text, or all of it, where a reply is not chunked."""
    raw = response.raw
    if raw.chunked and raw.supports_chunked_reads():
        return iter(raw.stream(_BLOCK, decode_content=True))
    return iter(lambda: raw.read1(_BLOCK, decode_content=True), b"")


def _translate(problem: Exception, settings: Settings) -> ConnectionFailedError:
    """Give our exception for one of requests or urllib3."""
    inner = _innermost(problem)
    if isinstance(problem, requests.ConnectTimeout):
        return _failures.connect_timeout(settings)
    if isinstance(problem, requests.Timeout) or isinstance(inner, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return _failures.read_timeout(settings)
    if isinstance(problem, requests.exceptions.SSLError) or isinstance(inner, urllib3.exceptions.SSLError):
        return _failures.tls_failed(settings, inner)
    if isinstance(inner, _NOTHING_SENT):
        return _failures.no_connection(settings, inner)
    return _failures.broken(settings, inner)


def _innermost(problem: BaseException) -> BaseException:
    reason = getattr(problem, "reason", None)
    if isinstance(reason, BaseException):
        return _innermost(reason)
    wrapped = [arg for arg in problem.args if isinstance(arg, BaseException)]
    return _innermost(wrapped[0]) if wrapped else problem
