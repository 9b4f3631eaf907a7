"""Whoever leaves a stream early closes its connection at once, so that the server stops; nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, StreamInterruptedError, TextDelta
from tests.core.driver import KEY
from tests.core.scripts import HISTORY, QUESTION, Held, answered, chat_server, in_turn
from tests.support.leaks import no_new_threads, no_open_sockets, wait_until
from tests.support.sse import openai_chunk
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.core.conftest import Connect


async def until(condition: Callable[[], object]) -> bool:
    """As `wait_until`, for code on an event loop."""
    return await asyncio.to_thread(wait_until, condition)


# ---------------------------------------------------------------------------------------------------------------- both clients

CALLS: dict[str, tuple[bytes, Callable[[Any], Any]]] = {
    "turn": (Held().first or b"", lambda client: client.stream(**QUESTION)),
    "stateless": (openai_chunk("one "), lambda client: client.stream_complete(**HISTORY)),
}


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("call", CALLS)
def test_closing_a_stream_closes_its_connection(call: str, connect: Connect) -> None:
    held = Held(CALLS[call][0])
    with WireServer(chat_server(held)) as server:
        driver = connect(server.base_url)
        stream = driver.open(CALLS[call][1])
        assert driver.next(stream) == TextDelta("one ")
        driver.close(stream)
        assert held.was_closed()
        assert driver.next(stream) is None
        assert stream.partial == "one "
        driver.close(stream)
        with pytest.raises(StreamInterruptedError) as caught:
            _ = stream.answer
        assert caught.value.partial == "one "
        driver.shut()


@pytest.mark.usefixtures("nothing_left")
def test_a_stream_never_read_is_closed(connect: Connect) -> None:
    held = Held()
    with WireServer(chat_server(held)) as server:
        driver = connect(server.base_url)
        driver.close(driver.open(CALLS["turn"][1]))
        assert held.was_closed()
        driver.shut()


# ----------------------------------------------------------------------------------------------------------------- synchronous


@pytest.fixture
def client() -> Iterator[Callable[[str], RAGFlowClient]]:
    with no_new_threads(), no_open_sockets(), contextlib.ExitStack() as made:
        yield lambda base_url: made.enter_context(RAGFlowClient(base_url, KEY))


def test_break_closes(client: Callable[[str], RAGFlowClient]) -> None:
    held = Held()
    with WireServer(chat_server(held)) as server:
        with client(server.base_url).stream(**QUESTION) as stream:
            for _ in stream:
                break
        assert held.was_closed()


def test_an_exception_in_the_block_closes(client: Callable[[str], RAGFlowClient]) -> None:
    held = Held()
    with WireServer(chat_server(held)) as server:
        with pytest.raises(ZeroDivisionError), client(server.base_url).stream(**QUESTION) as stream:  # noqa: PT012 - the loop is what fails
            next(stream)
            raise ZeroDivisionError
        assert held.was_closed()


def test_a_dropped_stream_closes(client: Callable[[str], RAGFlowClient]) -> None:
    held = Held()
    with WireServer(chat_server(held)) as server:
        made = client(server.base_url)
        stream = made.stream(**QUESTION)
        next(stream)
        del stream
        gc.collect()
        assert held.was_closed()


@pytest.mark.parametrize("read_before", [0, 1])
def test_another_thread_closes_while_a_read_is_blocked(client: Callable[[str], RAGFlowClient], read_before: int) -> None:
    held = Held()
    with WireServer(chat_server(held)) as server:
        stream = client(server.base_url).stream(**QUESTION)
        for _ in range(read_before):
            next(stream)
        outcome: list[BaseException] = []

        def read() -> None:
            try:
                for _ in stream:
                    pass
            except StreamInterruptedError as error:
                outcome.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        assert wait_until(lambda: stream.partial == "one ")
        stream.close()
        reader.join(5)
        assert not reader.is_alive()
        assert held.was_closed()
        for error in outcome:  # none where the reader was between two reads
            assert isinstance(error, StreamInterruptedError)
            assert error.partial == "one "


# ---------------------------------------------------------------------------------------------------------------- asynchronous


@contextlib.asynccontextmanager
async def serving(held: Held) -> AsyncIterator[AsyncRAGFlowClient]:
    """A client whose server sees each answer closed by it, and which leaves no task, thread or socket."""
    with no_new_threads():
        before = asyncio.all_tasks()
        async with no_open_sockets():
            with WireServer(chat_server(held)) as server:
                async with AsyncRAGFlowClient(server.base_url, KEY) as client:
                    yield client
                    assert await asyncio.to_thread(held.was_closed)
        assert asyncio.all_tasks() == before
        # `to_thread` leaves its threads to the loop's end.
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_break_closes_async() -> None:
    async with serving(Held()) as client, client.stream(**QUESTION) as stream:
        async for _ in stream:
            break


async def test_an_exception_in_the_block_closes_async() -> None:
    async with serving(Held()) as client:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the loop is what fails
            async with client.stream(**QUESTION) as stream:
                await anext(stream)
                raise ZeroDivisionError


async def test_a_dropped_stream_closes_async() -> None:
    async with serving(Held()) as client:
        stream = await client.stream(**QUESTION)
        await anext(stream)
        del stream
        gc.collect()


async def test_a_stream_dropped_by_another_thread_closes_async() -> None:
    async with serving(Held()) as client:
        streams = [await client.stream(**QUESTION)]
        await anext(streams[0])

        def drop() -> None:
            streams.clear()
            gc.collect()

        await asyncio.to_thread(drop)


async def test_wait_for_closes() -> None:
    async with serving(Held()) as client:
        stream = await client.stream(**QUESTION)
        await anext(stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)


async def _read(client: AsyncRAGFlowClient) -> None:
    async for _ in client.stream(**QUESTION):
        pass


async def _ask(client: AsyncRAGFlowClient) -> None:
    await client.ask(**QUESTION)


@pytest.mark.parametrize("first", [Held().first, None], ids=["within the answer", "before the first byte"])
@pytest.mark.parametrize("use", [_read, _ask])
async def test_cancelling_closes(first: bytes | None, use: Callable[[AsyncRAGFlowClient], Awaitable[None]]) -> None:
    held = Held(first)
    async with serving(held) as client:
        task = asyncio.ensure_future(use(client))
        assert await asyncio.to_thread(held.begun.acquire, timeout=5)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_another_task_closes_while_a_read_waits() -> None:
    async with serving(Held()) as client:
        stream = await client.stream(**QUESTION)
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(StreamInterruptedError) as caught:
            await asyncio.wait_for(reader, 5)
        assert caught.value.partial == "one "


async def test_another_task_closes_while_the_stream_is_opened() -> None:
    held = Held(None)
    async with serving(held) as client:
        stream = client.stream(**QUESTION)
        opening = asyncio.ensure_future(anext(stream, None))
        assert await asyncio.to_thread(held.begun.acquire, timeout=5)
        await stream.aclose()
        with contextlib.suppress(StreamInterruptedError):
            assert await asyncio.wait_for(opening, 2) is None


async def test_a_stream_closed_before_it_is_opened_sends_nothing() -> None:
    with WireServer(answered()) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY) as client:
            stream = client.stream(**QUESTION)
            await stream.aclose()
            assert [event async for event in stream] == []
            assert stream.partial == ""
            with pytest.raises(StreamInterruptedError):
                _ = stream.answer
        assert server.requests == []


def test_the_session_is_free_after_a_stream_was_left(connect: Connect) -> None:
    held = Held()
    with WireServer(chat_server(in_turn(held, answered()))) as server:
        driver = connect(server.base_url)
        stream = driver.open(CALLS["turn"][1])
        driver.next(stream)
        driver.close(stream)
        assert held.was_closed()
        assert driver.do(lambda client: client.ask(**QUESTION)).text == "Because."
        driver.shut()
