"""Requests over `aiohttp`: connections, errors, streams."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import weakref
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
from requests.utils import get_environ_proxies, select_proxy
from tenacity import AsyncRetrying
from urllib3.filepost import encode_multipart_formdata

from ragflow_integrations import _failures
from ragflow_integrations._forks import begin_anew, of_parent
from ragflow_integrations._observing import Observer
from ragflow_integrations._protocol import asking_again
from ragflow_integrations._protocol.answers.reader import MAX_DRAIN
from ragflow_integrations._protocol.envelope import decode, decode_file
from ragflow_integrations._protocol.http import MAX_REPLY, Body, Reply
from ragflow_integrations._protocol.retries import policy
from ragflow_integrations._transport import DRAIN_SECONDS, Held, nothing
from ragflow_integrations.errors import RAGFlowError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator

    from ragflow_integrations._observing import Exchange
    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations._protocol.completions import Completion
    from ragflow_integrations._protocol.http import Operation, Request
    from ragflow_integrations._protocol.listings import Pages
    from ragflow_integrations._settings import Settings
    from ragflow_integrations._transport import Prepare
    from ragflow_integrations.errors import ConnectionFailedError
    from ragflow_integrations.models import Answer, AnswerEvent, JsonObject

T = TypeVar("T")


_BUFFER = 256 * 1024
_KEEP_ALIVE = 60
_PROBLEMS = (aiohttp.ClientError, OSError, ValueError)  # TimeoutError is an OSError


class AsyncTransport:
    """Sends requests on one pool of connections per event loop.

    Args:
        settings: Settings of the client.
        session: The caller's session to use instead of own ones; it is not closed, and belongs to one event loop.
    """

    def __init__(self, settings: Settings, session: aiohttp.ClientSession | None) -> None:
        self._settings = settings
        self._given = session
        self._observer = Observer(settings)
        self._own: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, AsyncGenerator[aiohttp.ClientSession, None]]
        ] = weakref.WeakKeyDictionary()
        begin_anew(self)

    def after_fork(self) -> None:
        """Leave the sessions to the parent."""
        of_parent.extend(self._own.items())
        self._own = weakref.WeakKeyDictionary()

    @cached_property
    def _proxy(self) -> str | None:
        """The proxy of the environment, as for the synchronous client; aiohttp's own way would let netrc replace the key."""
        url = self._settings.base_url
        return select_proxy(url, get_environ_proxies(url))

    async def _session(self) -> aiohttp.ClientSession:
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        kept = self._own.get(loop)
        if kept is None or kept[0].closed:
            keeper = _keep_session()
            kept = (await anext(keeper), keeper)
            self._own[loop] = kept
        return kept[0]

    async def aclose(self) -> None:
        """Close idle connections of this event loop, and of others that run; a later request opens new ones."""
        self._observer.settle()
        here = asyncio.get_running_loop()
        for loop, (_, keeper) in list(self._own.items()):
            self._own.pop(loop, None)
            if loop is here:
                await keeper.aclose()
            elif loop.is_running():
                await _close_elsewhere(keeper, loop)

    async def run(self, operation: Operation[T]) -> T:
        """Run an API call: send what it yields, give it the reply or the error."""
        try:
            request = next(operation)
            while True:
                try:
                    reply = await self.send(request)
                except RAGFlowError as error:
                    request = operation.throw(error)
                else:
                    request = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result

    async def iterate(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Iterate over a listing, asking for pages as they are needed."""
        number, last = 1, False
        while not last:
            page = await self.run(pages(number))
            for item in page.items:
                yield item
            number, last = number + 1, page.last

    async def send(self, request: Request) -> JsonObject:
        """Send a request and read its reply, again where that is safe."""
        return await self._repeat(request, lambda reply: decode(reply, request, self._settings.profile))

    async def fetch(self, request: Request) -> bytes:
        """Send a request for a file, again where that is safe."""
        return await self._repeat(request, lambda reply: decode_file(reply, request), math.inf)

    async def _repeat(self, request: Request, read: Callable[[Reply], T], most: float = MAX_REPLY) -> T:
        async def once(exchange: Exchange) -> T:
            failure: ConnectionFailedError | None = None
            body = Body(most)
            response = await self._open(request, exchange)
            try:
                while block := await response.content.readany():
                    body.add(block)
            except _PROBLEMS as problem:
                failure = _translate(problem, self._settings)
                failure.began = True
            finally:
                response.release()
            if failure is not None:
                raise failure
            result = read(Reply(response.status, _headers(response), body.whole()))
            exchange.end()
            return result

        return await self._attempt(request, once)

    async def _attempt(self, request: Request, send: Callable[[Exchange], Awaitable[T]]) -> T:
        """Send a request, again where that is safe, and watch each time."""
        resends = itertools.count()

        async def once() -> T:
            with self._observer.begin(request, next(resends)) as exchange:
                return await send(exchange)

        try:
            return await AsyncRetrying(**policy(request, self._settings.max_retries))(once)
        except RAGFlowError as error:
            _failures.hide_key(error, self._settings)
            raise

    async def ask(self, prepare: Prepare) -> Answer:
        """Send a question and wait for the whole answer."""
        profile = self._settings.profile
        while True:
            completion = await self.run(prepare())
            try:
                answer = await self._ask(completion)
            except RAGFlowError as error:
                if not await self.run(asking_again.after_error(completion, error, profile)):
                    raise
            else:
                if not await self.run(asking_again.after_answer(completion, answer, profile)):
                    return answer

    async def _ask(self, completion: Completion) -> Answer:
        if not completion.stream:
            return await self._repeat(completion.request, partial(self._answer, completion))
        connection = await self._connect(completion)
        return await connection.gather()

    def _answer(self, completion: Completion, reply: Reply) -> Answer:
        return completion.answer(decode(reply, completion.request, self._settings.profile))

    async def connect(self, prepare: Prepare, release: Callable[[], None] = nothing) -> Connection:
        """Send a question and open its stream; a refusal is raised here, not at the first event."""
        while True:
            completion = await self.run(prepare())
            try:
                connection = await self._connect(completion)
            except RAGFlowError as error:
                if not await self.run(asking_again.after_error(completion, error, self._settings.profile)):
                    raise
            else:
                connection.held.until_closed(release)
                return connection

    async def _connect(self, completion: Completion) -> Connection:
        async def once(exchange: Exchange) -> Connection:
            response = await self._open(completion.request, exchange, streamed=True)
            reader = completion.reader(response.status, _headers(response), coalesce=True)
            connection = Connection(response, reader, self._settings, exchange, partial(self._ended, completion))
            if "event-stream" not in response.headers.get("content-type", "") or not response.ok:
                await connection.read_ahead()
            return connection

        return await self._attempt(completion.request, once)

    async def _ended(self, completion: Completion, reader: AnswerReader) -> bool:
        """Tell whether a stream that broke is whole all the same; what keeps that from being found out does not matter."""
        try:
            return await self.run(asking_again.ended(completion, reader, self._settings.profile))
        except RAGFlowError:
            return False

    async def _open(self, request: Request, exchange: Exchange, *, streamed: bool = False) -> aiohttp.ClientResponse:
        settings = self._settings
        headers = {**exchange.headers}
        if streamed:
            headers["Accept-Encoding"] = "identity"
        body: bytes | None = None
        if request.files:
            # As requests writes it: aiohttp's own form would percent-encode the names of files.
            parts = [("file", (upload.name, upload.content)) for upload in request.files]
            body, headers["Content-Type"] = encode_multipart_formdata(parts)
        session = await self._session()
        try:
            with exchange.sending():
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
        except _PROBLEMS as problem:
            failure = _translate(problem, settings)
        else:
            exchange.answered(response.status)
            return response
        # Raised outside of `except`, so that no exception of aiohttp, which holds the request with its key, hangs on it.
        raise failure


async def _keep_session() -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Hold a session open until it is closed or its event loop shuts down.

    `asyncio.run` and its like close the asynchronous generators that are still open when a loop ends, so this one closes the
    session of a caller who never did.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
    session = aiohttp.ClientSession(connector=connector, read_bufsize=_BUFFER)
    # What may be sent again is decided in `retries`; aiohttp would send DELETE and PUT twice when a connection breaks.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    try:
        yield session
    finally:
        await session.close()


async def _close(keeper: AsyncGenerator[aiohttp.ClientSession, None]) -> None:
    await keeper.aclose()


async def _close_elsewhere(keeper: AsyncGenerator[aiohttp.ClientSession, None], loop: asyncio.AbstractEventLoop) -> None:
    """Close a session in its own loop; a loop that ends meanwhile closes it itself, and is not waited for."""
    closing = _close(keeper)
    try:
        done = asyncio.run_coroutine_threadsafe(closing, loop)
    except RuntimeError:
        closing.close()  # the loop is closed
    else:
        await asyncio.wait([asyncio.wrap_future(done)], timeout=DRAIN_SECONDS)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


class Connection:
    """An open stream: blocks of the response, through the reader.

    Closes itself when it is dropped, even by the garbage collector in another thread.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        reader: AnswerReader,
        settings: Settings,
        exchange: Exchange,
        ended: Callable[[AnswerReader], Awaitable[bool]],
    ) -> None:
        self.held = Held()
        self._ended = ended
        self.reader = reader
        self.ready: list[AnswerEvent] = []
        self.closed = False
        self._response = response
        self._exchange = exchange
        self._settings = settings
        loop = asyncio.get_running_loop()
        self._give_up = weakref.finalize(self, _abandon, response, self.held, exchange, loop, os.getpid())
        self._give_up.atexit = False

    async def read_ahead(self) -> None:
        """Read a reply that is no event stream, so that a refusal is raised by the call itself."""
        while not self.reader.done and not self.reader.began:
            await self.fill()
        if self.reader.error is not None and not self.ready:
            raise self.reader.error

    async def gather(self) -> Answer:
        """Read to the end; give the answer."""
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
        """Read a block; the events it completes are added to `ready`, where they stay whatever happens then."""
        failure: RAGFlowError | None = None
        silent = False
        block = b""
        try:
            block = await self._response.content.readany()
        except _PROBLEMS as problem:
            block = self._left(problem)
            if not block:
                silent = isinstance(problem, TimeoutError)
                failure = _failures.cut_off(self._settings, self.reader, problem, silent=silent)
        except BaseException as cancelled:  # no `Exception`: the connection may not outlive the task that read it
            self.close(cancelled)
            raise
        if self.closed:
            failure = _failures.closed(self.reader.partial)
        if failure is not None:
            if self.closed or silent or not await self._is_ended(failure):
                self.close(failure)
                raise failure
            self.ready += self.reader.conclude()
        else:
            self.ready += self.reader.feed(block) if block else self.reader.finish()
            if not block and await self._is_ended(self.reader.error):
                self.ready += self.reader.conclude()
        if self.reader.done:
            if self.reader.error is not None:
                _failures.hide_key(self.reader.error, self._settings)
            try:
                await _drain(self._response)
            finally:
                self._end(self.reader.error)

    async def _is_ended(self, error: RAGFlowError | None) -> bool:
        """Tell whether the stream is whole all the same."""
        try:
            return isinstance(error, StreamInterruptedError) and await self._ended(self.reader)
        except BaseException as cancelled:
            self.close(cancelled)
            raise

    def _left(self, problem: Exception) -> bytes:
        """Give what came before the connection broke: aiohttp has it, and gives its exception first; it comes again."""
        content = self._response.content
        content.set_exception(None)  # type: ignore[arg-type]
        left = content.read_nowait()
        content.set_exception(problem)
        return left

    def close(self, error: BaseException | None = None) -> None:
        """Close the connection, if it is open."""
        self.closed = True
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        try:
            self._exchange.end(error)
        finally:  # what is told of it may fail, by a handler's or an exporter's fault
            self._give_up()


