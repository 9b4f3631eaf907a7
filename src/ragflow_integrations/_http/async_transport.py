"""Requests over `aiohttp`: connections, repetitions, errors."""

from __future__ import annotations

import asyncio
import itertools
import math
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import aiohttp
import tenacity
from requests.utils import get_environ_proxies, select_proxy
from urllib3.filepost import encode_multipart_formdata

from ragflow_integrations._http import connection_errors, uploads
from ragflow_integrations._http.async_stream import PROBLEMS, AsyncAnswerStream, Connection
from ragflow_integrations._http.driver import DRAIN_SECONDS
from ragflow_integrations._http.per_process import PerProcess
from ragflow_integrations._http.request_log import RequestLog
from ragflow_integrations._protocol import envelope, retries, steps
from ragflow_integrations._protocol.calls import asking
from ragflow_integrations.errors import RAGFlowError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from ragflow_integrations._http.request_log import RequestRecord
    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations._protocol.calls.paging import PageFetcher
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Operation, Request, Step
    from ragflow_integrations.errors import ConnectionFailedError
    from ragflow_integrations.models import JsonObject

T = TypeVar("T")

#: A session, and the generator that closes it.
_OpenSession: TypeAlias = "tuple[aiohttp.ClientSession, AsyncGenerator[aiohttp.ClientSession, None]]"
_Sessions: TypeAlias = "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _OpenSession]"

_BUFFER = 256 * 1024
_KEEP_ALIVE = 60


class AsyncTransport:
    """Runs operations on one pool of connections per process and event loop.

    Args:
        settings: Settings of the client.
        session: The caller's session to use instead of own ones; it is not closed, and belongs to one event loop.
    """

    def __init__(self, settings: Settings, session: aiohttp.ClientSession | None) -> None:
        self._settings = settings
        self._callers_session = session
        self._log = RequestLog(settings)
        self._sessions: PerProcess[_Sessions] = PerProcess(weakref.WeakKeyDictionary)

    @property
    def profile(self) -> ServerProfile:
        """What is known of the server."""
        return self._settings.profile

    @cached_property
    def _proxy(self) -> str | None:
        """The proxy of the environment, as for the synchronous client; aiohttp's own way would let netrc replace the key."""
        url = self._settings.base_url
        return select_proxy(url, get_environ_proxies(url))

    async def _session(self) -> aiohttp.ClientSession:
        if self._callers_session is not None:
            return self._callers_session
        sessions = self._sessions.get()
        loop = asyncio.get_running_loop()
        kept = sessions.get(loop)
        if kept is None or kept[0].closed:
            lifespan = _session_lifespan()
            kept = (await anext(lifespan), lifespan)
            sessions[loop] = kept
        return kept[0]

    async def aclose(self) -> None:
        """Close idle connections of this event loop, and of others that run; a later request opens new ones."""
        self._log.flush()
        current = asyncio.get_running_loop()
        sessions = self._sessions.get()
        for loop, (_, lifespan) in list(sessions.items()):
            sessions.pop(loop, None)
            if loop is current:
                await lifespan.aclose()
            elif loop.is_running():
                await _close_elsewhere(lifespan, loop)

    async def run(self, operation: Operation[T]) -> T:
        """Run an operation: take each step it yields, send it the result or throw the error."""
        with connection_errors.public_errors():
            try:
                step = next(operation)
                while True:
                    try:
                        result = await self._take(step)
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

    async def _take(self, step: Step) -> Any:
        match step:
            case steps.Request():
                return await self.send(step)
            case steps.Wait():
                return await self._settings.session_locks.aacquire(step.session_id, self._settings.timeout.read)
            case steps.Open():
                connection = await self._connect(step)
                return await connection.gather() if step.gather else connection
            case steps.Download():
                return await self._repeat(step.request, lambda reply: envelope.decode_file(reply, step.request), math.inf)
            case steps.ReadFiles():
                return await asyncio.to_thread(uploads.read, step.files)
            case steps.Sleep():
                return await asyncio.sleep(step.seconds)

    def stream(self, operation: Operation[Connection]) -> AsyncAnswerStream:
        """Return the stream of a question, which runs its operation when it is opened."""
        return AsyncAnswerStream(lambda: self.run(operation))

    async def iterate(self, pages: PageFetcher[T]) -> AsyncIterator[T]:
        """Iterate over a listing; pages are requested as they are needed."""
        number, last = 1, False
        while not last:
            page = await self.run(pages(number))
            for item in page.items:
                yield item
            number, last = number + 1, page.last

    async def send(self, request: Request) -> JsonObject:
        """Send a request and read its reply, again if that is safe."""
        profile = self._settings.profile
        return await self._repeat(request, lambda reply: envelope.decode(reply, request, profile), steps.MAX_REPLY)

    async def _repeat(self, request: Request, read: Callable[[steps.Reply], T], limit: float) -> T:
        async def attempt(record: RequestRecord) -> T:
            failure: ConnectionFailedError | None = None
            body = steps.Body(limit)
            response = await self._open(request, record)
            try:
                while block := await response.content.readany():
                    body.add(block)
            except PROBLEMS as problem:
                failure = _translate(problem, self._settings)
                failure.began = True
            finally:
                response.release()
            if failure is not None:
                raise failure
            result = read(steps.Reply(response.status, _headers(response), body.whole()))
            record.end()
            return result

        return await self._attempt(request, attempt)

    async def _attempt(self, request: Request, attempt: Callable[[RequestRecord], Awaitable[T]]) -> T:
        """Send a request, again if that is safe; each attempt has its record."""
        resends = itertools.count()

        async def once() -> T:
            with self._log.begin(request, next(resends)) as record:
                return await attempt(record)

        try:
            return await tenacity.AsyncRetrying(**retries.policy(request, self._settings.max_retries))(once)
        except RAGFlowError as error:
            connection_errors.mask_key(error, self._settings)
            raise

    async def _connect(self, step: steps.Open) -> Connection:
        completion = step.completion

        async def attempt(record: RequestRecord) -> Connection:
            response = await self._open(completion.request, record, streamed=True)
            reader = completion.reader(response.status, _headers(response))
            connection = Connection(
                response, reader, self._settings, record, lambda reader: self.run(asking.settle(completion, reader))
            )
            is_stream = "event-stream" in response.headers.get("content-type", "") and response.ok
            return connection if is_stream else await connection.open()

        connection = await self._attempt(completion.request, attempt)
        connection.on_close.set(step.on_close)  # not before the last attempt
        return connection

    async def _open(self, request: Request, record: RequestRecord, *, streamed: bool = False) -> aiohttp.ClientResponse:
        settings = self._settings
        headers = {**record.headers}
        if streamed:
            headers["Accept-Encoding"] = "identity"
        body: bytes | None = None
        if request.files:
            # As requests writes it: aiohttp's own form would percent-encode the names of files.
            parts = [("file", (upload.name, upload.content)) for upload in request.files]
            body, headers["Content-Type"] = encode_multipart_formdata(parts)
        session = await self._session()
        try:
            with record.sending():
                response = await session.request(
                    request.method,
                    settings.url(request),
                    params=dict(request.params),
                    json=request.json,
                    data=body,
                    headers={**headers, "Authorization": settings.authorization},  # no local variable: tracebacks show those
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=settings.timeout.connect, sock_read=settings.timeout.read
                    ),
                    allow_redirects=False,
                    proxy=self._proxy,
                )
        except PROBLEMS as problem:
            failure = _translate(problem, settings)
        else:
            record.answered(response.status)
            return response
        # Raised outside of `except` so that `__context__` does not keep aiohttp's exception, whose request has the key.
        raise failure


