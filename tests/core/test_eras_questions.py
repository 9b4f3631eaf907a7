"""Questions to the emulator of every era: what a release cannot do is refused, never dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    AgentStep,
    GenerationError,
    InvalidArgumentError,
    InvalidRequestError,
    Message,
    NotFoundError,
    ServerError,
    SessionNotFoundError,
    UnsupportedByServerError,
)
from tests.core.eras import ANSWER, OPEN, QUESTION, Served
from tests.core.scripts import raw
from tests.support import sse
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.core.conftest import Connect
    from tests.core.driver import Call

# -------------------------------------------------------------------------------------------------------------------- questions


@pytest.mark.parametrize("way", ["ask", "stream"])
def test_a_conversation(way: str, served: Served) -> None:
    chat = served.emulator.chat_id
    session_id, answers = None, []
    for question in (QUESTION, "Who leads the battery team?"):
        call = lambda client, q=question, s=session_id: getattr(client, way)(q, chat_id=chat, session_id=s)  # noqa: E731
        answer = served.do(call) if way == "ask" else served.driver.drain(call).answer
        session_id = answer.session_id
        answers.append(answer)
    assert ANSWER in answers[0].text
    assert "Priya Raman" in answers[1].text
    assert all(answer.reference.chunks for answer in answers)
    assert all(answer.chat_id in (chat, None) for answer in answers)
    assert answers[0].session_id == answers[1].session_id
    for answer in answers:
        assert "[ID:" not in answer.text
        assert "##" not in answer.text
        for citation in answer.citations:
            assert answer.text[citation.start : citation.end] == f"[{citation.number}]"
            assert citation.chunk == answer.reference.chunks[citation.number - 1]
    stored = served.do(lambda client: client.sessions.get(chat, session_id)).messages
    assert [message.content for message in stored if message.role == "user"] == [QUESTION, "Who leads the battery team?"]
    assert [message.role for message in stored] == ["assistant", "user", "assistant", "user", "assistant"]


def test_streamed_and_whole_answers_agree(served: Served) -> None:
    chat = served.emulator.chat_id
    whole = served.do(lambda client: client.ask(QUESTION, chat_id=chat, citation_style="none"))
    outcome = served.driver.drain(lambda client: client.stream(QUESTION, chat_id=chat, citation_style="none"))
    assert outcome.answer.text == whole.text
    assert outcome.text == outcome.answer.text
    assert [chunk.id for chunk in outcome.answer.reference.chunks] == [chunk.id for chunk in whole.reference.chunks]


def test_thinking_is_told_from_the_answer(served: Served) -> None:
    chat = served.emulator.chat_id
    question = f"Think! {QUESTION}"
    for call in (
        lambda client: client.stream(question, chat_id=chat),
        lambda client: client.stream_complete([{"role": "user", "content": question}], chat_id=chat),
    ):
        outcome = served.driver.drain(call)
        assert ANSWER in outcome.answer.text
        assert "think>" not in outcome.answer.text + outcome.text
        assert outcome.answer.reasoning
        assert outcome.reasoning == outcome.answer.reasoning
        assert outcome.answer.reasoning not in outcome.answer.text
    assert "think>" not in served.do(lambda client: client.ask(question, chat_id=chat)).text


@pytest.mark.parametrize("way", ["complete", "stream_complete"])
def test_stateless_answers(way: str, served: Served) -> None:
    chat = served.emulator.chat_id
    before = len(served.do(lambda client: client.sessions.list(chat)))
    history = [
        Message(role="user", content="Hello"),
        {"role": "assistant", "content": "Hello! What would you like to know [1]? [ID:0]"},
        {"role": "user", "content": QUESTION},
    ]
    call = lambda client: getattr(client, way)(history, chat_id=chat)  # noqa: E731
    answer = served.do(call) if way == "complete" else served.driver.drain(call).answer
    assert ANSWER in answer.text
    assert answer.session_id is None
    assert answer.usage is not None
    assert bool(answer.reference.chunks) == served.within((0, 20, 0))
    assert len(served.do(lambda client: client.sessions.list(chat))) == before


@pytest.mark.parametrize("command", ["FAIL401", "FAIL429", "FAIL500", "DROPMID"])
def test_failures_of_the_llm(command: str, served: Served) -> None:
    chat = served.emulator.chat_id
    question = f"{QUESTION} [[{command}]]"
    for call in (
        lambda client: client.stream(question, chat_id=chat),
        lambda client: client.ask(question, chat_id=chat),
        lambda client: client.complete([{"role": "user", "content": question}], chat_id=chat),
        lambda client: client.stream_complete([{"role": "user", "content": question}], chat_id=chat),
    ):
        outcome = served.driver.drain(call) if "stream" in call.__code__.co_names[0] else None
        error = outcome.error if outcome else served.driver.fails(call)
        assert isinstance(error, GenerationError) or (command == "DROPMID" and not served.within((0, 23, 0)) and error)
        assert not outcome or "ERROR" not in outcome.text


@pytest.mark.parametrize("command", ["EMPTY", "UNICODE", "LONG=300", "NOCITE", "CITEALL", "THINKTAG"])
def test_unusual_answers(command: str, served: Served) -> None:
    chat = served.emulator.chat_id
    question = f"{QUESTION} [[{command}]]"
    outcome = served.driver.drain(lambda client: client.stream(question, chat_id=chat, citation_style="none"))
    whole = served.do(lambda client: client.ask(question, chat_id=chat, citation_style="none"))
    if command != "THINKTAG":  # 0.24 and 0.25 lose the tag in streams
        assert outcome.answer.text == whole.text
    assert "<think>" not in outcome.answer.text
    if command == "EMPTY":
        assert outcome.answer.text == ""
    if command == "UNICODE":
        assert "data: not an event\n\nline\u2028sep [DONE] end." in outcome.answer.text
    if command == "LONG=300":
        assert len(outcome.answer.text.split()) >= 300
    if command == "CITEALL":
        assert len(outcome.answer.citations) >= 2


# ---------------------------------------------------------------------------------------------------------------------- options

CONDITION: dict[str, Any] = {"conditions": [{"name": "team", "comparison_operator": "is", "value": "none"}]}
IN_SESSION: dict[str, tuple[dict[str, Any], tuple[int, int, int], tuple[int, int, int]]] = {
    "document_ids": ({"document_ids": ["DOCUMENT"]}, (0, 0, 0), OPEN),
    "variables": ({"variables": {"tone": "kind"}}, (0, 0, 0), OPEN),
    "metadata_condition": ({"metadata_condition": CONDITION}, (0, 0, 0), OPEN),
    "model": ({"model": "MODEL"}, (0, 25, 1), OPEN),
    "temperature": ({"model": "MODEL", "temperature": 0.1, "max_tokens": 200}, (0, 25, 1), OPEN),
    "reasoning_effort off": ({"reasoning_effort": "off"}, (0, 24, 0), OPEN),
    "reasoning_effort medium": ({"reasoning_effort": "medium"}, (0, 24, 0), OPEN),
    "reasoning_effort low": ({"reasoning_effort": "low"}, (0, 27, 0), OPEN),
    "internet": ({"internet": False}, (0, 25, 0), OPEN),
}
STATELESS: dict[str, tuple[dict[str, Any], tuple[int, int, int], tuple[int, int, int]]] = {
    "metadata_condition": ({"metadata_condition": CONDITION}, (0, 24, 0), OPEN),
    "two conditions": ({"metadata_condition": {"conditions": CONDITION["conditions"] * 2}}, (0, 26, 0), OPEN),
    "nested conditions": ({"metadata_condition": {"conditions": [CONDITION]}}, (0, 27, 0), OPEN),
    "model": ({"model": "MODEL"}, (0, 25, 1), OPEN),
    "temperature": ({"temperature": 0.1}, (0, 26, 0), OPEN),
    "top_p": ({"top_p": 0.1, "presence_penalty": 0.1, "frequency_penalty": 0.1, "max_tokens": 99}, (0, 26, 0), OPEN),
    "document_ids": ({"document_ids": ["DOCUMENT"]}, (0, 27, 0), OPEN),
    "model and document_ids": ({"model": "MODEL", "document_ids": ["DOCUMENT"]}, (0, 27, 0), OPEN),
    "reasoning_effort": ({"reasoning_effort": "ultra"}, (0, 27, 0), OPEN),
    "internet": ({"internet": False}, (0, 27, 0), OPEN),
}


def filled(served: Served, options: dict[str, Any]) -> dict[str, Any]:
    """Put the ids of this server in their places."""
    given = dict(options)
    if "document_ids" in given:
        documents = served.do(lambda client: client.documents.list(served.emulator.dataset_id))
        given["document_ids"] = [item.id for item in documents if "cargo" in item.name]
    if "model" in given:
        given["model"] = served.do(lambda client: client.chats.get(served.emulator.chat_id)).llm_id
    return given


def asked_with(served: Served, way: str, streamed: str, asked: dict[str, Any], option: tuple[Any, ...]) -> None:
    """Ask with an option: whole with the sync client, streamed with the async one, since what is sent is made in one place."""
    options, since, until = option
    given = filled(served, options)
    name = way if served.driver.kind == "sync" else streamed
    call = lambda client: getattr(client, name)(**asked, **given)  # noqa: E731
    if not served.within(since, until):
        error = served.driver.fails(call)
        assert type(error) is UnsupportedByServerError
        assert "RAGFlow" in str(error)
        return
    answer = served.do(call) if name == way else served.driver.drain(call).answer
    if "document_ids" in given:
        assert {chunk.document_id for chunk in answer.reference.chunks} == set(given["document_ids"])
        assert ANSWER in answer.text


@pytest.mark.parametrize("option", IN_SESSION)
def test_options_in_a_session(option: str, served: Served) -> None:
    asked = {"question": QUESTION, "chat_id": served.emulator.chat_id}
    asked_with(served, "ask", "stream", asked, IN_SESSION[option])


@pytest.mark.parametrize("option", STATELESS)
def test_stateless_options(option: str, served: Served) -> None:
    asked = {"messages": [Message(role="user", content=QUESTION)], "chat_id": served.emulator.chat_id}
    asked_with(served, "complete", "stream_complete", asked, STATELESS[option])


# ----------------------------------------------------------------------------------------------------------------------- agents

NO_AGENTS = ((0, 22, 0), (0, 22, 99))


def test_agents(served: Served) -> None:
    agent = served.emulator.agent_id
    listed = served.do(lambda client: client.agents.list())
    assert {item.id for item in listed} >= {agent, served.emulator.form_agent_id}
    got = served.do(lambda client: client.agents.get(agent))
    assert got.id == agent
    assert served.do(lambda client: client.agents.find(got.title)).id == agent
    assert [item.id for item in served.do(lambda client: client.agents.list(title=got.title))] == [agent]
    for call in (
        lambda client: client.agents.get("0" * 32),
        lambda client: client.agents.find("no such agent"),
    ):
        assert isinstance(served.driver.fails(call), NotFoundError)
    assert isinstance(served.driver.fails(lambda client: client.agents.get("")), InvalidArgumentError)
    assert served.do(lambda client: client.agents.list(title="no such agent")) == []


def test_sessions_of_agents(served: Served) -> None:
    agent = served.emulator.agent_id
    if served.within(*NO_AGENTS):
        error = served.driver.fails(lambda client: client.agents.create_session(agent))
        assert type(error) is UnsupportedByServerError
        return
    made = served.do(lambda client: client.agents.create_session(agent))
    assert made.id in [item.id for item in served.do(lambda client: client.agents.list_sessions(agent))]
    assert served.do(lambda client: client.agents.get_session(agent, made.id)).id == made.id
    served.do(lambda client: client.agents.delete_sessions(agent, [made.id]))
    assert isinstance(served.driver.fails(lambda client: client.agents.get_session(agent, made.id)), SessionNotFoundError)
    served.do(lambda client: client.agents.delete_sessions(agent, delete_all=True))
    assert served.do(lambda client: client.agents.list_sessions(agent)) == []


@pytest.mark.parametrize("way", ["ask", "stream"])
def test_asking_an_agent(way: str, served: Served) -> None:
    agent = served.emulator.agent_id
    call: Call = lambda client, **more: getattr(client, way)(QUESTION, agent_id=agent, **more)  # noqa: E731
    if served.within(*NO_AGENTS):
        assert type(served.driver.fails(call)) is UnsupportedByServerError
        return
    answer = served.do(call) if way == "ask" else served.driver.drain(call).answer
    assert ANSWER in answer.text
    assert answer.agent_id == agent
    assert answer.chat_id is None
    assert answer.session_id
    assert answer.reference.chunks
    assert "[ID:" not in answer.text
    for citation in answer.citations:
        assert answer.text[citation.start : citation.end] == f"[{citation.number}]"
    again = lambda client: call(client, session_id=answer.session_id)  # noqa: E731
    following = served.do(again) if way == "ask" else served.driver.drain(again).answer
    assert following.session_id == answer.session_id


def test_the_trace_of_an_agent(served: Served) -> None:
    agent = served.emulator.agent_id
    call = lambda client: client.stream(QUESTION, agent_id=agent, return_trace=True)  # noqa: E731
    answer = served.only(call, (0, 23, 0))
    assert answer is None or answer.trace


def test_begin_values_of_old_agents(served: Served) -> None:
    """Up to 0.19.1 they are needed when a session is made, and at each run."""
    agent = served.emulator.form_agent_id
    if served.within((0, 20, 0)):
        return
    refused = served.driver.fails(lambda client: client.ask("Hello", agent_id=agent))
    assert isinstance(refused, InvalidRequestError)
    assert "topic" in str(refused)
    values = {"topic": {"value": "range of a cargo bike"}}
    assert ANSWER in served.do(lambda client: client.ask("Hello", agent_id=agent, inputs=values)).text
    session = served.do(lambda client: client.agents.create_session(agent, inputs=values)).id
    streamed = served.driver.drain(lambda client: client.stream("Hello", agent_id=agent, session_id=session, inputs=values))
    assert ANSWER in streamed.answer.text
    assert "running" not in streamed.text


def test_an_agent_whose_llm_fails(served: Served) -> None:
    if served.within(*NO_AGENTS):
        return
    agent = served.emulator.agent_id
    for failure in ("[[FAIL500]]", "[[FAIL401]]", "[[DROPMID]]"):
        call = lambda client, f=failure: client.ask(f"{QUESTION} {f}", agent_id=agent)  # noqa: E731
        if served.within(until=(0, 22, 99)):
            assert ANSWER not in served.do(call).text  # these tell nothing of it
            continue
        error = served.driver.fails(call)
        assert isinstance(error, GenerationError | ServerError)
        if served.within((0, 23, 0)):
            assert isinstance(error, GenerationError)
            assert bool(error.partial) == (failure == "[[DROPMID]]")
            assert "Agent:Main" in str(error)


def test_the_steps_of_an_agent(served: Served) -> None:
    if served.within(*NO_AGENTS):
        return
    call = lambda client: client.stream(QUESTION, agent_id=served.emulator.agent_id, agent_steps=True)  # noqa: E731
    if not served.within((0, 23, 0)):
        assert isinstance(served.driver.fails(call), UnsupportedByServerError)
        return
    outcome = served.driver.drain(call)
    steps = [event for event in outcome.events if isinstance(event, AgentStep)]
    assert [step.component_id for step in steps][:2] == ["begin", "Retrieval:Kb"]
    assert all(step.state == "finished" and step.seconds is not None and step.error is None for step in steps)
    assert "formalized_content" in steps[1].outputs
    assert outcome.text == outcome.answer.text
    plain = served.driver.drain(lambda client: client.stream(QUESTION, agent_id=served.emulator.agent_id))
    assert not [event for event in plain.events if isinstance(event, AgentStep)]


def test_files_and_structured_output_of_an_agent(connect: Connect) -> None:
    outputs = {"structured": {"price": 12}}
    events = [
        {"event": "node_finished", "data": {"component_id": "Agent:Main", "inputs": {}, "outputs": outputs}},
        {"event": "message", "data": {"content": "Done."}},
        {"event": "message_end", "data": {"attachment": {"doc_id": "f1", "format": "pdf", "file_name": "f1.pdf"}}},
    ]
    body = b"".join(sse.event(one) for one in events) + b"data:[DONE]\n\n"
    with WireServer(raw(body)) as server:
        answer = connect(server.base_url).do(lambda client: client.ask("q", agent_id="a", session_id="s"))
    assert answer.structured == {"Agent:Main": {"price": 12}}
    assert [(one.id, one.name, one.format) for one in answer.attachments] == [("f1", "f1.pdf", "pdf")]


def test_an_unknown_session_of_an_agent(served: Served) -> None:
    if served.within(*NO_AGENTS):
        return
    unknown = "0123456789abcdef0123456789abcdef"
    call = {"agent_id": served.emulator.agent_id, "session_id": unknown}
    for error in (
        served.driver.fails(lambda client: client.ask(QUESTION, **call)),
        served.driver.drain(lambda client: client.stream(QUESTION, **call)).error,
        served.driver.fails(lambda client: client.agents.get_session(served.emulator.agent_id, unknown)),
    ):
        assert type(error) is SessionNotFoundError, error
        assert unknown in str(error)


def test_sessions_of_an_agent_with_sources(served: Served) -> None:
    if served.within(*NO_AGENTS):
        return
    agent = served.emulator.agent_id
    answer = served.do(lambda client: client.ask(QUESTION, agent_id=agent))
    assert answer.reference.chunks
    session = served.do(lambda client: client.agents.get_session(agent, answer.session_id))
    assert [message.content for message in session.messages if message.role == "user"] == [QUESTION]
    listed = lambda client: client.agents.list_sessions(agent)  # noqa: E731
    if served.within((0, 25, 1), (0, 25, 99)):
        assert isinstance(served.driver.fails(listed), UnsupportedByServerError)
    else:
        assert answer.session_id in [item.id for item in served.do(listed)]


def test_an_agent_that_asks_back(served: Served) -> None:
    agent = served.emulator.form_agent_id
    if served.within(*NO_AGENTS) or not served.within((0, 20, 0)):
        return  # no workflow there; `test_asking_an_agent` shows what is said
    for inputs in ({"topic": "range of a cargo bike"}, {"topic": {"value": "range of a cargo bike"}}):
        session = served.do(lambda client: client.agents.create_session(agent)).id
        first = lambda client, s=session: client.ask("Hello", agent_id=agent, session_id=s)  # noqa: E731
        if served.within((0, 26, 3)):
            asked = served.do(first)
            assert "topic" in asked.input_request.inputs
        else:  # which do not show the form
            error = served.driver.fails(first)
            assert isinstance(error, UnsupportedByServerError)
            assert session in str(error)
        answer = served.do(lambda client, i=inputs, s=session: client.ask("Go on", agent_id=agent, session_id=s, inputs=i))
        assert answer.input_request is None
        assert ANSWER in answer.text
