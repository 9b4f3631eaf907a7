"""Inside what is built with LangChain: chains, LangGraph, agents, fallbacks, batches, caches, tracers."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableField, RunnableParallel, RunnablePassthrough
from langchain_core.tracers import BaseTracer, Run
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.langchain import (
    ChatRAGFlow,
    CitedAnswer,
    CitedAnswerParser,
    RAGFlowGenerationError,
    RAGFlowRetriever,
    RAGFlowServerError,
    RAGFlowToolkit,
)
from tests.langchain.support import QUESTION, added, citations, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.outputs import ChatResult
    from langchain_core.runnables import Runnable, RunnableConfig
    from langchain_core.tools import BaseTool


# -- chains


async def test_prompt_model_parser(model: ChatRAGFlow) -> None:
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | model | CitedAnswerParser()
    asked = {"question": QUESTION}
    whole = chain.invoke(asked)
    assert whole == await chain.ainvoke(asked)
    for pieces in (list(chain.stream(asked)), [piece async for piece in chain.astream(asked)]):
        assert len(pieces) > 1
        total = CitedAnswer()
        for piece in pieces:
            total = total + piece
        assert total == whole
    text = (ChatPromptTemplate.from_template("{question}") | model | StrOutputParser()).invoke(asked)
    assert text == whole.text


async def test_citations_after_a_parallel(model: ChatRAGFlow, server: Emulator, where: dict[str, Any]) -> None:
    retriever = RAGFlowRetriever(dataset_ids=[server.dataset_id], k=2, **where)
    parallel: Runnable[str, dict[str, Any]] = RunnableParallel(answer=model, found=retriever, question=RunnablePassthrough())
    expected = CitedAnswer.from_message(model.invoke(QUESTION))
    picked = parallel.pick("answer") | CitedAnswerParser()
    assert picked.invoke(QUESTION) == expected
    taken = parallel | itemgetter("answer") | CitedAnswerParser()
    assert taken.invoke(QUESTION) == expected
    for chain in (picked, taken):
        total = CitedAnswer()
        async for piece in chain.astream(QUESTION):
            total = total + piece
        assert total == expected
    within: Runnable[str, dict[str, Any]] = RunnableParallel(answer=model | CitedAnswerParser(), question=RunnablePassthrough())
    summed: dict[str, Any] = {}
    for part in within.stream(QUESTION):
        summed = part if not summed else cast("Any", summed) + part
    assert summed == {"answer": expected, "question": QUESTION}
    retriever.close()


def test_a_history_aware_chain_with_sessions_of_the_server(model: ChatRAGFlow, server: Emulator) -> None:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])
    chosen = model.configurable_fields(conversation_id=ConfigurableField(id="user"))
    chain = prompt | chosen
    history: list[BaseMessage] = []
    for question in ("How long does charging take?", "And in winter?"):
        config: RunnableConfig = {"configurable": {"user": "ann"}}
        answer = chain.invoke({"history": history, "question": question}, config)
        history += [HumanMessage(question), answer]
    session = model._sync.sessions.get(server.chat_id, model.session_store["ann"])
    assert [item.content for item in session.messages if item.role == "user"] == [
        "How long does charging take?",
        "And in winter?",
    ]


# -- LangGraph


async def test_a_graph_with_threads(model: ChatRAGFlow, server: Emulator) -> None:
    chosen = model.configurable_fields(conversation_id=ConfigurableField(id="thread_id"))

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chosen.ainvoke(state["messages"])]}

    graph = (
        StateGraph(MessagesState)
        .add_node("answer", answer)
        .add_edge(START, "answer")
        .add_edge("answer", END)
        .compile(checkpointer=InMemorySaver())
    )
    for thread in ("one", "two"):
        config: RunnableConfig = {"configurable": {"thread_id": thread}}
        for question in (QUESTION, "And in winter?"):
            streamed = []
            start: Any = {"messages": [HumanMessage(question)]}
            async for item in graph.astream(start, config, stream_mode="messages"):
                chunk, metadata = cast("Any", item)
                assert metadata["langgraph_node"] == "answer"
                assert metadata["ls_provider"] == "ragflow"
                streamed.append(chunk)
            state = (await graph.aget_state(config)).values["messages"][-1]
            total = added(streamed)
            assert total.content == state.content
            assert citations(total) == citations(state)
            assert state.response_metadata["session_id"] == model.session_store[thread]
        sent = model._sync.sessions.get(server.chat_id, model.session_store[thread]).messages
        assert [item.content for item in sent if item.role == "user"] == [QUESTION, "And in winter?"]
    assert model.session_store["one"] != model.session_store["two"]


# -- agents


class Scripted(FakeMessagesListChatModel):
    """A model that calls tools, as written down."""

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, AIMessage]:
        self.metadata = {"bound": [tool.name for tool in tools]}
        return self


def call(name: str, **arguments: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call-{name}"}])


def tools_of(server: Emulator) -> list[BaseTool]:
    toolkit = RAGFlowToolkit(
        chat_id=server.chat_id, dataset_ids=[server.dataset_id], base_url=server.base_url, api_key=server.api_key, k=3
    )
    return toolkit.get_tools()


async def test_an_agent_calls_the_tools(server: Emulator) -> None:
    script: list[BaseMessage] = [
        call("ragflow_search", query="full charge"),
        call("ragflow_ask", question=QUESTION),
        AIMessage("Four hours."),
    ]
    agent = create_agent(Scripted(responses=script), tools_of(server))
    start: Any = {"messages": [HumanMessage(QUESTION)]}
    messages = []
    streamed = []
    async for mode, item in agent.astream(start, stream_mode=["messages", "values"]):
        if mode == "values":
            messages = cast("Any", item)["messages"]
        else:
            streamed.append(cast("Any", item)[0])
    search, ask = (message for message in messages if isinstance(message, ToolMessage))
    assert [type(item) for item in search.artifact] == [Document] * 3
    assert search.artifact[0].page_content in str(search.content)
    assert isinstance(ask.artifact, CitedAnswer)
    assert ask.content == ask.artifact.text
    assert shown(ask.artifact.text, ask.artifact.citations) == ["[1]", "[2]"]
    assert messages[-1].content == "Four hours."
    texts = [str(chunk.content) for chunk in streamed if isinstance(chunk, AIMessage)]
    assert "".join(texts) == "Four hours.", "the assistant's own tokens are no part of the agent's answer"


async def test_an_agent_reads_what_went_wrong(server: Emulator) -> None:
    script: list[BaseMessage] = [
        call("ragflow_ask", question=" "),
        call("ragflow_search", wrong="x"),
        AIMessage("I cannot tell."),
    ]
    agent = create_agent(Scripted(responses=script), tools_of(server))
    result = await agent.ainvoke(cast("Any", {"messages": [HumanMessage("hello")]}))
    ask, search = (message for message in result["messages"] if isinstance(message, ToolMessage))
    assert ask.status == search.status == "error"
    assert "must not be empty" in str(ask.content)
    assert result["messages"][-1].content == "I cannot tell."


# -- retries and fallbacks


async def test_retry_and_fallback() -> None:
    with Emulator() as server, Emulator() as spare:
        connection: dict[str, Any] = {"chat_id": server.chat_id, "base_url": server.base_url, "api_key": server.api_key}
        model = ChatRAGFlow(**connection, max_retries=0)
        other = ChatRAGFlow(chat_id=spare.chat_id, base_url=spare.base_url, api_key=spare.api_key)
        retrying = model.with_retry(retry_if_exception_type=(RAGFlowServerError,), wait_exponential_jitter=False)
        server.faults = FaultPlan(status=502, times=1)
        assert retrying.invoke(QUESTION).content
        server.faults = FaultPlan(llm_error="no money left")
        with pytest.raises(RAGFlowGenerationError):
            retrying.invoke(QUESTION)
        safe = model.with_fallbacks([other])
        assert citations(safe.invoke(QUESTION))
        assert (await safe.ainvoke(QUESTION)).response_metadata["chat_id"] == spare.chat_id
        assert added(safe.stream(QUESTION)).response_metadata["chat_id"] == spare.chat_id
        await model.aclose()
        await other.aclose()


def test_the_retry_of_agents_knows_what_may_pass() -> None:
    middleware = pytest.importorskip("langchain.agents.middleware._retry")
    with Emulator(faults=FaultPlan(status=502)) as server:
        model = ChatRAGFlow(chat_id="nobody", base_url=server.base_url, api_key=server.api_key, max_retries=0)
        with pytest.raises(RAGFlowServerError) as passing:
            model.invoke("q")
        server.faults = None
        with pytest.raises(Exception, match="nobody") as lasting:
            model.invoke("q")
        model.close()
    assert middleware.default_retry_on(passing.value)
    assert not middleware.default_retry_on(lasting.value)


# -- batches and caches


async def test_batches_keep_to_their_concurrency(server: Emulator, model: ChatRAGFlow) -> None:
    most = running = 0

    class Counting(ChatRAGFlow):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            nonlocal most, running
            running += 1
            most = max(most, running)
            try:
                return await super()._agenerate(*args, **kwargs)
            finally:
                running -= 1

    counting = Counting(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key)
    questions: list[Any] = [QUESTION, "How long does charging take?", "What about helmets?"] * 3
    answers = await counting.abatch(questions, config={"max_concurrency": 2})
    assert most == 2
    assert [item.content for item in answers] == [
        item.content for item in model.batch(questions, config={"max_concurrency": 2})
    ]
    failed = await counting.abatch(["", QUESTION], return_exceptions=True)
    assert isinstance(failed[0], ValueError)
    assert isinstance(failed[1], AIMessage)
    await counting.aclose()


def questions_asked(server: Emulator) -> int:
    return sum(record.path.endswith("/completions") for record in server.requests)


async def test_the_cache_is_used_without_a_session_only(server: Emulator, where: dict[str, Any]) -> None:
    model = ChatRAGFlow(chat_id=server.chat_id, cache=InMemoryCache(), **where)
    before = questions_asked(server)
    first, second, third = model.invoke(QUESTION), model.invoke(QUESTION), await model.ainvoke(QUESTION)
    assert questions_asked(server) == before + 1
    assert first.content_blocks == second.content_blocks == third.content_blocks
    model.invoke(QUESTION, document_ids=None, stop=["x"])
    assert questions_asked(server) == before + 2, "another call is another entry"
    for _ in range(2):
        model.invoke(QUESTION, conversation_id="ann")
        await model.ainvoke(QUESTION, conversation_id="ann")
    assert questions_asked(server) == before + 6, "a cached reply would skip the server's turn"
    await model.aclose()


# -- tracers


class Collector(BaseTracer):
    """Keeps the finished root runs, as LangSmith's tracer does before it sends them."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.runs.append(run)