async def _session_lifespan() -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Keep a session open until it is closed or its event loop shuts down.

    `asyncio.run` and its like close the asynchronous generators that are still open when a loop ends, so this one closes the
    session even if the caller never does.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
    session = aiohttp.ClientSession(connector=connector, read_bufsize=_BUFFER)
    # `retries` decides what may be sent again; aiohttp would send DELETE and PUT twice when a connection breaks.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    try:
        yield session
    finally:
        await session.close()


async def _close(lifespan: AsyncGenerator[aiohttp.ClientSession, None]) -> None:
    await lifespan.aclose()


async def _close_elsewhere(lifespan: AsyncGenerator[aiohttp.ClientSession, None], loop: asyncio.AbstractEventLoop) -> None:
    """Close a session in its own loop; a loop that ends meanwhile closes it itself, and is not waited for."""
    closing = _close(lifespan)
    try:
        done = asyncio.run_coroutine_threadsafe(closing, loop)
    except RuntimeError:
        closing.close()  # the loop is closed
    else:
        await asyncio.wait([asyncio.wrap_future(done)], timeout=DRAIN_SECONDS)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _translate(problem: Exception, settings: Settings) -> ConnectionFailedError:
    """Return our exception for one of aiohttp."""
    if isinstance(problem, aiohttp.ConnectionTimeoutError):
        return connection_errors.connect_timeout(settings)
    if isinstance(problem, TimeoutError):
        return connection_errors.read_timeout(settings)
    if isinstance(problem, aiohttp.ClientSSLError):
        return connection_errors.tls_failed(settings, problem.os_error)
    if isinstance(problem, aiohttp.ClientConnectorError):
        return connection_errors.no_connection(settings, problem)
    return connection_errors.broken(settings, problem)
