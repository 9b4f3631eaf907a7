"""How work grows with what is read: a pattern repeated eight times as often may take about eight times as long."""

from __future__ import annotations

import collections
import contextlib
import time
from typing import TYPE_CHECKING

from ragflow_integrations import APIError, ProtocolError
from ragflow_integrations._protocol import envelope
from ragflow_integrations._protocol.answers.llm_errors import FailureGate
from ragflow_integrations._protocol.answers.reader import AnswerReader
from ragflow_integrations._protocol.answers.sse import EventStream
from ragflow_integrations._protocol.answers.think_tags import ThinkSplitter
from ragflow_integrations._protocol.steps import Reply, Request
from ragflow_integrations.citations import MarkerRewriter, cite, rewrite, strip_markers
from ragflow_integrations.models import Chunk
from tests.fuzz.targets import asked
from tests.support.sse import event, openai_chunk

if TYPE_CHECKING:
    from collections.abc import Callable

FACTOR = 8
#: Linear work takes 8 times as long, quadratic work 64 times.
MOST = 24
_NOTICEABLE = 0.002  # seconds; below, the clock and the garbage collector are measured
_SMALL = 4_000


def _pieces(machine: MarkerRewriter | ThinkSplitter | FailureGate, pattern: str, count: int) -> None:
    for _ in range(count):
        machine.feed(pattern)
    machine.finish()


def _cited(text: str) -> None:
    for style in ("bracket", "none"):
        cite(rewrite(text, style), (Chunk(id="a"),))
    strip_markers(text)


def _frames(pattern: str, count: int) -> None:
    events = EventStream()
    with contextlib.suppress(ProtocolError):
        for _ in range(count):
            collections.deque(events.feed(pattern.encode()), maxlen=0)
        collections.deque(events.feed(b"\n\n"), maxlen=0)


def _answer(pattern: str, count: int) -> None:
    reader = AnswerReader(asked("openai"))
    block = openai_chunk(pattern)
    for _ in range(count):
        reader.feed(block)
    reader.finish()


def _refusal(text: str) -> None:
    for body in (text.encode(), event({"code": 102, "message": text})[5:]):
        with contextlib.suppress(ProtocolError, APIError):
            envelope.decode(Reply(200, {}, body), Request("GET", "/x"))


def _body(pattern: str, count: int) -> None:
    reader = AnswerReader(asked("native"))
    for _ in range(count):
        reader.feed(pattern.encode())
    reader.finish()


MACHINES: dict[str, Callable[[str, int], object]] = {
    "rewriter": lambda pattern, count: _pieces(MarkerRewriter("none"), pattern, count),
    "splitter": lambda pattern, count: _pieces(ThinkSplitter(), pattern, count),
    "thinking": lambda pattern, count: ThinkSplitter().feed("<think>" + pattern * count),
    "gate": lambda pattern, count: _pieces(FailureGate(), pattern, count),
    "citations": lambda pattern, count: _cited(pattern * count + "x[ID:0]"),
    "frames": _frames,
    "answer": lambda pattern, count: _answer(pattern, count // 4),
    "refusal": lambda pattern, count: _refusal(pattern * count),
    "body": _body,
}


def cost(machine: str, pattern: str, size: int) -> float:
    """CPU seconds for so many characters of a pattern."""
    count = max(1, size // len(pattern))
    began = time.process_time()
    MACHINES[machine](pattern, count)
    return time.process_time() - began


def too_fast(machine: str, pattern: str) -> str:
    """What to say if the work grows faster than what is read, else nothing. A first suspicion is measured again."""
    small = big = 0.0
    for _ in range(3):
        small = max(_NOTICEABLE, cost(machine, pattern, _SMALL))
        big = cost(machine, pattern, _SMALL * FACTOR)
        if big < MOST * small:
            return ""
    return f"{machine}, {pattern!r}: {FACTOR} times as much takes {small:.4f} s -> {big:.4f} s"
