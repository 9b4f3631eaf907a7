"""One turn at a time per session, whoever asks: threads, tasks, the sync client and its async twin."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, SessionBusyError
from ragflow_integrations._http.session_locks import InProcessSessionLocks
from tests.core.driver import AGENT, CHAT, KEY, SESSION, AsyncDriver, SyncDriver
from tests.core.scripts import HISTORY, QUESTION, answered, envelope, in_turn, said, status
from tests.support.leaks import wait_until
from tests.support.sse import native_delta, terminator
from tests.support.wire import WireServer, replay_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.core.conftest import Connect
    from tests.support.wire import Exchange, Script


class Counted:
    """Answers after a little while, and counts how many questions of a session are answered at once."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self.lock = threading.Lock()
        self.running: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.at_once = 0

    def __call__(self, exchange: Exchange) -> None:
        session = exchange.json["session_id"]
        with self.lock:
            self.running[session] = self.running.get(session, 0) + 1
            self.most[session] = max(self.most.get(session, 0), self.running[session])
            self.at_once = max(self.at_once, sum(self.running.values()))
        time.sleep(self.seconds)  # the server's work, not a wait of the test
        with self.lock:
            self.running[session] -= 1
        answered()(exchange)


def asked(session: str) -> dict[str, Any]:
    return {"question": "Why?", "chat_id": CHAT, "session_id": session}


def test_threads_take_turns() -> None:
    counted = Counted()
    with WireServer(counted) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda at: client.ask(**asked(f"s{at % 2}")), range(16)))
        assert counted.most == {"s0": 1, "s1": 1}
        assert counted.at_once == 2
        assert client._settings.session_locks.queues == {}


async def test_tasks_take_turns() -> None:
    counted = Counted()
    with WireServer(counted) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY, timeout=5) as client:
            await asyncio.gather(*(client.ask(**asked(f"s{at % 2}")) for at in range(16)))
            assert counted.most == {"s0": 1, "s1": 1}
            assert counted.at_once == 2
            assert client._settings.session_locks.queues == {}


async def test_twins_take_turns() -> None:
    counted = Counted()
    with WireServer(counted) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        async with client.as_async() as twin:
            again = twin.as_sync()
            calls = [twin.ask(**asked("s")) for _ in range(4)]
            calls += [asyncio.to_thread(client.ask, **asked("s")) for _ in range(4)]
            calls += [asyncio.to_thread(again.ask, **asked("s")) for _ in range(4)]
            await asyncio.gather(*calls)
            again.close()
        assert counted.most == {"s": 1}
    await asyncio.get_running_loop().shutdown_default_executor()


def test_stateless_answers_take_no_turn() -> None:
    meeting = threading.Barrier(3)

    def script(exchange: Exchange) -> None:
        meeting.wait(5)
        answered()(exchange)

    with (
        WireServer(script) as server,
        RAGFlowClient(server.base_url, KEY, timeout=5) as client,
        ThreadPoolExecutor(3) as threads,
    ):
        assert len(list(threads.map(lambda _: client.complete(**HISTORY), range(3)))) == 3


CALLS: dict[str, Callable[[Any], Any]] = {
    "ask": lambda client: client.ask(**QUESTION),
    "stream": lambda client: client.stream(**QUESTION),
}


@pytest.fixture
def unfinished() -> Script:
    return in_turn(_begin_only, answered("Next."))


def _begin_only(exchange: Exchange) -> None:
    exchange.start_stream()
    exchange.send(native_delta("one "))
    exchange.wait_closed()
    exchange.close()


@pytest.mark.parametrize("second", CALLS)
def test_a_thread_does_not_wait_for_itself(second: str, unfinished: Script) -> None:
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        with client.stream(**QUESTION) as stream:
            next(stream)
            began = time.monotonic()
            with pytest.raises(SessionBusyError, match="close it first") as caught:
                CALLS[second](client)
            assert time.monotonic() - began < 1
            assert SESSION in str(caught.value)
        assert client.ask(**QUESTION).text == "Next."
        assert len(server.requests) == 2


