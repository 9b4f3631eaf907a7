"""Where fuzzing begins: bodies of recorded replies, and words that mean something to the readers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tests.support import recordings

if TYPE_CHECKING:
    import random

_LONGEST = 8_000

WORDS = (
    b"data:", b"data: ", b"\n", b"\n\n", b"\r\n\r\n", b"\r", b": ping\n\n", b"data:[DONE]\n\n", b"event: message\n", b"[DONE]",
    b"<think>", b"</think>", b"<", b"**ERROR**: ", b"RATE_LIMIT_EXCEEDED - ", b"*", b"[ID:0]", b" [ID:1]", b"##3$$", b"(ID: 2)",
    "【ID：1】".encode(), b"[", b"#", b"```\n", b"~~~", b"`", b" ", b"\t", b". ", "。".encode(), "🔋".encode(), b"\xff",
    b"\\ud83d", b"\\u0000", b'"', b"{", b"}", b"[]", b"null", b"true", b"NaN", b"-1", b"1e999", b"9" * 400, b"[" * 250,
    b'"code": 0', b'"code": 102', b'"data": true', b'"data": null', b'"answer": "', b'"final": true', b'"start_to_think": true',
    b'"choices": [', b'"delta": {', b'"content": "', b'"final_content": "', b'"reference": {', b'"chunks": {"1": {}}',
    b'"event": "message"', b'"event": "node_finished"', b'"prompt": "## Time elapsed\\n  - Total: 1.2.3ms"', b"v0.27.0",
    b"<html><title>", b"<NotFound '404: Not Found'>", b"\n---\n",
)  # fmt: skip


@functools.cache
def bodies(*, streams: bool) -> tuple[bytes, ...]:
    """Bodies of recorded replies, each once, none too long to be mutated many times."""
    found = {
        recording.body[:_LONGEST]: None
        for version in recordings.versions()
        for name in recordings.names(version)
        if (recording := recordings.load(version, name)).is_stream == streams
    }
    return tuple(found)


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Spoil a body in a few places."""
    for _ in range(chance.choice((0, 1, 2, 4, 8))):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice((0, 1, 2, 10, 100)))
        middle = chance.choice((b"", b"", body[start:end] * 2, chance.choice(WORDS), bytes([chance.randrange(256)])))
        body = body[:start] + middle + body[end:]
    return body


def inputs(target: str) -> tuple[bytes, ...]:
    """What a target's inputs are made from."""
    if target == "replies":
        return bodies(streams=False)
    if target == "markers":
        return tuple(b" ".join(part) for part in zip(WORDS, WORDS[7:], WORDS[13:], strict=False))
    return bodies(streams=True)
