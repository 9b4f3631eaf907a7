"""Agents of every release: forms, failures, steps, sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    AgentStep,
    GenerationError,
    InvalidArgumentError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    SessionNotFoundError,
    UnsupportedByServerError,
)
from ragflow_integrations.emulator.store import Agent
from tests.core.eras import ANSWER, QUESTION, Served

if TYPE_CHECKING:
    from tests.core.driver import Call

NO_AGENTS = ((0, 22, 0), (0, 22, 99))
TOPIC = "range of a cargo bike"


def runs_workflows(served: Served) -> bool:
    """Whether the release runs agents as it does since 0.20."""
    return served.within((0, 20, 0)) and not served.within(*NO_AGENTS)


def add(served: Served, **settings: Any) -> str:
    """An agent of the test's own."""
    agent = Agent(title="Own", dataset_ids=[served.emulator.dataset_id], **settings)
    served.emulator.store.put(agent)
    return agent.id


def ways(question: str, agent: str, **options: Any) -> list[Call]:
    """The ways of asking an agent."""
    return [
        lambda client: client.ask(question, agent_id=agent, **options),
        lambda client: client.stream(question, agent_id=agent, **options),
    ]


def answer_of(served: Served, call: Call) -> Any:
    """The answer; a stream's pieces are its text."""
    given = served.driver.drain(call) if "stream" in call.__code__.co_names else None
    if given is None:
        return served.do(call)
    assert given.text == given.answer.text
    return given.answer


def error_of(served: Served, call: Call) -> Any:
    return served.driver.drain(call).error if "stream" in call.__code__.co_names else served.driver.fails(call)


def test_agents(served: Served) -> None:
    agent = served.emulator.agent_id
    listed = served.do(lambda client: client.agents.list())
    assert {item.id for item in listed} >= {agent, served.emulator.form_agent_id}
    got = served.do(lambda client: client.agents.get(agent))
    assert got.id == agent
    assert got.created_at is not None
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
    """Up to 0.19.1 they are needed when a session is made; from 0.19.1 a run takes new ones, before it is refused."""
    agent = served.emulator.form_agent_id
    if served.within((0, 20, 0)):
        return
    refused = served.driver.fails(lambda client: client.ask("Hello", agent_id=agent))
    assert isinstance(refused, InvalidRequestError)
    assert "topic" in str(refused)
    given: list[dict[str, Any]] = [{"topic": TOPIC}, {"topic": {"value": TOPIC}}]
    sessions = [served.do(lambda client, v=values: client.agents.create_session(agent, inputs=v)).id for values in given]
    for values, session in zip(given, sessions, strict=True):
        for call in [*ways("Hello", agent, inputs=values), *ways("Hello", agent, session_id=session)]:
            answer = answer_of(served, call)
            assert ANSWER in answer.text
            assert "running" not in answer.text
    other = {"topic": "helmets of riders"}
    for call in ways("Hello", agent, session_id=sessions[0], inputs=other):
        if served.within((0, 19, 1)):
            assert ANSWER not in answer_of(served, call).text
        else:
            error = error_of(served, call)
            assert type(error) is UnsupportedByServerError
            assert (error.since, "topic" in str(error)) == ("0.19.1", True)


def test_an_agent_whose_llm_fails(served: Served) -> None:
    """The session tells the failure and its kind, also of 0.20 and 0.21, whose streams tell nothing."""
    if served.within(*NO_AGENTS):
        return
    agent = served.emulator.agent_id
    for command, kind, began in (
        ("[[FAIL500]]", "MAX_RETRIES_EXCEEDED", ""),
        ("[[FAIL401]]", "AUTH_ERROR", ""),
        ("[[DROPMID]]", "CONNECTION_ERROR", "A fully charged cargo"),
    ):
        for call in ways(f"{QUESTION} {command}", agent):
            error = error_of(served, call)
            if not runs_workflows(served):  # as chats of these releases do
                assert isinstance(error, ServerError if command == "[[DROPMID]]" else GenerationError), error
                continue
            assert type(error) is GenerationError, error
            assert error.kind == kind
            assert error.partial.startswith(began)
            assert bool(error.partial) == bool(began)


def test_an_agent_without_a_model_has_not_failed(served: Served) -> None:
    if not runs_workflows(served):
        return
    for says in ("We are closed.", ""):
        agent = add(served, says=says)
        for call in ways("Open?", agent):
            answer = answer_of(served, call)
            assert (answer.text, answer.input_request) == (says, None)


