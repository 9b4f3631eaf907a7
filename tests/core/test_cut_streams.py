"""Recorded streams, cut at every byte: what has come is kept, and no cut is taken for an answer or for another server."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from ragflow_integrations import Completed, GenerationError, ReasoningDelta, StreamInterruptedError, TextDelta
from ragflow_integrations._protocol.answers.reader import AnswerContext, AnswerReader
from ragflow_integrations._protocol.steps import Request, Subject
from tests.core.catalogue import ALL, route
from tests.core.driver import CHAT
from tests.support import recordings
from tests.support.wire import STREAM_HEADERS, WireServer

if TYPE_CHECKING:
    from ragflow_integrations import AnswerEvent
    from ragflow_integrations._protocol.answers.reader import Route
    from tests.core.conftest import Connect
    from tests.support.exchange import Exchange, Framing
    from tests.support.recordings import Recording

ASKED = Request("POST", "/chats/c/completions", subject=Subject("chat assistant", "c"))


@cache
def streams() -> list[tuple[str, str]]:
    """Return the recorded streams that end as they should; a failed run of an agent tells so at its end only."""
    found = []
    for version, name in ALL:
        recording = recordings.load(version, name)
        if recording.is_stream and recording.body and not recording.cut and _route(recording):
            reader, _ = read(recording, recording.body)
            if reader.error is None or (_route(recording) == "agent" and isinstance(reader.error, GenerationError)):
                found.append((version, name))
    return found


def shortest() -> list[tuple[str, str]]:
    """Return the shortest stream of each release and route."""
    by_kind: dict[tuple[str, Route | None], tuple[int, str]] = {}
    for version, name in streams():
        recording = recordings.load(version, name)
        kind = (version, _route(recording))
        by_kind[kind] = min(by_kind.get(kind, (1 << 30, "")), (len(recording.body), name))
    return [(version, name) for (version, _), (_, name) in by_kind.items()]


def _route(recording: Recording) -> Route | None:
    return route(recording)


def read(recording: Recording, body: bytes) -> tuple[AnswerReader, list[AnswerEvent]]:
    kind = _route(recording)
    assert kind is not None
    reader = AnswerReader(AnswerContext(kind, ASKED))
    events = reader.feed(body)
    events += reader.finish()
    if reader.in_doubt:
        events += reader.settle(None)  # as if the session of the agent could not be read
    return reader, events


def check_cut(recording: Recording, end: int) -> None:
    reader, events = read(recording, recording.body[:end])
    if type(reader.error) is not StreamInterruptedError:
        whole, _ = read(recording, recording.body)
        assert (type(reader.error), str(reader.error)) == (type(whole.error), str(whole.error))
        assert reader.answer == whole.answer
        left = recording.body[end:].strip(b"\r\n")
        assert not left or (
            _route(recording) == "agent" and b"data:[DONE]".endswith(left)
        )  # a run says before that it has ended
        return
    assert reader.error.partial == "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(("version", "name"), shortest())
def test_a_stream_cut_at_any_byte_is_an_interrupted_one(version: str, name: str) -> None:
    recording = recordings.load(version, name)
    for end in range(len(recording.body)):
        check_cut(recording, end)


@pytest.mark.parametrize(("version", "name"), streams())
def test_a_stream_cut_near_its_end_is_an_interrupted_one(version: str, name: str) -> None:
    recording = recordings.load(version, name)
    size = len(recording.body)
    for end in (*range(0, size, max(1, size // 40)), *range(max(0, size - 60), size)):
        check_cut(recording, end)


@pytest.mark.parametrize(("version", "name"), streams())
def test_streamed_reasoning_is_the_answers_reasoning(version: str, name: str) -> None:
    recording = recordings.load(version, name)
    _, events = read(recording, recording.body)
    if not events or not isinstance(events[-1], Completed):
        return  # the LLM failed
    answer = events[-1].answer
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    if answer.reasoning or not reasoning:
        assert reasoning == answer.reasoning
    else:  # a thought that never ends is the answer
        assert name.endswith("think_tag_in_content")
        assert reasoning in answer.text


@pytest.mark.parametrize("framing", ["close", "chunked", "length"])
@pytest.mark.parametrize("cut", [3, 5, 40, -1, -3, -9, -40])
def test_a_cut_on_the_wire(cut: int, framing: Framing, connect: Connect) -> None:
    version, name = next(item for item in shortest() if item[0] == "v0.27.0")
    body = recordings.load(version, name).body
    kept = body.rstrip(b"\n")[: cut if cut > 0 else len(body.rstrip(b"\n")) + cut]

    def script(exchange: Exchange) -> None:
        if framing == "length":
            exchange.reply(headers=STREAM_HEADERS, body=kept)
            return
        exchange.start_stream(framing=framing)
        exchange.send(kept)
        exchange.end()

    with WireServer(script) as server:
        outcome = connect(server.base_url, max_retries=0).drain(
            lambda client: client.stream("Why?", chat_id=CHAT, session_id="s")
        )
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == outcome.text
