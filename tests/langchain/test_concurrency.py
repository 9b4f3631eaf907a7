"""Many streams at once, in several event loops and threads; nothing is mixed up and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest

from ragflow_integrations.langchain import ChatRAGFlow, RAGFlowChatNotFoundError, RAGFlowRetriever, RAGFlowToolkit
from tests.langchain.support import added, citations
from tests.support import sse
from tests.support.leaks import no_new_threads, no_open_sockets
from tests.support.wire import Exchange, WireServer

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk

    from ragflow_integrations.emulator import Emulator

PIECES = 6


def echo(exchange: Exchange) -> None:
    """Say the question again, in pieces, and cite it."""
    question = exchange.json["messages"][-1]["content"]
    exchange.start_stream()
    for at in range(PIECES):
        exchange.send(sse.openai_chunk(f"{question}/{at} "))
    said = "".join(f"{question}/{at} " for at in range(PIECES))
    exchange.send(sse.openai_chunk("[ID:0].", finish="stop", reference=[sse.chunk(question)], final_content=f"{said}[ID:0]."))
    exchange.send(sse.DONE)
    exchange.end()


def right(message: AIMessageChunk, question: str) -> bool:
    expected = "".join(f"{question}/{at} " for at in range(PIECES)) + "[1]."
    (cited,) = citations(message)
    return message.content == expected and cited.get("cited_text") == question


async def many(model: ChatRAGFlow, name: str, count: int) -> list[bool]:
    async def one(question: str) -> bool:
        return right(added([chunk async for chunk in model.astream(question)]), question)

    return await asyncio.gather(*(one(f"{name}-{number}") for number in range(count)))


async def test_two_hundred_streams_at_once() -> None:
    with WireServer(echo, grace=20) as server:
        async with no_open_sockets(), no_new_threads():
            model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="key")
            tasks = asyncio.all_tasks()
            assert all(await many(model, "q", 200))
            await model.aclose()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() <= tasks
            while server._open:  # noqa: ASYNC110 - the server's own side of the sockets
                await asyncio.sleep(0.01)


def test_two_event_loops_in_two_threads() -> None:
    with WireServer(echo, grace=20) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="key")
        results: dict[str, list[bool]] = {}

        async def work(name: str) -> None:
            results[name] = await many(model, name, 100)
            results[f"{name} again"] = await many(model, name, 10)

        threads = [threading.Thread(target=lambda name=name: asyncio.run(work(name))) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 4
        assert all(all(found) for found in results.values())
        # A loop that is gone takes nothing with it.
        assert all(asyncio.run(many(model, "later", 5)))


def test_threads_share_a_model() -> None:
    with WireServer(echo, grace=20) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="key")
        results = []

        def work(name: str) -> None:
            results.append(all(right(added(model.stream(f"{name}-{number}")), f"{name}-{number}") for number in range(10)))

        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert results == [True] * 8
        model.close()


@pytest.mark.parametrize("way", ["read", "left", "failed", "cancelled"])
async def test_nothing_is_left(server: Emulator, way: str) -> None:
    async with no_open_sockets(), no_new_threads():
        model = ChatRAGFlow(
            chat_id="nobody" if way == "failed" else server.chat_id, base_url=server.base_url, api_key=server.api_key
        )
        toolkit = RAGFlowToolkit(client=model.client, chat_id=server.chat_id, dataset_ids=[server.dataset_id])
        retriever = RAGFlowRetriever(client=model.client, dataset_ids=[server.dataset_id])
        if way == "failed":
            with pytest.raises(RAGFlowChatNotFoundError):
                await model.ainvoke("q")
            with pytest.raises(RAGFlowChatNotFoundError):
                model.invoke("q")
        elif way == "left":
            await anext(model.astream("How long does charging take?"))
            next(model.stream("How long does charging take?"))
        elif way == "cancelled":
            task = asyncio.create_task(model.ainvoke("How long does charging take?"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            await model.ainvoke("q?")
            added(model.stream("q?"))
            await retriever.ainvoke("q?")
            for tool in toolkit.get_tools():
                await tool.ainvoke({next(iter(tool.args)): "q?"})
        del toolkit, retriever
        await model.aclose()
        gc.collect()  # an error's traceback holds the reply until then
