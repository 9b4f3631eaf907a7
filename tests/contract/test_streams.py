from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from llama_index.core.instrumentation.span import active_span_id

from tests.contract.harness import PATIENCE, Subject, contract, within
from tests.contract.tape import recording
from tests.contract.world import DELTAS, QUESTION, SHOWN, Endless, Ragflow, Silent, answer
from tests.support import sse
from tests.support.leaks import wait_until

if TYPE_CHECKING:
    from tests.support.exchange import Exchange


@contract("T1", "leaving the loop frees the connection within one event")
def test_break(subject: Subject) -> None:
    endless = Endless()
    with Ragflow.answering(endless) as server:
        for at, _ in enumerate(subject.engine(server).stream_chat(QUESTION).response_gen):
            if at == 1:
                break
        assert endless.gone.wait(1.0)
        assert endless.sent <= 4


@contract("T2", "a time limit around an asynchronous reader is kept, and frees the connection")
async def test_cancel(subject: Subject) -> None:
    endless = Endless()
    with Ragflow.answering(endless) as server:

        async def read() -> None:
            response = await subject.engine(server).astream_chat(QUESTION)
            async for _ in response.async_response_gen():
                pass

        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.3)
        assert time.monotonic() - began < 0.8
        assert await asyncio.to_thread(endless.gone.wait, 1.0)


@contract("T3", "`async for … break` leaves no task and frees the connection")
async def test_async_break(subject: Subject) -> None:
    endless = Endless()
    with Ragflow.answering(endless) as server:
        response = await subject.engine(server).astream_chat(QUESTION)
        async for _ in response.async_response_gen():
            break
        for _ in range(3):  # the event loop closes an abandoned generator in its next step
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await asyncio.to_thread(endless.gone.wait, 1.0)


@contract("T8", "waiting for a slow server costs no processor time")
def test_idle(subject: Subject) -> None:
    with Ragflow.answering(Silent(("first ",), patience=1.0)) as server:
        pieces = iter(subject.engine(server).stream_chat(QUESTION).response_gen)
        next(pieces)
        began = time.process_time()
        list(pieces)
        assert time.process_time() - began < 0.05


