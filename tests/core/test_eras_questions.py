"""Questions to the emulator of every era: what a release cannot do is refused, never dropped."""

from __future__ import annotations

from typing import Any

import pytest

from ragflow_integrations import (
    GenerationError,
    Message,
    UnsupportedByServerError,
)
from tests.core.eras import ANSWER, OPEN, QUESTION, Served

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
