"""Linear time, bounded memory. Each pattern has once taken quadratic time, or is near one that has."""

from __future__ import annotations

import tracemalloc

import pytest

from ragflow_integrations import ProtocolError
from ragflow_integrations._protocol.answers.reader import AnswerReader
from tests.fuzz.growth import too_fast
from tests.fuzz.targets import asked

PATTERNS = {
    "rewriter": ("`", "~", " ", "#", "[ID:", "```\n"),
    "splitter": (" ", "<", "<think>", "</think>", "</thin "),
    "thinking": ("<", "<think>", "</think>", " "),
    "gate": ("**ERROR**: x\n", "**ERROR**: ABC - a\n", "\n**ERROR**: x y", "*", "**ERROR**: x\n", " "),
    "citations": (" ", "x[ID:0]", "![ID:0]", ".)", "。", "\n ", "`\n"),
    "frames": ("data:x\n", "\n", "\r", "data:x\r\n\r\n", ":", "data:x\r\r"),
    "answer": ("x", "<", "**ERROR**: x\n"),
    "refusal": ("<title>", "<title> ", "<id>", "Chat(", "`llm_id`", "LLM("),
    "body": (" ", "{", "\n"),
}


@pytest.mark.parametrize(("machine", "pattern"), [(name, pattern) for name in PATTERNS for pattern in PATTERNS[name]])
def test_time_is_linear(machine: str, pattern: str) -> None:
    assert not too_fast(machine, pattern)


@pytest.mark.parametrize("piece", [b"ab", b"\n ", b'{"', b"<a", b" "], ids=repr)
def test_memory_has_a_bound(piece: bytes) -> None:
    """A body without an end, in the smallest pieces, is given up at the limit."""
    limit = 64 * 1024
    reader = AnswerReader(asked("native"), max_frame=limit, max_body=limit)
    tracemalloc.start()
    try:
        for _ in range(2 * limit // len(piece)):
            reader.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(reader.error, ProtocolError)
    assert str(limit) in str(reader.error)
    assert peak < 4 * limit