@contract("T11", "reading in the wrong mode raises instead of giving nothing")
async def test_wrong_mode(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server:
        engine = subject.engine(server)
        sync = engine.stream_chat(QUESTION)
        with pytest.raises(TypeError, match="response_gen"):
            async for _ in sync.async_response_gen():
                pass
        list(sync.response_gen)
        own = await engine.astream_chat(QUESTION)
        with pytest.raises(TypeError, match="async_response_gen"):
            within(PATIENCE, lambda: list(own.response_gen))
        assert [delta async for delta in own.async_response_gen()]


@contract("T12", "a second loop gives nothing")
def test_second_loop(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        assert list(response.response_gen)
        assert list(response.response_gen) == []


@contract("T13", "an empty answer gives no piece")
def test_empty(subject: Subject) -> None:
    with Ragflow.answering(answer("", final="")) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        assert list(response.response_gen) == []
        assert str(response) == ""


@contract("T14", "no second way to the connection stands open beside the response")
def test_one_reader(subject: Subject) -> None:
    with Ragflow.answering(Silent(("first ",), patience=0.3)) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        list(response.chat_stream or ())
        assert "".join(response.response_gen).startswith("first ")


@contract("T17", "closing a response that nobody began to read frees the connection")
def test_close_unread(subject: Subject) -> None:
    endless = Endless()
    with Ragflow.answering(endless) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        pieces = response.response_gen
        getattr(response, "close", pieces.close)()
        assert endless.gone.wait(1.0)
        assert list(pieces) == []


@contract("R8", "an answer takes no thread and no task, while it comes and after it")
async def test_nothing_beside(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS), Silent(("first ",)), Silent(("first ",))) as server:
        engine = subject.engine(server, session_id="session-0")
        list(engine.stream_chat(QUESTION).response_gen)
        threads = set(threading.enumerate()) | set(server.threads)
        response = engine.stream_chat(QUESTION)
        pieces = response.response_gen
        next(pieces)
        assert set(threading.enumerate()) <= threads | set(server.threads)
        pieces.close()
        response = await engine.astream_chat(QUESTION)
        await anext(response.async_response_gen())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert set(threading.enumerate()) <= threads | set(server.threads)


@contract("R9", "an abandoned response frees the connection and ends its span")
def test_abandoned(subject: Subject) -> None:
    endless = Endless()
    with Ragflow.answering(endless) as server, recording() as tape:
        response = subject.engine(server).stream_chat(QUESTION)
        del response
        gc.collect()
        assert endless.gone.wait(1.0)
        assert tape.lines_of("exit")[-1] == "exit _stream"


@contract("R26", "each piece may be read by another thread of a pool; stopping frees the connection")
def test_thread_pool(subject: Subject) -> None:
    endless = Endless()
    with Ragflow.answering(endless) as server, ThreadPoolExecutor(4) as pool:
        response = pool.submit(subject.engine(server).stream_chat, QUESTION).result()
        pieces = iter(response.response_gen)
        busy = threading.Barrier(4)
        for _ in range(3):
            holders = [pool.submit(busy.wait) for _ in range(3)]  # so that another thread than the last has to do it
            assert pool.submit(next, pieces).result()
            busy.wait()
            assert all(holder.result() is not None for holder in holders)
        pool.submit(pieces.close).result()
        assert active_span_id.get() is None
        assert endless.gone.wait(1.0)
        assert endless.sent <= 6


class _Overlap:
    """Streams, and counts how many streams were open at once."""

    def __init__(self) -> None:
        self.open = self.most = 0

    def __call__(self, exchange: Exchange) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        exchange.start_stream()
        for delta in DELTAS:
            exchange.send(sse.native_delta(delta))
            exchange.wait_closed(0.05)
        self.open -= 1
        exchange.send(sse.native_delta("".join(DELTAS), True))
        exchange.send(sse.terminator())
        exchange.end()


@contract("R27", "turns of one engine asked at once run one after the other, in one session")
def test_concurrent(subject: Subject) -> None:
    overlap = _Overlap()
    with Ragflow.answering(overlap) as server:
        engine = subject.engine(server)
        together = threading.Barrier(3)

        def turn() -> str:
            together.wait()
            return "".join(engine.stream_chat(QUESTION).response_gen)

        with ThreadPoolExecutor(3) as pool:
            texts = [turn.result() for turn in [pool.submit(turn) for _ in range(3)]]
        assert texts == [SHOWN] * 3
        assert overlap.most == 1
        assert server.sessions == 1
        roles = [message.role.value for message in engine.chat_history]
        assert roles == ["user", "assistant"] * 3


@contract("X3", "closing from another task ends the reader quietly")
async def test_close_in_another_task(subject: Subject) -> None:
    silent = Silent(("first ",), patience=PATIENCE)
    with Ragflow.answering(silent) as server:
        response = await subject.engine(server).astream_chat(QUESTION)
        got: list[str] = []
        came = asyncio.Event()

        async def read() -> None:
            async for delta in response.async_response_gen():
                got.append(delta)
                came.set()

        reader = asyncio.create_task(read())
        await came.wait()
        await response.aclose()
        await asyncio.wait_for(reader, 1.0)
        assert got == ["first "]
        assert response.exception is None
        assert await asyncio.to_thread(silent.gone.wait, 1.0)


@contract("X1", "closing from another thread ends the reader quietly")
def test_close_elsewhere(subject: Subject) -> None:
    silent = Silent(("first ",), patience=PATIENCE)
    with Ragflow.answering(silent) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        got: list[str] = []
        reader = threading.Thread(target=lambda: got.extend(response.response_gen), daemon=True)
        reader.start()
        assert wait_until(lambda: str(response) or response.unformatted_response)
        response.close()
        reader.join(1.0)
        assert not reader.is_alive()
        assert got == ["first "]
        assert response.exception is None
        assert silent.gone.wait(1.0)
