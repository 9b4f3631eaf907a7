"""Answers of releases that get them wrong: cut short, without references, without their beginning or their end."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import StreamInterruptedError, UnsupportedByServerError
from ragflow_integrations.citations import rewrite
from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.emulator.store import Chat
from tests.core.driver import DRIVERS, AsyncDriver
from tests.core.eras import ANSWER, QUESTION, Served, unique
from tests.support.llm import ScriptedModel
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.core.driver import Driver

NOTHING = "zzqq xylophone wombat"
OLD = [version for version in RELEASES if (0, 20, 0) <= parts(version) < (0, 24, 0)]


def assistant(served: Served, **prompt: Any) -> str:
    """Return the id of a new assistant."""
    data = served.emulator.dataset_id
    made = served.do(lambda client: client.chats.create(unique("Unkind"), dataset_ids=[data], prompt=prompt))
    return str(made.id)


def switch(served: Served, chat_id: str, **prompt: Any) -> None:
    """Change an assistant behind the client's back."""
    chat = served.emulator.store.get(Chat, chat_id)
    assert chat is not None
    chat.prompt_config |= prompt
    served.emulator.store.touch(chat)


def said_in(served: Served, chat_id: str, session_id: str) -> list[tuple[str, str]]:
    stored = served.do(lambda client: client.sessions.get(chat_id, session_id)).messages
    return [(message.role, message.content) for message in stored][1:]