def test_an_llm_that_says_nothing_has_not_failed(served: Served) -> None:
    if not runs_workflows(served):
        return
    for call in ways(f"{QUESTION} [[EMPTY]]", served.emulator.agent_id):
        assert answer_of(served, call).text == ""


def test_a_session_goes_on_after_a_failure(served: Served) -> None:
    if not runs_workflows(served):
        return
    agent = served.emulator.agent_id
    session = served.do(lambda client: client.agents.create_session(agent)).id
    for call in ways(f"{QUESTION} [[FAIL500]]", agent, session_id=session):
        assert isinstance(error_of(served, call), GenerationError)
    for call in ways(QUESTION, agent, session_id=session):
        assert ANSWER in answer_of(served, call).text


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
    whole = served.driver.fails(lambda client: client.ask(QUESTION, agent_id=served.emulator.agent_id, agent_steps=True))
    assert type(whole) is InvalidArgumentError
    plain = served.driver.drain(lambda client: client.stream(QUESTION, agent_id=served.emulator.agent_id))
    assert not [event for event in plain.events if isinstance(event, AgentStep)]


def test_an_unknown_session_of_an_agent(served: Served) -> None:
    if served.within(*NO_AGENTS):
        return
    unknown = "0123456789abcdef0123456789abcdef"
    agent = served.emulator.agent_id
    foreign = (
        "" if not runs_workflows(served) else served.do(lambda c: c.agents.create_session(served.emulator.form_agent_id)).id
    )
    for session in filter(None, (unknown, foreign)):
        calls = [*ways(QUESTION, agent, session_id=session), lambda client, s=session: client.agents.get_session(agent, s)]
        for call in calls:
            error = error_of(served, call)
            assert type(error) is SessionNotFoundError, error
            assert session in str(error)


def test_sessions_of_an_agent_with_sources(served: Served) -> None:
    """The last answer has its reference wherever the server keeps one; no answer has another's."""
    if served.within(*NO_AGENTS):
        return
    agent = served.emulator.agent_id
    first = served.do(lambda client: client.ask("Hello? [[NOCITE]]", agent_id=agent))
    answer = served.do(lambda client: client.ask(QUESTION, agent_id=agent, session_id=first.session_id))
    assert answer.reference.chunks
    session = served.do(lambda client: client.agents.get_session(agent, answer.session_id))
    assert (session.agent_id, session.chat_id) == (agent, None)
    assert [message.content for message in session.messages if message.role == "user"] == ["Hello? [[NOCITE]]", QUESTION]
    found = [message.reference for message in session.messages]
    assert found[:-1] == [None] * 4
    assert bool(found[-1] and found[-1].chunks) == served.within((0, 25, 1))
    listed = lambda client: client.agents.list_sessions(agent)  # noqa: E731
    if served.within((0, 25, 1), (0, 25, 99)):
        error = served.driver.fails(listed)
        assert type(error) is UnsupportedByServerError
        assert "get_session" in str(error)
        return
    same = next(item for item in served.do(listed) if item.id == answer.session_id)
    assert [bool(message.reference and message.reference.chunks) for message in same.messages] == [
        *[False] * 4,
        served.within((0, 26, 2)),
    ]


def test_an_agent_that_asks_back(served: Served) -> None:
    """The form comes with the answer on every release; those that hide it keep it in the session."""
    if not runs_workflows(served):
        return  # `test_begin_values_of_old_agents`
    for agent, hello in (
        (served.emulator.form_agent_id, ""),
        (add(served, asks="topic", greets="Which topic? "), "Which topic? "),
    ):
        for inputs in ({"topic": TOPIC}, {"topic": {"value": TOPIC}}):
            for number in (0, 1):
                asked = answer_of(served, ways("Hello", agent)[number])
                assert asked.text == hello
                assert list(asked.input_request.inputs) == ["topic"]
                assert asked.input_request.tips == "Please fill up the form"
                answer = answer_of(served, ways("Go on", agent, session_id=asked.session_id, inputs=inputs)[number])
                assert answer.input_request is None
                assert ANSWER in answer.text


def test_tokens_of_an_agent(served: Served) -> None:
    """RAGFlow counts the total alone: what is not known is not 0."""
    if not served.within((0, 26, 3)):
        return
    usage = served.do(lambda client: client.ask(QUESTION, agent_id=served.emulator.agent_id)).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (None, None)
    assert usage.total_tokens > 0