class AsyncAnswerStream:
    """A streamed answer: `async with client.stream(…) as stream`, then `async for event in stream`.

    The last event is `Completed`, or an exception is raised once all text before it has been given. Leaving the block,
    `aclose()`, cancelling the task or dropping the stream closes the connection at once, and the server stops generating.
    The connection is made by `async with`, by `await client.stream(…)`, or by the first event.

    Args:
        connect: Makes the connection.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._at = 0
        self._closed = False
        self._opening: asyncio.Timeout | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def _open(self) -> Self:
        if self._connection is None and not self._closed:
            try:
                async with asyncio.timeout(None) as self._opening:
                    self._connection = await self._connect()
            except TimeoutError:  # only `aclose` lets it pass
                raise _failures.closed("") from None
            except BaseException:
                self._closed = True  # it is not asked again
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
            raise _failures.incomplete(self.partial)
        return answer

    def __aiter__(self) -> AsyncIterator[AnswerEvent]:
        return self

    async def __anext__(self) -> AnswerEvent:
        await self._open()
        connection = self._connection
        while connection is not None and self._at >= len(connection.ready):
            if connection.closed:
                raise StopAsyncIteration
            if connection.reader.done:
                connection.closed = True
                if connection.reader.error is not None:
                    raise connection.reader.error
                raise StopAsyncIteration
            self._at = 0
            connection.ready = []
            await connection.fill()
        if connection is None:
            raise StopAsyncIteration
        event = connection.ready[self._at]
        self._at += 1
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


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read to the end, which is near, so that the connection can be used again."""
    left = MAX_DRAIN
    with contextlib.suppress(*_PROBLEMS):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0 and (block := await response.content.readany()):
                left -= len(block)


def _abandon(
    response: aiohttp.ClientResponse, held: Held, exchange: Exchange, loop: asyncio.AbstractEventLoop, process: int
) -> None:
    """Give up a connection, perhaps from the garbage collector in another thread, or in a forked child, whose it is not."""
    exchange.drop()
    try:
        if loop.is_closed() or process != os.getpid():
            return
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:
            here = False
        if here or not loop.is_running():
            response.close()
        else:
            loop.call_soon_threadsafe(response.close)
    finally:
        held.release()


def _translate(problem: Exception, settings: Settings) -> ConnectionFailedError:
    """Give our exception for one of aiohttp."""
    if isinstance(problem, aiohttp.ConnectionTimeoutError):
        return _failures.connect_timeout(settings)
    if isinstance(problem, TimeoutError):
        return _failures.read_timeout(settings)
    if isinstance(problem, aiohttp.ClientSSLError):
        return _failures.tls_failed(settings, problem.os_error)
    if isinstance(problem, aiohttp.ClientConnectorError):
        return _failures.no_connection(settings, problem)
    return _failures.broken(settings, problem)
