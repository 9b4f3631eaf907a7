"""Answers are whole, on every release: deep research, stateless answers without a reference, settings of 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import InvalidRequestError, StreamInterruptedError, UnsupportedByServerError
from ragflow_integrations.emulator import FaultPlan
from tests.core.eras import ANSWER, QUESTION, unique

if TYPE_CHECKING:
    from tests.core.eras import Served

NOTHING = "zzzq xylophone wombat?"


def _chat(served: Served, **prompt: Any) -> str:
    given = {"empty_response": "", **prompt}
    datasets = [served.emulator.dataset_id]
    chat = served.do(lambda client: client.chats.create(unique("Assistant"), dataset_ids=datasets, prompt=given))
    return str(chat.id)


def _ways(chat_id: str, question: str, **options: Any) -> dict[str, Any]:
    history = [{"role": "user", "content": question}]
    return {
        "ask": lambda client: client.ask(question, chat_id=chat_id, **options),
        "stream": lambda client: client.stream(question, chat_id=chat_id, **options),
        "complete": lambda client: client.complete(history, chat_id=chat_id),
        "stream_complete": lambda client: client.stream_complete(history, chat_id=chat_id),
    }


def _answer(served: Served, name: str, call: Any) -> Any:
    if name.startswith("stream"):
        outcome = served.driver.drain(call)
        assert outcome.error is None, outcome.error
        return outcome.answer
    return served.do(call)


def test_deep_research_of_the_assistants_switch(served: Served) -> None:
    chat_id = _chat(served, reasoning=True)
    for name, call in _ways(chat_id, QUESTION).items():
        answer = _answer(served, name, call)
        assert ANSWER in answer.text, name
        assert "<retrieving>" not in answer.text


def test_deep_research_of_an_option(served: Served) -> None:
    if not served.within((0, 24, 0)):
        return
    for name, call in _ways(_chat(served), QUESTION, reasoning_effort="medium").items():
        assert ANSWER in _answer(served, name, call).text, name


def test_an_effort_of_off_does_not_lose_against_the_switch(served: Served) -> None:
    if not served.within((0, 24, 0)):
        return
    chat_id = _chat(served, reasoning=True)
    for name in ("ask", "stream"):
        call = _ways(chat_id, QUESTION, reasoning_effort="off")[name]
        if served.within((0, 24, 0), (0, 26, 99)):
            error = served.driver.fails(call)
            assert type(error) is UnsupportedByServerError
            assert error.since == "0.27.0"
        else:
            answer = _answer(served, name, call)
            assert ANSWER in answer.text
            assert not answer.reasoning


def test_nothing_is_retrieved(served: Served) -> None:
    for name, call in _ways(_chat(served), NOTHING).items():
        answer = _answer(served, name, call)
        assert answer.text == f"Echo: {NOTHING}", name
        assert not answer.reference.chunks


def test_quotes_are_off(served: Served) -> None:
    for name, call in _ways(_chat(served, quote=False), QUESTION).items():
        answer = _answer(served, name, call)
        assert ANSWER in answer.text, name
        assert not answer.citations


def test_a_stateless_stream_that_is_really_cut_is_told(served: Served) -> None:
    served.emulator.faults = FaultPlan(cut_after=1)
    try:
        call = _ways(served.emulator.chat_id, f"{QUESTION} [[LONG=60]]")["stream_complete"]
        assert isinstance(served.driver.drain(call).error, StreamInterruptedError)
    finally:
        served.emulator.faults = None


@pytest.mark.parametrize("setting", ["temperature", "top_p", "presence_penalty", "frequency_penalty"])
def test_a_setting_of_0_arrives_or_is_refused(setting: str, served: Served) -> None:
    if not served.within((0, 25, 1)):
        return
    model = served.do(lambda client: client.chats.get(served.emulator.chat_id)).llm_id
    call = lambda client: client.ask(QUESTION, chat_id=served.emulator.chat_id, model=model, **{setting: 0})  # noqa: E731
    if served.within((0, 25, 1), (0, 25, 99)):
        error = served.driver.fails(call)
        assert isinstance(error, UnsupportedByServerError)
        assert error.since == "0.26.0"
    else:
        assert ANSWER in served.do(call).text


def test_a_missing_variable_is_the_callers_mistake(served: Served) -> None:
    chat_id = _chat(served, parameters=[{"key": "knowledge", "optional": False}, {"key": "style", "optional": False}])
    for name, call in _ways(chat_id, QUESTION).items():
        if name == "stream_complete":
            continue  # there the server's exception is text, as an LLM's failure is
        error = served.driver.drain(call).error if name.startswith("stream") else served.driver.fails(call)
        assert type(error) is InvalidRequestError, name
        assert not error.retryable
        assert "style" in str(error)
    given = _ways(chat_id, QUESTION, variables={"style": "short"})["ask"]
    assert ANSWER in served.do(given).text
