"""Every recorded completion, replayed from a socket in pieces of all sizes, to both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import Completed, StreamInterruptedError, errors
from tests.core import oracle
from tests.core.catalogue import ALL, refusal, refused, route
from tests.core.driver import AGENT, CHAT, SESSION, Outcome
from tests.core.oracle import Expected
from tests.support import recordings
from tests.support.wire import WireServer, replay

if TYPE_CHECKING:
    from tests.core.conftest import Connect
    from tests.core.driver import Call
    from tests.support.recordings import Recording
    from tests.support.wire import Exchange, Pieces

COMPLETIONS = [(version, name) for version, name in ALL if route(recordings.load(version, name))]
PIECES: list[Pieces] = ["whole", "bytes", 1]

#: Where the simple oracle is not enough.
SPECIAL: dict[str, Expected] = {}


def want(recording: Recording) -> Expected:
    key = f"{recording.version}/{recording.name}"
    if key in SPECIAL:
        return SPECIAL[key]
    if refused(recording):
        return Expected(refusal(recording))
    if not recording.status:
        return Expected(errors.ConnectionFailedError)
    if not recording.body:
        return Expected(StreamInterruptedError)
    kind = route(recording)
    assert kind
    return oracle.expected(recording, kind)


def calls(recording: Recording) -> dict[str, Call]:
    """The calls that such a reply can answer: a reply that is no stream may come to a streamed question too."""
    question: dict[str, Any] = {"question": "Why?", "chat_id": CHAT, "session_id": SESSION}
    kind = route(recording)
    if kind == "agent":
        question = {"question": "Why?", "agent_id": AGENT, "session_id": SESSION}
        return {"stream": lambda client: client.stream(**question), "ask": lambda client: client.ask(**question)}
    if kind == "openai":
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}], "chat_id": CHAT}
        stream: Call = lambda client: client.stream_complete(**asked)  # noqa: E731 - one of a few lambdas
        ask: Call = lambda client: client.complete(**asked)  # noqa: E731
    else:
        stream = lambda client: client.stream(**question)  # noqa: E731
        ask = lambda client: client.ask(**question)  # noqa: E731
    return {"stream": stream} if recording.is_stream or not recording.body else {"stream": stream, "ask": ask}


def say_nothing_of_the_version(exchange: Exchange) -> None:
    exchange.reply(500, json={"code": 100, "message": "not told"})


def one_session(exchange: Exchange) -> None:
    exchange.reply(json={"code": 0, "data": [{"id": SESSION, "messages": [{"role": "assistant", "content": "Hi!"}]}]})


@pytest.mark.parametrize(("version", "name"), COMPLETIONS)
def test_completion(version: str, name: str, connect: Connect) -> None:
    recording = recordings.load(version, name)
    expected = want(recording)
    routes = {("GET", f"/api/v1/chats/{CHAT}/sessions"): one_session, ("GET", ".*"): say_nothing_of_the_version}
    scripts = {pieces: replay(recording, pieces, extra=routes) for pieces in PIECES}
    cut: list[Pieces] = []  # how the next reply is cut; the last of them counts
    with WireServer(lambda exchange: scripts[cut[-1]](exchange)) as server:  # noqa: PLW0108 - the list is looked at late
        driver = connect(server.base_url, max_retries=0)
        for way, call in calls(recording).items():
            for pieces in PIECES:
                cut.append(pieces)
                outcome = driver.drain(call) if way == "stream" else _asked(driver, call)
                _check(outcome, expected)
                if way == "stream" and outcome.error is None:
                    # Thinking that never ends counts as the answer, once that is known (0.24, 0.25).
                    unended = not outcome.answer.reasoning and outcome.reasoning in outcome.answer.text
                    assert unended or outcome.reasoning == outcome.answer.reasoning
        driver.shut()


def _asked(driver: Any, call: Call) -> Outcome:
    try:
        return Outcome([Completed(driver.do(call))])
    except errors.RAGFlowError as error:
        return Outcome(error=error)


def _check(outcome: Outcome, expected: Expected) -> None:
    if expected.error is not None:
        assert type(outcome.error) is expected.error or (
            expected.error is errors.ProtocolError and isinstance(outcome.error, errors.ProtocolError)
        ), outcome
        if isinstance(outcome.error, errors.GenerationError | errors.ServerError) and expected.text:
            assert outcome.error.partial == expected.text
        if isinstance(outcome.error, errors.GenerationError) and expected.error is errors.GenerationError:
            assert outcome.error.kind == expected.kind
        return
    answer = outcome.answer
    assert answer.text == expected.text
    assert expected.reasoning is None or answer.reasoning == expected.reasoning
    assert tuple(chunk.id for chunk in answer.reference.chunks) == expected.chunks
    assert not expected.session_id or answer.session_id == expected.session_id
    assert answer.message_id == expected.message_id
    assert (answer.usage.total_tokens if answer.usage else None) == expected.usage
    for citation in answer.citations:
        assert answer.text[citation.start : citation.end] == f"[{citation.number}]"
        assert citation.chunk is answer.reference.chunks[citation.index]