@pytest.mark.parametrize("second", CALLS)
async def test_a_task_does_not_wait_for_itself(second: str, unfinished: Script) -> None:
    with WireServer(unfinished) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY, timeout=5) as client:
            async with client.stream(**QUESTION) as stream:
                await anext(stream)
                with pytest.raises(SessionBusyError, match="close it first"):
                    await CALLS[second](client)
            assert (await client.ask(**QUESTION)).text == "Next."


async def test_another_task_waits(unfinished: Script) -> None:
    with WireServer(unfinished) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY, timeout=5) as client:
            stream = await client.stream(**QUESTION)
            await anext(stream)
            waiting = asyncio.ensure_future(client.ask(**QUESTION))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            assert len(server.requests) == 1
            await stream.aclose()
            assert (await asyncio.wait_for(waiting, 5)).text == "Next."


def test_waiting_is_limited(unfinished: Script) -> None:
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=0.2) as client:
        with client.stream(**QUESTION) as stream:
            next(stream)
            with ThreadPoolExecutor(1) as thread, pytest.raises(SessionBusyError, match=r"busy .* for 0\.2 s"):
                thread.submit(lambda: client.ask(**QUESTION)).result(5)
        assert client.ask(**QUESTION).text == "Next."


async def test_waiting_is_limited_async(unfinished: Script) -> None:
    with WireServer(unfinished) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY, timeout=0.2) as client:
            async with client.stream(**QUESTION) as stream:
                await anext(stream)
                with pytest.raises(SessionBusyError, match=r"busy .* for 0\.2 s"):
                    await asyncio.ensure_future(client.ask(**QUESTION))
            assert (await client.ask(**QUESTION)).text == "Next."