async def test_what_a_tracer_sees(server: Emulator, model: ChatRAGFlow, where: dict[str, Any]) -> None:
    tracer = Collector()
    config: RunnableConfig = {"callbacks": [tracer]}
    chain = ChatPromptTemplate.from_template("{question}") | model | CitedAnswerParser()
    list(chain.stream({"question": QUESTION}, config))
    (run,) = tracer.runs
    assert isinstance(run.outputs, dict)
    assert run.outputs["output"] == CitedAnswer.from_message(model.invoke(QUESTION)), "pieces are added up in a trace"
    llm = next(child for child in run.child_runs if child.run_type == "llm")
    assert llm.extra["metadata"]["ls_provider"] == "ragflow"
    assert llm.extra["metadata"]["ls_model_name"] == server.chat_id
    assert llm.extra["invocation_params"]["chat_id"] == server.chat_id
    assert "ragflow-integrations" in llm.extra["metadata"]["lc_versions"]
    assert where["api_key"] not in llm.model_dump_json(exclude={"child_runs", "parent_run"})
    assert llm.outputs is not None
    message = llm.outputs["generations"][0][0]["message"]["kwargs"]
    assert message["usage_metadata"]["total_tokens"] > 0

    await model.ainvoke(QUESTION, config, model="emulated-chat@Emulator")
    assert tracer.runs[-1].extra["metadata"]["ls_model_name"] == "emulated-chat@Emulator"
    retriever = RAGFlowRetriever(dataset_ids=[server.dataset_id], **where)
    await retriever.ainvoke(QUESTION, config)
    assert tracer.runs[-1].extra["metadata"]["ls_vector_store_provider"] == "ragflow"
    await retriever.aclose()
    ask = tools_of(server)[0]
    await ask.ainvoke({"question": QUESTION}, config)
    assert [child.run_type for child in tracer.runs[-1].child_runs] == ["llm"], "what a tool does is seen inside it"


