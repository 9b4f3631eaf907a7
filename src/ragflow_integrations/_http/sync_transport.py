"""Requests over `requests`: connections, repetitions, errors."""

from __future__ import annotations

import collections
import itertools
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import tenacity
import urllib3.exceptions
from requests.adapters import DEFAULT_POOLBLOCK, DEFAULT_POOLSIZE, BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

from ragflow_integrations._http import connection_errors, uploads
from ragflow_integrations._http.per_process import PerProcess
from ragflow_integrations._http.request_log import RequestLog
from ragflow_integrations._http.sync_stream import AnswerStream, Connection, blocks
from ragflow_integrations._protocol import envelope, retries, steps
from ragflow_integrations._protocol.calls import asking
from ragflow_integrations.errors import RAGFlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ragflow_integrations._http.request_log import RequestRecord
    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations._protocol.calls.completion import Completion
    from ragflow_integrations._protocol.calls.paging import PageFetcher
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Operation, Request, Step
    from ragflow_integrations.errors import ConnectionFailedError
    from ragflow_integrations.models import JsonObject

T = TypeVar("T")

#: Nothing was sent; the last is another thread's `close` at this very moment.
_NOTHING_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ClosedPoolError,
)
_POOL = 64


class _Key(AuthBase):
    """Sets the Authorization header when a request is sent.

    So the key is never stored on the session, and requests does not consult .netrc.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._settings.authorization
        return request


class Transport:
    """Runs operations on one pool of connections per process.

    Args:
        settings: Settings of the client.
        session: The caller's session to use instead of an own one; it is not closed.
    """

    def __init__(self, settings: Settings, session: requests.Session | None) -> None:
        self._settings = settings
        self._log = RequestLog(settings)
        self._is_own = session is None
        if session is None:
            self._sessions = PerProcess(self._new_session)
        else:
            self._sessions = PerProcess(partial(_without_connections, session), session)

    @property
    def profile(self) -> ServerProfile:
        """What is known of the server."""
        return self._settings.profile

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # Proxies and certificates of the environment, looked up once: with each request that took a fifth of its time.
        environment = session.merge_environment_settings(self._settings.base_url, {}, None, None, None)
        session.proxies, session.verify, session.trust_env = environment["proxies"], environment["verify"], False
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=_POOL))
        return session

    def close(self) -> None:
        """Close idle connections; the next request opens new ones."""
        session = self._sessions.pop() if self._is_own else None
        self._log.flush()
        if session is not None:
            for adapter in session.adapters.values():
                close_pools(adapter)
            session.close()

    def run(self, operation: Operation[T]) -> T:
        """Run an operation: take each step it yields, send it the result or throw the error."""
        with connection_errors.public_errors():
            try:
                step = next(operation)
                while True:
                    try:
                        result = self._take(step)
                    except RAGFlowError as error:
                        step = operation.throw(error)
                    else:
                        step = operation.send(result)
            except StopIteration as end:
                returned: T = end.value
                return returned
            except RAGFlowError as error:
                connection_errors.mask_key(error, self._settings)
                raise
            finally:
                operation.close()  # an interrupted one releases what it holds

    def _take(self, step: Step) -> Any:
        match step:
            case steps.Request():
                return self.send(step)
            case steps.Wait():
                return self._settings.session_locks.acquire(step.session_id, self._settings.timeout.read)
            case steps.Open():
                return self._gather(step.completion) if step.gather else self._stream(step)
            case steps.Download():
                return self._repeat(step.request, lambda reply: envelope.decode_file(reply, step.request), math.inf)
            case steps.ReadFiles():
                return uploads.read(step.files)
            case steps.Sleep():
                return time.sleep(step.seconds)

    def stream(self, operation: Operation[AnswerStream]) -> AnswerStream:
        """Ask a question and return its stream."""
        return self.run(operation)

    def iterate(self, pages: PageFetcher[T]) -> Iterator[T]:
        """Iterate over a listing; pages are requested as they are needed."""
        number, last = 1, False
        while not last:
            page = self.run(pages(number))
            yield from page.items
            number, last = number + 1, page.last

    def send(self, request: Request) -> JsonObject:
        """Send a request and read its reply, again if that is safe."""
        return self._repeat(request, lambda reply: envelope.decode(reply, request, self._settings.profile), steps.MAX_REPLY)

    def _repeat(self, request: Request, read: Callable[[steps.Reply], T], limit: float) -> T:
        def attempt(record: RequestRecord) -> T:
            failure: ConnectionFailedError | None = None
            body = steps.Body(limit)
            with self._open(request, record) as response:
                try:
                    for block in blocks(response):
                        body.add(block)
                except (urllib3.exceptions.HTTPError, OSError) as problem:
                    failure = _translate(problem, self._settings)
                    failure.began = True
            if failure is not None:
                raise failure
            result = read(steps.Reply(response.status_code, _headers(response), body.whole()))
            record.end()
            return result

        return self._attempt(request, attempt)

    def _attempt(self, request: Request, attempt: Callable[[RequestRecord], T]) -> T:
        """Send a request, again if that is safe; each attempt has its record."""
        resends = itertools.count()

        def once() -> T:
            with self._log.begin(request, next(resends)) as record:
                return attempt(record)

        try:
            return tenacity.Retrying(**retries.policy(request, self._settings.max_retries))(once)
        except RAGFlowError as error:
            connection_errors.mask_key(error, self._settings)
            raise

    def _stream(self, step: steps.Open) -> AnswerStream:
        completion = step.completion

        def attempt(record: RequestRecord) -> AnswerStream:
            response = self._open(completion.request, record, streamed=True)
            connection = Connection(response, self._settings, record)
            reader = completion.reader(response.status_code, _headers(response))
            stream = AnswerStream(
                connection, reader, self._settings, lambda reader: self.run(asking.settle(completion, reader))
            )
            is_stream = "event-stream" in response.headers.get("content-type", "") and response.ok
            return stream if is_stream else stream._open()  # noqa: SLF001 - users cannot call it

        stream = self._attempt(completion.request, attempt)
        stream._connection.on_close.set(step.on_close)  # noqa: SLF001 - not before the last attempt
        return stream

    def _gather(self, completion: Completion) -> Any:
        with self._stream(steps.Open(completion)) as stream:
            collections.deque(stream, maxlen=0)
            return stream.answer

    def _open(self, request: Request, record: RequestRecord, *, streamed: bool = False) -> requests.Response:
        settings = self._settings
        files = [("file", (upload.name, upload.content)) for upload in request.files]
        headers = {"Accept-Encoding": "identity"} if streamed else {}
        try:
            with record.sending():
                response = self._sessions.get().request(
                    request.method,
                    settings.url(request),
                    params=dict(request.params),
                    json=request.json,
                    files=files or None,
                    auth=_Key(settings),
                    headers={**record.headers, **headers},
                    timeout=(settings.timeout.connect, settings.timeout.read),
                    allow_redirects=False,
                    stream=True,
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as problem:
            failure = _translate(problem, settings)
        else:
            record.answered(response.status_code)
            return response
        # Raised outside of `except` so that `__context__` does not keep the exception of requests, whose request has the key.
        raise failure


def _without_connections(session: requests.Session) -> requests.Session:
    """Give the adapters of a caller's session new pools, in a forked child.

    The adapter makes them by its own `init_poolmanager`, which a caller's subclass overrides to set an SSL context. The old
    pools are kept alive: closing them would end the parent's connections.
    """
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            _inherited.append((adapter.poolmanager, adapter.proxy_manager))
            adapter.proxy_manager = {}
            # Kept by requests under these names, to pickle adapters.
            state = vars(adapter)
            adapter.init_poolmanager(
                state.get("_pool_connections", DEFAULT_POOLSIZE),
                state.get("_pool_maxsize", DEFAULT_POOLSIZE),
                state.get("_pool_block", DEFAULT_POOLBLOCK),
            )
    return session


_inherited: list[object] = []


def close_pools(adapter: BaseAdapter) -> None:
    """Close the idle connections of an adapter.

    urllib3 closes them when their pool is dropped, and the traceback of an earlier error may keep the pool alive until the
    garbage collector runs.
    """
    if isinstance(adapter, HTTPAdapter):
        pools = adapter.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118 - not a mapping one can iterate
            pool = pools.get(key)
            if pool is not None:
                pool.close()


def _headers(response: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _translate(problem: Exception, settings: Settings) -> ConnectionFailedError:
    """Return our exception for one of requests or urllib3."""
    inner = _innermost(problem)
    if isinstance(problem, requests.ConnectTimeout):
        return connection_errors.connect_timeout(settings)
    if isinstance(problem, requests.Timeout) or isinstance(inner, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return connection_errors.read_timeout(settings)
    if isinstance(problem, requests.exceptions.SSLError) or isinstance(inner, urllib3.exceptions.SSLError):
        return connection_errors.tls_failed(settings, inner)
    if isinstance(inner, _NOTHING_SENT):
        return connection_errors.no_connection(settings, inner)
    return connection_errors.broken(settings, inner)


def _innermost(problem: BaseException) -> BaseException:
    reason = getattr(problem, "reason", None)
    if isinstance(reason, BaseException):
        return _innermost(reason)
    wrapped = [arg for arg in problem.args if isinstance(arg, BaseException)]
    return _innermost(wrapped[0]) if wrapped else problem