async def test_who_is_cancelled_leaves_the_line(unfinished: Script) -> None:
    with WireServer(unfinished) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY, timeout=5) as client:
            stream = await client.stream(**QUESTION)
            await anext(stream)
            impatient = [asyncio.ensure_future(client.ask(**QUESTION)) for _ in range(3)]
            patient = asyncio.ensure_future(client.ask(**QUESTION))
            await asyncio.sleep(0.02)
            for task in impatient:
                task.cancel()
            await asyncio.wait(impatient)
            await stream.aclose()
            assert (await asyncio.wait_for(patient, 5)).text == "Next."
            assert len(server.requests) == 2
            assert client._settings.session_locks.queues == {}


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Control-C raises, whatever this process was started with or another test has set."""
    gc.collect()  # an interrupt that comes while a finalizer runs is lost in it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_who_is_interrupted_leaves_the_line() -> None:
    """Control-C while waiting for a turn: the session is free afterwards."""
    turns = InProcessSessionLocks()
    taken = threading.Event()
    done = threading.Event()

    def hold() -> None:
        turn = turns.acquire("s", 1)
        taken.set()
        done.wait(5)
        turn.release()

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(5)
    main = threading.main_thread().ident
    assert main

    def interrupt() -> None:
        wait_until(lambda: turns.queues["s"].waiting)
        signal.pthread_kill(main, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        turns.acquire("s", 5)
    interrupter.join()
    done.set()
    holder.join()
    assert turns.queues == {}
    turns.acquire("s", 1).release()


@pytest.mark.parametrize("kind", [RAGFlowClient, AsyncRAGFlowClient])
@pytest.mark.parametrize(
    "first",
    [envelope(102, "You don't own the chat x"), status(502), envelope(100, "KeyError('x')")],
    ids=["refused", "502", "exception"],
)
def test_a_failed_turn_frees_the_session(first: Script, kind: Any) -> None:
    with WireServer(in_turn(first, first, answered("Next."))) as server:
        driver = (SyncDriver if kind is RAGFlowClient else AsyncDriver)(server.base_url, max_retries=0)
        for call in CALLS.values():
            driver.fails(call)
        assert driver.do(CALLS["ask"]).text == "Next."
        assert driver.client._settings.session_locks.queues == {}
        driver.shut()


@pytest.mark.parametrize("before", ["a 429", "a change of form"])
def test_a_turn_is_held_through_repetitions(before: str, connect: Connect) -> None:
    """A stream that was sent a second time still holds its session."""
    first = (
        status(429, b"", ("Retry-After", "0"))
        if before == "a 429"
        else envelope(101, "required argument are missing: messages; ")
    )
    session = {"id": SESSION, "chat_id": CHAT, "messages": []}
    routes = replay_map(
        {("GET", ".*"): said([session]), ("POST", ".*/completions"): in_turn(first, _begin_only, answered("Next."))}
    )
    with WireServer(routes) as server:
        driver = connect(server.base_url)
        stream = driver.open(CALLS["stream"])
        driver.next(stream)
        turns = driver.client._settings.session_locks
        assert SESSION in turns.queues
        client: Any = driver.client
        ask = client.ask if driver.kind == "sync" else client.as_sync().ask
        with ThreadPoolExecutor(1) as thread:
            other = thread.submit(ask, **QUESTION)
            assert wait_until(lambda: turns.queues[SESSION].waiting)
            driver.close(stream)
            assert other.result(5).text == "Next."
        driver.shut()


def test_a_dropped_stream_frees_the_session(unfinished: Script) -> None:
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        stream = client.stream(**QUESTION)
        next(stream)
        del stream
        gc.collect()
        assert client.ask(**QUESTION).text == "Next."


def test_a_finished_stream_frees_the_session_before_it_is_closed() -> None:
    with WireServer(answered()) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:  # noqa: SIM117 - in this order
        with client.stream(**QUESTION) as stream:
            assert len(list(stream)) == 2
            assert client.ask(**QUESTION).text == "Because."


def test_sessions_of_agents_take_turns_too(unfinished: Script) -> None:
    routes = replay_map({("POST", ".*/completions"): unfinished})
    with WireServer(routes) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        asked: dict[str, Any] = {"question": "Why?", "agent_id": AGENT, "session_id": SESSION}
        with client.stream(**asked) as stream, pytest.raises(SessionBusyError):  # noqa: PT012 - the loop is what fails
            next(stream)
            client.ask(**asked)


def test_a_new_thread_is_not_taken_for_one_that_has_ended(unfinished: Script) -> None:
    """Threads get the numbers of threads that have ended; a stream handed over by such a one is not theirs."""
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        streams: list[Any] = []
        opener = threading.Thread(target=lambda: streams.append(client.stream(**QUESTION)))
        opener.start()
        opener.join()
        texts: list[str] = []
        other = threading.Thread(target=lambda: texts.append(client.ask(**QUESTION).text))
        other.start()
        assert wait_until(lambda: client._settings.session_locks.queues[SESSION].waiting)
        streams[0].close()
        other.join(5)
        assert texts == ["Next."]


def test_turns_come_in_order() -> None:
    turns = InProcessSessionLocks()
    first = turns.acquire("s", 1)
    order: list[int] = []

    def queue(number: int) -> None:
        turn = turns.acquire("s", 5)
        order.append(number)
        turn.release()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=queue, args=(number,)))
        threads[-1].start()
        assert wait_until(lambda: len(turns.queues["s"].waiting) == len(threads))
    first.release()
    first.release()
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3, 4]
    assert turns.queues == {}


def test_an_event_loop_that_ends_leaves_the_line() -> None:
    with (
        WireServer(in_turn(_begin_only, answered("Next."))) as server,
        RAGFlowClient(server.base_url, KEY, timeout=5) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        stream = thread.submit(lambda: client.stream(**QUESTION)).result(5)
        next(stream)
        twin = client.as_async()

        async def give_up() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await twin.ask(**QUESTION)

        asyncio.run(give_up())
        stream.close()
        assert client.ask(**QUESTION).text == "Next."


def test_a_stream_read_by_another_thread_is_still_of_the_first() -> None:
    """Who begins a turn is asked, not who reads it; the thread that reads may not wait for it either way."""
    go = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(native_delta("one "))
        assert go.wait(5)
        exchange.send(terminator())
        exchange.end()

    with WireServer(in_turn(script, answered("Next."))) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        stream = client.stream(**QUESTION)
        with ThreadPoolExecutor(1) as thread:
            other = thread.submit(lambda: client.ask(**QUESTION))
            assert wait_until(lambda: client._settings.session_locks.queues[SESSION].waiting)
            go.set()
            list(stream)
            assert other.result(5).text == "Next."


def test_a_thread_does_not_block_the_loop_whose_task_holds_the_session(unfinished: Script) -> None:
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:

        async def main() -> None:
            async with client.as_async() as twin:
                stream = await twin.stream(**QUESTION)

                async def blocking() -> None:
                    client.ask(**QUESTION)

                with pytest.raises(SessionBusyError, match="cannot wait for itself"):
                    await asyncio.create_task(blocking())
                await stream.aclose()

        asyncio.run(main())


def test_a_task_does_not_wait_for_what_its_thread_began_outside(unfinished: Script) -> None:
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:

        async def ask() -> None:
            async with client.as_async() as twin:
                await twin.ask(**QUESTION)

        with client.stream(**QUESTION), pytest.raises(SessionBusyError):
            asyncio.run(ask())


def test_nobody_queues_behind_a_task_whose_loop_it_blocks(unfinished: Script) -> None:
    with WireServer(unfinished) as server, RAGFlowClient(server.base_url, KEY, timeout=5) as client:
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(lambda: client.stream(**QUESTION)).result(5)

        async def main() -> None:
            async with client.as_async() as twin:
                first = asyncio.create_task(twin.ask(**QUESTION))
                await asyncio.sleep(0)  # it runs until it waits
                assert client._settings.session_locks.queues[SESSION].waiting
                with pytest.raises(SessionBusyError):
                    client.ask(**QUESTION)
                first.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await first

        asyncio.run(main())
        held.close()


def test_a_turn_that_nobody_took_is_passed_on() -> None:
    turns = InProcessSessionLocks()
    with ThreadPoolExecutor(1) as thread:
        turn = thread.submit(lambda: turns.acquire("s", 1)).result(5)
    loop = asyncio.new_event_loop()

    async def wait() -> None:
        await turns.aacquire("s", 5)

    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    waiting = turns.queues["s"].waiting[0][0]
    loop.call_soon(turn.release)
    loop.run_until_complete(asyncio.sleep(0))  # granted, but the task is never woken
    assert waiting.done()
    loop.close()
    del task, waiting, turn
    gc.collect()
    assert turns.queues == {}


def test_clients_of_one_server_share_its_turns_and_what_is_known_of_it(unfinished: Script) -> None:
    with (
        WireServer(unfinished) as server,
        RAGFlowClient(server.base_url, KEY, timeout=0.2) as one,
        RAGFlowClient(server.base_url + "/", "ragflow-other", timeout=0.2) as other,
    ):
        assert one._settings.server is other._settings.server
        with one.stream(**QUESTION), pytest.raises(SessionBusyError):
            other.ask(**QUESTION)


def test_a_turn_given_back_while_another_thread_asks_is_free_at_once() -> None:
    """Who gives back and asks again must not meet its own turn, which the other thread was to pass on."""
    turns = InProcessSessionLocks()
    turn = turns.acquire("s", 1)
    with turns._state.get().mutex:
        turn.release()
    turns.acquire("s", 1).release()
    assert turns.queues == {}
