"""The targets: functions of bytes that raise what must not happen. The first bytes choose the case, the rest is the input."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, get_args

from ragflow_integrations import Completed, ReasoningDelta, TextDelta
from ragflow_integrations._protocol import envelope
from ragflow_integrations._protocol.answers.reader import AnswerContext, AnswerReader
from ragflow_integrations._protocol.compat.server_version import ServerProfile
from ragflow_integrations._protocol.steps import Reply, Request, Subject
from ragflow_integrations.citations import MarkerRewriter, cite, rewrite, strip_markers
from ragflow_integrations.errors import ConnectionFailedError, RAGFlowError
from ragflow_integrations.models import Chunk, CitationStyle
from tests.fuzz.calls import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ragflow_integrations import AnswerEvent, JsonObject
    from ragflow_integrations._protocol.answers.reader import Route
    from ragflow_integrations._protocol.steps import Operation

ROUTES: tuple[Route, ...] = ("native", "openai", "agent")
STYLES: tuple[CitationStyle, ...] = get_args(CitationStyle)
STATUSES = (200, 200, 200, 302, 400, 401, 404, 429, 500, 502)
HEADERS: tuple[dict[str, str], ...] = (
    {"content-type": "application/json"},
    {"content-type": "text/event-stream", "retry-after": "Mon, 1 Jan 2024 00:00:00 GMT", "date": "x"},
    {},
)
#: Replies of one input to `replies`.
SEPARATOR = b"\n---\n"
#: What is kept of an agent's run, spoiled.
BROKEN_SESSION: JsonObject = {"dsl": '{"path": ["a", 1], "components": {"a": {"obj": []}}', "errors": 3}
_CHUNKS = tuple(Chunk(id=str(number)) for number in range(3))


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """Cut bytes at random places."""
    chance = random.Random(seed)
    at = 0
    while at < len(data):
        size = chance.choice((1, 2, 3, 7, 40, 1000, 1 << 16))
        yield data[at : at + size]
        at += size


def asked(route: Route, style: CitationStyle = "bracket", *, trace: bool = False) -> AnswerContext:
    subject = Subject("chat assistant", "c")
    return AnswerContext(route, Request("POST", "/completions", json={"return_trace": trace}, subject=subject), style, "s")


def read(reader: AnswerReader, blocks: Iterator[bytes]) -> list[AnswerEvent]:
    events = [event for block in blocks for event in reader.feed(block)]
    events += reader.finish()
    if reader.in_doubt:
        events += reader.settle(BROKEN_SESSION)
    assert reader.done
    assert (reader.answer is None) == (reader.error is not None)
    return events


def told(events: Sequence[AnswerEvent], reader: AnswerReader) -> tuple[object, ...]:
    """What was told in all, however it was cut up."""
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    completed = [event for event in events if isinstance(event, Completed)]
    assert len(completed) == (reader.answer is not None)
    assert completed == [event for event in events[-1:] if isinstance(event, Completed)]
    return text, reasoning, repr(reader.answer), repr(reader.error)


def stream(data: bytes) -> None:
    """The byte reader: any bytes of any route, wherever they are cut, tell the same."""
    if len(data) < 3:
        return
    kind, seed, body = data[0], data[1] << 8 | data[2], data[3:]
    question = asked(ROUTES[kind % 3], STYLES[kind // 3 % 3], trace=bool(kind & 1))
    status = STATUSES[kind // 9 % len(STATUSES)]
    whole, cut = (
        AnswerReader(question, status=status, headers=HEADERS[0], coalesce=coalesce) for coalesce in (False, bool(kind & 2))
    )
    assert told(read(whole, iter([body])), whole) == told(read(cut, pieces(body, seed)), cut)
    if whole.answer is not None:
        whole.answer._repr_html_()


def markers(data: bytes) -> None:
    """The marker rewriter: pieces give what the whole gives, and citations lie within the text."""
    if len(data) < 3:
        return
    style, seed = STYLES[data[0] % 3], data[1] << 8 | data[2]
    text = data[3:].decode("utf-8", "replace")
    whole = rewrite(text, style)
    rewriter = MarkerRewriter(style)
    shown = []
    chance, at = random.Random(seed), 0
    while at < len(text):
        piece = text[at : at + chance.choice((1, 2, 3, 7, 40))]
        at += len(piece)
        shown.append(piece if rewriter.passes(piece) else rewriter.feed(piece))
    shown.append(rewriter.finish())
    assert "".join(shown) == whole.text
    assert tuple(rewriter.markers) == whole.markers
    for cited in cite(whole, _CHUNKS):
        assert 0 <= cited.claim_start <= cited.claim_end <= cited.start <= cited.end <= len(whole.text)
    strip_markers(text, [(mark.start, mark.end) for mark in whole.markers])


def replies(data: bytes) -> None:
    """Every call of the API, given any replies: a result, or an error of ours."""
    if len(data) < 3:
        return
    call = CALLS[data[0] % len(CALLS)]
    headers = HEADERS[data[1] % len(HEADERS)]
    given = (
        Reply(STATUSES[(data[2] + at) % len(STATUSES)], headers, part) for at, part in enumerate(data[3:].split(SEPARATOR))
    )
    profile = ServerProfile()
    try:
        drive(call(profile), given, profile)
    except RAGFlowError as error:
        str(error)


def drive(operation: Operation[Any], given: Iterator[Reply], profile: ServerProfile) -> Any:
    """Run a call as the transports do; when the replies are used up, the server cannot be reached any more."""
    try:
        step = next(operation)
        while True:
            assert isinstance(step, Request), "calls that only send requests"
            reply = next(given, None)
            try:
                if reply is None:
                    raise ConnectionFailedError("no more replies")
                body = envelope.decode(reply, step, profile)
            except RAGFlowError as error:
                step = operation.throw(error)
            else:
                step = operation.send(body)
    except StopIteration as done:
        return done.value


TARGETS: dict[str, Callable[[bytes], None]] = {"stream": stream, "markers": markers, "replies": replies}
