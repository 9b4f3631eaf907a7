"""One client for threads, tasks, event loops and processes, one after the other and all at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.core.driver import KEY
from tests.core.scripts import answered, chat_server
from tests.lifetime import jobs
from tests.support.leaks import no_new_threads, no_open_sockets
from tests.support.sse import DONE, native_delta, openai_chunk, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.support.wire import Exchange

TASKS = 8


def echo(exchange: Exchange) -> None:
    """Say the question and the session again."""
    asked = exchange.json
    text = f"{asked['question']} in {asked['session_id']}" if "question" in asked else asked["messages"][-1]["content"]
    if not asked["stream"]:
        exchange.reply(json={"code": 0, "data": {"answer": text, "id": "m", "session_id": asked["session_id"]}})
        return
    exchange.start_stream()
    for word in text.split(" "):
        exchange.send((native_delta if "question" in asked else openai_chunk)(f"{word} "))
    exchange.send(terminator() if "question" in asked else DONE)
    exchange.end()


def turn(name: str, number: int) -> dict[str, Any]:
    """A question to one of few sessions, so that turns meet."""
    return {"question": f"{name}-{number}", "chat_id": "c", "session_id": f"s{number % 3}"}


def right(text: str, name: str, number: int) -> bool:
    return text.strip() == f"{name}-{number} in s{number % 3}"


async def many(client: AsyncRAGFlowClient, name: str) -> list[bool]:
    async def one(number: int) -> bool:
        if number % 2:
            return right((await client.ask(**turn(name, number))).text, name, number)
        async with client.stream(**turn(name, number)) as stream:
            async for _ in stream:
                pass
            return right(stream.answer.text, name, number)

    return await asyncio.gather(*(one(number) for number in range(TASKS)))


def some(client: RAGFlowClient, name: str) -> list[bool]:
    found = []
    for number in range(TASKS):
        if number % 2:
            text = client.ask(**turn(name, number)).text
        else:
            with client.stream(**turn(name, number)) as stream:
                for _ in stream:
                    pass
                text = stream.answer.text
        found.append(right(text, name, number))
    return found


def test_threads_tasks_and_loops_at_once() -> None:
    """The sync client in threads and its async twin in loops of others; they share the turns of three sessions."""
    with (
        WireServer(echo) as server,
        no_new_threads(),
        no_open_sockets(),
        RAGFlowClient(server.base_url, KEY, timeout=20) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        twin = client.as_async()
        sync = [threads.submit(some, client, f"thread{number}") for number in range(4)]
        loops = [threads.submit(asyncio.run, many(twin, f"loop{number}")) for number in range(4)]
        assert all(all(work.result(30)) for work in (*sync, *loops))
        assert client._settings.session_locks.queues == {}


def test_loops_one_after_the_other() -> None:
    with WireServer(echo) as server, no_new_threads(), no_open_sockets():
        client = AsyncRAGFlowClient(server.base_url, KEY, timeout=20)
        for number in range(5):
            assert all(asyncio.run(many(client, f"loop{number}")))


def test_closing_while_others_ask() -> None:
    """Who asks at the moment of a `close` opens a new connection."""
    with WireServer(echo) as server, ThreadPoolExecutor(4) as threads:
        client = RAGFlowClient(server.base_url, KEY, timeout=20, max_retries=20)
        done = threading.Event()

        def close() -> None:
            while not done.wait(0.0002):
                client.close()

        closer = threading.Thread(target=close)
        closer.start()
        works = [threads.submit(some, client, f"thread{number}") for number in range(4)]
        try:
            assert all(all(work.result(30)) for work in works)
        finally:
            done.set()
            closer.join()
            client.close()


def test_clients_travel_to_other_processes() -> None:
    with WireServer(chat_server(answered())) as server:
        client = RAGFlowClient(server.base_url, KEY, timeout=20)
        twin = client.as_async()
        model = ChatRAGFlow(client=client, chat_id="c")
        engine = RAGFlowChatEngine(client, chat_id="c", session_id="s")
        given: list[tuple[Any, Any]] = [
            (jobs.ask, client),
            (jobs.ask_async, twin),
            (jobs.invoke, model),
            (jobs.chat, engine),
        ]
        for job, one in given:  # used here first: what is open here stays here
            assert job(one) == "Because."
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
            works = [processes.submit(job, one) for job, one in given]
            assert [work.result(30) for work in works] == ["Because."] * len(given)
        client.close()