async def test_openinference(model: ChatRAGFlow, server: Emulator, where: dict[str, Any]) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    LangChainInstrumentor().instrument(tracer_provider=provider)
    try:
        chain = ChatPromptTemplate.from_template("{question}") | model | CitedAnswerParser()
        async for _ in chain.astream({"question": QUESTION}):
            pass
        retriever = RAGFlowRetriever(dataset_ids=[server.dataset_id], k=2, **where)
        retriever.invoke(QUESTION)
        retriever.close()
    finally:
        LangChainInstrumentor().uninstrument()
    spans = {cast("Any", span.attributes)["openinference.span.kind"]: span for span in exporter.get_finished_spans()}
    llm = cast("Any", spans["LLM"].attributes)
    assert llm["llm.output_messages.0.message.content"] == model.invoke(QUESTION).content
    assert llm["llm.token_count.total"] > 0
    assert llm["llm.provider"] == "ragflow"
    found = cast("Any", spans["RETRIEVER"].attributes)
    assert found["retrieval.documents.1.document.content"]
    assert not any(where["api_key"] in str(span.attributes) for span in exporter.get_finished_spans())
    assert len({span.context.trace_id for span in exporter.get_finished_spans() if span.context}) == 2


class Tokens(BaseCallbackHandler):
    """Keeps the tokens a handler is told of."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)


async def test_a_handler_is_told_each_token_once(model: ChatRAGFlow) -> None:
    handler = Tokens()
    chunks = list(model.stream(QUESTION, {"callbacks": [handler]}))
    assert handler.tokens == [chunk.content for chunk in chunks]
    handler.tokens.clear()
    asynchronous = [chunk async for chunk in model.astream(QUESTION, {"callbacks": [handler]})]
    assert handler.tokens == [chunk.content for chunk in asynchronous]
    handler.tokens.clear()
    streaming = model.model_copy(update={"streaming": True})
    streaming.model_fields_set.add("streaming")
    message = streaming.invoke(QUESTION, {"callbacks": [handler]})
    assert "".join(handler.tokens) == message.content


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_events_of_the_third_version_bring_no_stray_tokens(model: ChatRAGFlow) -> None:
    handler = Tokens()
    stream = model.stream_events(QUESTION, {"callbacks": [handler]}, version="v3")
    assert "".join(stream.text) == model.invoke(QUESTION).content
    assert handler.tokens == []


async def test_leaving_a_stream_early_stops_the_server() -> None:
    with Emulator(delay=0.05) as server:
        model = ChatRAGFlow(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key)
        for chunk in model.stream(QUESTION):
            assert isinstance(chunk, AIMessageChunk)
            break
        stream = model.astream(QUESTION)
        await anext(stream)
        await cast("Any", stream).aclose()

        async def read() -> None:
            async for _ in model.astream(QUESTION):
                started.set()

        started = asyncio.Event()
        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(200):
            if not server.open_streams:
                break
            await asyncio.sleep(0.01)
        assert server.open_streams == 0
        await model.aclose()
