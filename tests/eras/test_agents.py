"""Agents through both adapters, on the emulator of every release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import GenerationError, InvalidArgumentError, RAGFlowClient, ServerError, SessionNotFoundError
from ragflow_integrations.emulator import Emulator
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.core.scripts import raw, said
from tests.support.releases import RELEASES, parts
from tests.support.sse import DONE, event
from tests.support.wire import WireServer, replay_map

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

WITHOUT_AGENTS = "0.22.1"
QUESTION = "How long does a full charge take at a charging station?"
TOPIC = {"topic": "a full charge at a charging station"}
FACT = "takes four hours"


class World:
    """An emulator with a client."""

    def __init__(self, server: Emulator, client: RAGFlowClient) -> None:
        self.server = server
        self.client = client
        self.old = parts(server.version) < (0, 20, 0)

    def model(self, agent_id: str = "", **fields: Any) -> ChatRAGFlow:
        return ChatRAGFlow(agent_id=agent_id or self.server.agent_id, client=self.client, **fields)

    def engine(self, agent_id: str = "", **options: Any) -> RAGFlowChatEngine:
        return RAGFlowChatEngine(self.client, agent_id=agent_id or self.server.agent_id, **options)


@pytest.fixture(params=[version for version in RELEASES if version != WITHOUT_AGENTS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    with Emulator(version=request.param) as server, RAGFlowClient(server.base_url, server.api_key) as client:
        yield World(server, client)


async def streamed(model: ChatRAGFlow, question: str, **options: Any) -> Any:
    """All chunks of a stream as one message."""
    whole: Any = None
    async for piece in model.astream(question, **options):
        whole = piece if whole is None else whole + piece
    return whole


def summed(model: ChatRAGFlow, question: str, **options: Any) -> Any:
    whole: Any = None
    for piece in model.stream(question, **options):
        whole = piece if whole is None else whole + piece
    return whole


async def test_forms_in_langchain(world: World) -> None:
    form_agent = world.server.form_agent_id
    for number, way in enumerate(("invoke", "ainvoke", "stream", "astream")):
        model = world.model(form_agent, conversation_id=f"c{number}")

        async def ask(text: str, way: str = way, model: ChatRAGFlow = model, **options: Any) -> Any:
            if way == "invoke":
                return model.invoke(text, **options)
            if way == "ainvoke":
                return await model.ainvoke(text, **options)
            return await streamed(model, text, **options) if way == "astream" else summed(model, text, **options)

        if not world.old:  # there the values are needed at once
            asked = await ask("Hello")
            assert list(asked.response_metadata["input_request"]["inputs"]) == ["topic"]
            assert asked.text == ""
        answer = await ask("Hello", inputs=TOPIC)
        assert FACT in answer.text
        assert "input_request" not in answer.response_metadata


async def test_forms_in_llamaindex(world: World) -> None:
    form_agent = world.server.form_agent_id
    for way in ("chat", "achat", "stream", "astream"):
        options: dict[str, Any] = {"inputs": TOPIC} if world.old else {}
        engine = world.engine(form_agent, **options)

        async def ask(engine: RAGFlowChatEngine, way: str = way) -> Any:
            if way == "chat":
                return engine.chat("Hello")
            if way == "achat":
                return await engine.achat("Hello")
            if way == "stream":
                response = engine.stream_chat("Hello")
                shown = "".join(response.response_gen)
                assert shown == response.response
                return response
            later = await engine.astream_chat("Hello")
            shown = "".join([piece async for piece in later.async_response_gen()])
            assert shown == later.response
            return later

        response = await ask(engine)
        if not world.old:
            assert list(response.metadata["input_request"]["inputs"]) == ["topic"]
            response = await ask(world.engine(form_agent, session_id=engine.session_id, inputs=TOPIC))
        assert FACT in response.response
        assert response.metadata["input_request"] is None


async def test_failures(world: World) -> None:
    """The LLM of an agent fails at once, or in the middle of its text."""
    model, question = world.model(), f"{QUESTION} [[FAIL500]]"
    calls: list[Callable[[], Any]] = [
        lambda: model.invoke(question),
        lambda: summed(model, question),
        lambda: world.engine().chat(question),
        lambda: list(world.engine().stream_chat(question).response_gen),
    ]
    for call in calls:
        with pytest.raises(GenerationError):
            call()
    waiting: list[Callable[[], Awaitable[Any]]] = [
        lambda: model.ainvoke(question),
        lambda: streamed(model, question),
        lambda: world.engine().achat(question),
    ]
    for later in waiting:
        with pytest.raises(GenerationError):
            await later()
    with pytest.raises(ServerError if world.old else GenerationError) as cut:
        model.invoke(f"{QUESTION} [[DROPMID]]")
    assert isinstance(cut.value, GenerationError | ServerError)
    assert cut.value.partial


async def test_unknown_sessions(world: World) -> None:
    unknown = "0123456789abcdef0123456789abcdef"
    with pytest.raises(SessionNotFoundError, match=unknown):
        world.model(session_id=unknown).invoke(QUESTION)
    with pytest.raises(SessionNotFoundError, match=unknown):
        await streamed(world.model(session_id=unknown), QUESTION)
    with pytest.raises(SessionNotFoundError, match=unknown):
        world.engine(session_id=unknown).chat(QUESTION)


def _extras() -> WireServer:
    def told(kind: str, **data: Any) -> bytes:
        return event({"event": kind, "message_id": "m", "session_id": "s", "data": data})

    stream = raw(
        told("node_finished", component_id="Agent:Main", inputs={}, outputs={"structured": {"price": 12}}),
        told("message", content="Done."),
        told("message_end", attachment={"doc_id": "f1", "format": "pdf", "file_name": "f1.pdf"}),
        told("workflow_finished", usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 12, "calls": 1}),
        DONE,
    )
    return WireServer(replay_map({("POST", ".*/completions"): stream, ("POST", ".*/sessions"): said({"id": "s"})}))


def test_files_structured_output_and_tokens() -> None:
    files = [{"id": "f1", "name": "f1.pdf", "format": "pdf"}]
    structured = {"Agent:Main": {"price": 12}}
    with _extras() as server, RAGFlowClient(server.base_url, "ragflow-k") as client:
        model = ChatRAGFlow(agent_id="a", client=client)
        for message in (model.invoke("q"), summed(model, "q")):
            known = message.response_metadata
            assert (known["structured"], known["attachments"]) == (structured, files)
            assert message.usage_metadata is None
            assert known["token_usage"] == {"total_tokens": 12}
        engine = RAGFlowChatEngine(client, agent_id="a")
        streaming = engine.stream_chat("q")
        assert "".join(streaming.response_gen) == "Done."
        for metadata in (engine.chat("q").metadata, streaming.metadata):
            assert metadata is not None
            assert (metadata["structured"], metadata["attachments"]) == (structured, files)
            assert metadata["usage"] == {"total_tokens": 12}


def test_steps_are_for_the_client() -> None:
    with _extras() as server, RAGFlowClient(server.base_url, "ragflow-k") as client:
        with pytest.raises(InvalidArgumentError, match="agent_steps"):
            ChatRAGFlow(agent_id="a", client=client).invoke("q", agent_steps=True)
        with pytest.raises(InvalidArgumentError, match="agent_steps"):
            RAGFlowChatEngine(client, agent_id="a", agent_steps=True)


async def test_history_of_an_agent(world: World) -> None:
    """What an engine loads is cited as what it heard, wherever the session keeps the sources of the last answer."""
    heard = world.engine()
    answer = heard.chat(QUESTION)
    loaded = world.engine(session_id=heard.session_id)
    for message in (loaded.load_history()[-1], (await loaded.aload_history())[-1]):
        if parts(world.server.version) >= (0, 25, 1):
            assert message.content == answer.response
            assert answer.metadata is not None
            assert message.additional_kwargs["citations"] == answer.metadata["citations"]
        else:
            assert FACT in str(message.content)
