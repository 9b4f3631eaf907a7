"""What went wrong in other integrations, each shown not to happen here."""

from __future__ import annotations

import asyncio
import inspect
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatResult
from pydantic import ValidationError

from ragflow_integrations import langchain as ours
from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.langchain import ChatRAGFlow, RAGFlowRetriever
from tests.langchain.support import QUESTION, added
from tests.support import sse
from tests.support.wire import Exchange, WireServer

if TYPE_CHECKING:
    from uuid import UUID


def test_a_client_of_a_loop_that_is_gone_is_not_used_again(model: ChatRAGFlow) -> None:
    """Kept in a global cache, one breaks in the second `asyncio.run`."""
    answers = {asyncio.run(model.ainvoke(QUESTION)).content for _ in range(3)}
    assert len(answers) == 1


def test_nothing_is_scheduled_when_a_model_is_dropped(server: Emulator) -> None:
    """A finalizer that schedules work on a loop fails when there is none."""
    assert not hasattr(ChatRAGFlow, "__del__")

    async def use() -> None:
        model = ChatRAGFlow(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key)
        await model.ainvoke(QUESTION)
        await model.aclose()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(use())


def test_calls_change_nothing_in_the_model(model: ChatRAGFlow) -> None:
    """State of the last call on a shared object is somebody else's in the next."""
    before = {name: value for name, value in model.__dict__.items() if not name.startswith("_")}
    before["session_store"] = {}
    model.invoke(QUESTION, conversation_id="ann", stop=["x"])
    added(model.stream(QUESTION))
    asyncio.run(model.ainvoke(QUESTION, citation_style="none"))
    after = {name: value for name, value in model.__dict__.items() if not name.startswith("_")}
    assert after.pop("session_store").keys() == {"ann"}
    del before["session_store"]
    assert after == before


def test_langchains_own_entrances_are_not_overridden() -> None:
    """Overriding them goes round callbacks, caches and rate limits."""
    for name in ("invoke", "ainvoke", "stream", "astream", "generate", "agenerate", "batch", "abatch"):
        assert getattr(ChatRAGFlow, name) is getattr(BaseChatModel, name)
    for name in ("invoke", "ainvoke"):
        assert name not in vars(RAGFlowRetriever)


def test_callbacks_are_called(model: ChatRAGFlow) -> None:
    class Handler(BaseCallbackHandler):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            self.seen.append("start")

        def on_llm_end(self, *_: Any, run_id: UUID, **__: Any) -> None:  # noqa: ARG002 - the framework's signature
            self.seen.append("end")

    handler = Handler()
    model.invoke(QUESTION, {"callbacks": [handler]})
    added(model.stream(QUESTION, {"callbacks": [handler]}))
    assert handler.seen == ["start", "end"] * 2


async def test_an_outage_is_no_answer_and_no_empty_list() -> None:
    with Emulator(faults=FaultPlan(status=503)) as server:
        connection: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "max_retries": 0}
        model = ChatRAGFlow(chat_id=server.chat_id, **connection)
        retriever = RAGFlowRetriever(dataset_ids=[server.dataset_id], **connection)
        for component in (model, retriever):
            with pytest.raises(ours.RAGFlowServerError):
                component.invoke("q")
            with pytest.raises(ours.RAGFlowServerError):
                await component.ainvoke("q")
            await component.aclose()


def test_misspelt_arguments_are_not_dropped() -> None:
    components: list[Any] = [ChatRAGFlow, RAGFlowRetriever, ours.RAGFlowToolkit, ours.RAGFlowLoader]
    for component in components:
        with pytest.raises(ValidationError, match="sesion_id"):
            component(api_key="key", sesion_id="s")


async def test_a_stream_is_given_as_it_comes() -> None:
    """Reading it whole first, or splitting lines where Python does, shows nothing until the end or cuts events apart."""
    go = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(sse.openai_chunk("one\u2028two\x85three\x0bfour"))
        assert go.wait(5), "the first piece was not given before the second was sent"
        exchange.send(sse.openai_chunk(" end", finish="stop") + sse.DONE)
        exchange.end()

    with WireServer(script) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="key")
        for asynchronous in (False, True):
            go.clear()
            text = ""
            if asynchronous:
                async for chunk in model.astream("q"):
                    text += str(chunk.content)
                    go.set()
            else:
                for chunk in model.stream("q"):
                    text += str(chunk.content)
                    go.set()
            assert text == "one\u2028two\x85three\x0bfour end"
        await model.aclose()


def test_sync_and_async_are_both_native() -> None:
    for component, names in (
        (ChatRAGFlow, ("_agenerate", "_astream")),
        (RAGFlowRetriever, ("_aget_relevant_documents",)),
        (ours.RAGFlowLoader, ("alazy_load",)),
        (ours.CitedAnswerParser, ("_atransform", "aparse_result")),
    ):
        for name in names:
            assert name in vars(component), f"{component.__name__}.{name} would go through a thread"
    signatures = [
        list(inspect.signature(method).parameters)
        for method in (RAGFlowRetriever._get_relevant_documents, RAGFlowRetriever._aget_relevant_documents)
    ]
    assert signatures[0] == signatures[1], "LangChain drops options that only one of them names"


async def test_async_calls_use_no_thread(server: Emulator) -> None:
    model = ChatRAGFlow(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key)
    before = set(threading.enumerate())
    await model.ainvoke(QUESTION, conversation_id="c")
    added([chunk async for chunk in model.astream(QUESTION)])
    (ask,) = ours.RAGFlowToolkit(client=model.client, chat_id=server.chat_id).get_tools()
    await ask.ainvoke({"question": QUESTION})
    assert set(threading.enumerate()) == before
    await model.aclose()


def test_citations_are_in_the_message_and_nowhere_else(model: ChatRAGFlow) -> None:
    """Hidden in `generation_info`, or given with every chunk, they are lost or doubled."""
    result = model._generate([HumanMessage(QUESTION)])
    assert isinstance(result, ChatResult)
    assert not result.generations[0].generation_info
    assert not result.llm_output
    chunks = list(model._stream([HumanMessage(QUESTION)]))
    assert [bool(chunk.message.additional_kwargs.get("citations")) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert not any(chunk.generation_info for chunk in chunks)


def test_metadata_is_not_doubled_in_a_sum(model: ChatRAGFlow) -> None:
    total = added(model.stream(QUESTION, conversation_id="c"))
    whole = model.invoke(QUESTION, conversation_id="c")
    for name in ("model_name", "model_provider", "session_id", "chat_id", "finish_reason"):
        assert total.response_metadata[name] == whole.response_metadata[name]
    assert len(total.response_metadata["reference"]["chunks"]) == len(whole.response_metadata["reference"]["chunks"])


def test_a_retriever_gives_what_was_found_and_no_answer(server: Emulator, where: dict[str, Any]) -> None:
    retriever = RAGFlowRetriever(dataset_ids=[server.dataset_id], **where)
    assert all(item.metadata["chunk_id"] for item in retriever.invoke(QUESTION))
    assert not [record for record in server.requests[-1:] if "completions" in record.path]
    retriever.close()