def user(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


# Deep research


def test_a_whole_answer_of_deep_research_is_whole(served: Served) -> None:
    chat = assistant(served, reasoning=True)
    answer = served.do(lambda client: client.ask(QUESTION, chat_id=chat))
    assert ANSWER in answer.text
    assert answer.citations
    assert bool(answer.reasoning) == served.within((0, 24, 0), (0, 26, 99))  # there it is streamed, which tells of the search
    turn = said_in(served, chat, answer.session_id)
    assert [role for role, _ in turn] == ["user", "assistant"]
    assert ANSWER in turn[1][1]


def test_the_settings_of_an_assistant_are_asked_for_once(served: Served) -> None:
    chat = assistant(served)
    before = len(served.paths("GET"))
    session = None
    for _ in range(3):
        session = served.do(lambda client, session=session: client.ask(QUESTION, chat_id=chat, session_id=session)).session_id
    asked = [path for path in served.paths("GET")[before:] if path == "/api/v1/chats"]
    assert len(asked) <= 1


def test_a_stateless_answer_of_deep_research_is_whole(served: Served) -> None:
    chat = assistant(served, reasoning=True)
    for _ in range(2):
        answer = served.do(lambda client: client.complete(user(QUESTION), chat_id=chat))
        assert ANSWER in answer.text
        assert "retrieving>" not in answer.text + answer.reasoning


def test_deep_research_of_one_question(served: Served) -> None:
    chat = assistant(served)
    call = lambda client: client.ask(QUESTION, chat_id=chat, reasoning_effort="medium")  # noqa: E731 - it is asked twice
    if not served.within((0, 24, 0)):
        assert isinstance(served.driver.fails(call), UnsupportedByServerError)
        return
    answer = served.do(call)
    assert ANSWER in answer.text
    assert len(said_in(served, chat, answer.session_id)) == 2


def test_a_switch_that_was_turned_on_since(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    chat = assistant(served)
    session = served.do(lambda client: client.ask(QUESTION, chat_id=chat)).session_id
    switch(served, chat, reasoning=True)
    with caplog.at_level(logging.WARNING, "ragflow_integrations"):
        answer = served.do(lambda client: client.ask(QUESTION, chat_id=chat, session_id=session))
    assert ANSWER in answer.text
    turns = said_in(served, chat, session)
    left_over = served.version == (0, 24, 0)
    assert len(turns) == (6 if left_over else 4)
    assert all(content for _, content in turns) != left_over
    assert ("keeps an empty turn" in caplog.text) == left_over
    served.do(lambda client: client.ask(QUESTION, chat_id=chat, session_id=session))
    assert len(said_in(served, chat, session)) == len(turns) + 2


def test_a_switch_that_was_turned_on_since_without_a_session(served: Served) -> None:
    served.do(lambda client: client.server())
    chat = assistant(served)
    ask = lambda client: client.complete(user(QUESTION), chat_id=chat)  # noqa: E731 - it is asked three times
    served.do(ask)
    switch(served, chat, reasoning=True)
    for _ in range(2):
        assert ANSWER in served.do(ask).text


def test_a_switch_that_this_client_turned_on(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    chat = assistant(served)
    session = served.do(lambda client: client.ask(QUESTION, chat_id=chat)).session_id
    served.do(lambda client: client.chats.update(chat, prompt={"reasoning": True}))
    with caplog.at_level(logging.WARNING, "ragflow_integrations"):
        answer = served.do(lambda client: client.ask(QUESTION, chat_id=chat, session_id=session))
    assert ANSWER in answer.text
    assert len(said_in(served, chat, session)) == 4
    assert not caplog.text


def test_a_switch_that_was_turned_off_since(served: Served) -> None:
    chat = assistant(served, reasoning=True)
    served.do(lambda client: client.ask(QUESTION, chat_id=chat))
    switch(served, chat, reasoning=False)
    question = f"{QUESTION} [[NOCITE]]"
    served.do(lambda client: client.ask(question, chat_id=chat))
    answer = served.do(lambda client: client.ask(question, chat_id=chat))
    assert answer.citations  # which 0.24.0 and ≥ 0.26.1 add to replies that do not stream only


def test_an_effort_of_off_is_stronger_than_the_switch_or_refused(served: Served) -> None:
    chat = assistant(served, reasoning=True)
    for way in ("ask", "stream"):
        call = lambda client, way=way: getattr(client, way)(QUESTION, chat_id=chat, reasoning_effort="off")  # noqa: E731
        if served.within((0, 27, 0)):
            assert ANSWER in (served.do(call).text if way == "ask" else served.driver.drain(call).answer.text)
        else:
            error = served.driver.fails(call)
            assert isinstance(error, UnsupportedByServerError)
            assert "reasoning_effort" in str(error)
    switch(served, chat, reasoning=False)
    if served.within((0, 24, 0)):
        fresh = assistant(served)
        assert ANSWER in served.do(lambda client: client.ask(QUESTION, chat_id=fresh, reasoning_effort="off")).text


@pytest.mark.parametrize("known", [False, True])
def test_an_empty_answer_is_an_answer(served: Served, *, known: bool) -> None:
    chat = assistant(served)
    if known:  # the release, and the assistant
        served.do(lambda client: client.server())
        served.do(lambda client: client.chats.get(chat))
    before = len(served.emulator.requests)
    assert served.do(lambda client: client.complete(user(f"{QUESTION} [[EMPTY]]"), chat_id=chat)).text == ""
    sent = [record.path for record in served.emulator.requests[before:] if record.method == "POST"]
    assert len(sent) == 1


# Answers without references


@pytest.mark.parametrize("why", ["nothing found", "quotes off"])
def test_answers_without_references(served: Served, why: str) -> None:
    chat = assistant(served, empty_response="", quote=why != "quotes off")
    question, text = (NOTHING, NOTHING) if why == "nothing found" else (QUESTION, ANSWER)
    for _ in range(2):
        streamed = served.driver.drain(lambda client: client.stream_complete(user(question), chat_id=chat)).answer
        whole = served.do(lambda client: client.complete(user(question), chat_id=chat))
        for answer in (streamed, whole):
            assert text in answer.text
            assert not answer.citations


@pytest.mark.parametrize("version", OLD)
def test_an_assistant_that_cites_nothing_is_asked_so_from_then_on(version: str, emulators: Callable[[str], Emulator]) -> None:
    for kind in DRIVERS:
        emulator = emulators(version)
        driver = DRIVERS[kind](emulator.base_url, emulator.api_key, timeout=10)
        served = Served(emulator, driver, version)
        chat = assistant(served, quote=False)
        served.do(lambda client, chat=chat: client.complete(user(QUESTION), chat_id=chat))
        before = len(served.paths())
        served.do(lambda client, chat=chat: client.complete(user(QUESTION), chat_id=chat))
        assert len(served.paths()) == before + 1
        driver.shut()


def test_quotes_that_this_client_turned_on(served: Served) -> None:
    chat = assistant(served, quote=False)
    ask = lambda client: client.complete(user(QUESTION), chat_id=chat)  # noqa: E731 - it is asked twice
    assert not served.do(ask).citations
    served.do(lambda client: client.chats.update(chat, prompt={"quote": True}))
    assert bool(served.do(ask).citations) == served.within((0, 20, 0))  # before, stateless answers have no references


@pytest.fixture
def alone() -> Iterator[Callable[..., Served]]:
    """Starts emulators that no other test uses, each with drivers of both kinds."""
    with ExitStack() as running:

        def start(version: str, kind: str, **settings: Any) -> Served:
            emulator = running.enter_context(Emulator(version=version, **settings))
            driver: Driver | AsyncDriver = DRIVERS[kind](emulator.base_url, emulator.api_key, timeout=10, max_retries=0)
            running.callback(driver.shut)
            return Served(emulator, driver, version)

        yield start


@pytest.mark.parametrize("kind", list(DRIVERS))
@pytest.mark.parametrize("version", OLD)
def test_a_real_cut_is_still_one(version: str, kind: str, alone: Callable[..., Served]) -> None:
    served = alone(version, kind)
    chat = assistant(served, empty_response="")
    found_and_short = (f"{QUESTION} [[LONG=4]]", 2)  # what comes last may be the end of the text, but there are references
    not_found_and_long = (" ".join([NOTHING] * 12), 1)  # there are none, but what comes last is no end
    for question, events in (found_and_short, not_found_and_long, (QUESTION, 1), (f"{QUESTION} [[LONG=90]]", 2)):
        served.emulator.faults = FaultPlan(cut_after=events, path="/completions")
        outcome = served.driver.drain(lambda client, q=question: client.stream_complete(user(q), chat_id=chat))
        assert isinstance(outcome.error, StreamInterruptedError), question
        assert outcome.error.partial == outcome.text != ""
        served.emulator.faults = None
    assert NOTHING in served.driver.drain(lambda client: client.stream_complete(user(NOTHING), chat_id=chat)).answer.text


# Settings


@pytest.mark.parametrize("setting", ["temperature", "top_p", "presence_penalty", "frequency_penalty"])
def test_a_setting_of_zero_arrives_or_is_refused(served: Served, setting: str) -> None:
    chat = served.emulator.chat_id
    model = served.do(lambda client: client.chats.get(chat)).llm_id
    for way in ("ask", "stream"):
        call = lambda client, way=way: getattr(client, way)(QUESTION, chat_id=chat, model=model, **{setting: 0.0})  # noqa: E731
        if served.within((0, 26, 0)):
            assert ANSWER in (served.do(call).text if way == "ask" else served.driver.drain(call).answer.text)
        else:
            error = served.driver.fails(call)
            assert isinstance(error, UnsupportedByServerError)
            assert served.within(until=(0, 25, 0)) or f"`{setting}` of 0" in str(error)
    if served.within((0, 25, 1)):
        small = {setting: 0.001}
        assert ANSWER in served.do(lambda client: client.ask(QUESTION, chat_id=chat, model=model, **small)).text


# What was streamed is what is answered

THOUGHTS = ("Think! ", "")
ENDS = ("", " [[NOCITE]]", " [[LONG=70]]", " [[THINKTAG]]", " [[THINKTAG=40]]", " [[THINKTAG=40]] [[LONG=40]]")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("front", THOUGHTS)
@pytest.mark.parametrize("research", [False, True])
def test_streamed_reasoning_is_the_answers_reasoning(served: Served, front: str, end: str, *, research: bool) -> None:
    chat = assistant(served, reasoning=research)
    question = f"{front}{QUESTION}{end}"
    for call in (
        lambda client: client.stream(question, chat_id=chat),
        lambda client: client.stream_complete(user(question), chat_id=chat),
    ):
        outcome = served.driver.drain(call)
        if isinstance(outcome.error, UnsupportedByServerError):
            # 0.19 has no whole text to take the beginning from
            assert "THINKTAG=40" in end
            assert served.within(until=(0, 19, 99))
            continue
        answer = outcome.answer
        assert answer.text.count(ANSWER) == 1
        assert outcome.text == answer.text or "NOCITE" in end  # the server inserts markers
        if "THINKTAG" in end and served.within((0, 24, 0), (0, 25, 99)):  # a thought that never ends is the answer
            assert outcome.reasoning.startswith(answer.reasoning)
            rest = outcome.reasoning.removeprefix(answer.reasoning)
            assert rewrite(rest, "bracket").text in answer.text
        else:
            assert outcome.reasoning == answer.reasoning
        assert "think>" not in outcome.reasoning + answer.text
        assert "retrieving>" not in outcome.reasoning + answer.text


@pytest.mark.parametrize("kind", list(DRIVERS))
def test_the_end_that_017_repeats_is_left_out(kind: str, alone: Callable[..., Served]) -> None:
    served = alone("0.17.2", kind)
    chat = served.emulator.chat_id
    for question in (f"{QUESTION} [[NOCITE]]", f"{QUESTION} [[NOCITE]] [[LONG=60]]"):
        outcome = served.driver.drain(lambda client, q=question: client.stream_complete(user(q), chat_id=chat))
        whole = served.do(lambda client, q=question: client.complete(user(q), chat_id=chat, citation_style="none"))
        assert outcome.text == outcome.answer.text
        assert outcome.answer.text.replace(" [1]", "").rstrip() == whole.text.rstrip()


# Markers


@pytest.mark.parametrize("kind", list(DRIVERS))
@pytest.mark.parametrize("version", RELEASES)
def test_a_marker_without_a_source_is_no_number(version: str, kind: str, alone: Callable[..., Served]) -> None:
    marker = "##{}$$" if version == "0.17.2" else "[ID:{}]"
    pieces = (
        "The range is 45 kilometres ",
        marker.format(0),
        ". It is ",
        marker.format(99),
        " so. And ",
        marker.format(0),
        " more.",
    )
    with ScriptedModel(pieces=pieces).serve() as model:
        served = alone(version, kind, llm_base_url=model.base_url)
        chat = served.emulator.chat_id
        expected = f"The range is 45 kilometres [1]. It is {marker.format(99)} so. And [1] more."
        streamed = served.driver.drain(lambda client: client.stream(QUESTION, chat_id=chat))
        assert (streamed.text, streamed.answer.text) == (expected, expected)
        whole = served.do(lambda client: client.ask(QUESTION, chat_id=chat))
        assert whole.text == expected
        for answer in (streamed.answer, whole):
            assert [citation.number for citation in answer.citations] == [1, 1]
            assert all(answer.text[citation.start : citation.end] == "[1]" for citation in answer.citations)
        quiet = assistant(served, quote=False)
        served.do(lambda client: client.chats.get(quiet))
        raw = "".join(pieces)
        assert served.do(lambda client: client.ask(QUESTION, chat_id=quiet)).text == raw
        streamed = served.driver.drain(lambda client: client.stream(QUESTION, chat_id=quiet))
        assert (streamed.text, streamed.answer.text) == (raw, raw)


@pytest.mark.parametrize("kind", list(DRIVERS))
@pytest.mark.parametrize("version", RELEASES)
def test_a_number_that_was_shown_too_early_stays_in_streams_only(version: str, kind: str, alone: Callable[..., Served]) -> None:
    marker = ("##{}$$" if version == "0.17.2" else "[ID:{}]").format(20)
    pieces = ("The range is 45 kilometres ", marker, ".")
    with ScriptedModel(pieces=pieces).serve() as model:
        served = alone(version, kind, llm_base_url=model.base_url)
        chat = served.emulator.chat_id
        streamed = served.driver.drain(lambda client: client.stream(QUESTION, chat_id=chat))
        assert streamed.text == streamed.answer.text == "The range is 45 kilometres [21]."
        whole = served.do(lambda client: client.ask(QUESTION, chat_id=chat))
        assert whole.text == "".join(pieces)
        assert not streamed.answer.citations + whole.citations


@pytest.mark.parametrize("kind", list(DRIVERS))
@pytest.mark.parametrize("version", OLD)
def test_a_marker_of_an_answer_that_was_asked_for_without_references(
    version: str, kind: str, alone: Callable[..., Served]
) -> None:
    with ScriptedModel(pieces=("It is so ", "[ID:0].")).serve() as model:
        served = alone(version, kind, llm_base_url=model.base_url)
        quiet = assistant(served, quote=False)
        for _ in range(2):
            answer = served.do(lambda client: client.complete(user(QUESTION), chat_id=quiet))
            assert answer.text == "It is so [ID:0]."


# Thoughts that a model tags itself


@pytest.mark.parametrize("kind", list(DRIVERS))
@pytest.mark.parametrize("version", OLD)
def test_tagged_thoughts_come_once_and_the_text_whole(version: str, kind: str, alone: Callable[..., Served]) -> None:
    served = alone(version, kind)
    chat = served.emulator.chat_id
    question = f"{QUESTION} [[THINKTAG=40]] [[LONG=40]]"
    thought = "inner thoughts here" + "".join(f" t{number}" for number in range(40))
    outcome = served.driver.drain(lambda client: client.stream_complete(user(question), chat_id=chat))
    assert outcome.reasoning == outcome.answer.reasoning == thought
    assert outcome.text == outcome.answer.text
    assert ANSWER in outcome.text
    assert outcome.text.endswith(" w39")
    served.emulator.faults = FaultPlan(cut_after=8, path="/completions")
    outcome = served.driver.drain(lambda client: client.stream_complete(user(question), chat_id=chat))
    assert isinstance(outcome.error, StreamInterruptedError)
    assert " w1 " in outcome.error.partial
    assert outcome.reasoning == thought
    served.emulator.faults = None
    chat = assistant(served, empty_response="")  # without references this stream ends before its whole text
    question = f"{NOTHING} [[THINKTAG=40]] [[LONG=4]]"
    outcome = served.driver.drain(lambda client: client.stream_complete(user(question), chat_id=chat))
    assert isinstance(outcome.error, StreamInterruptedError)
