"""What a server that behaves replies to each call, in pieces, so that a fault can strike between any two of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.core.driver import CHAT, DATASET, SESSION
from tests.support import sse
from tests.support.wire import STREAM_HEADERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.wire import Request

#: The text of every reply: an answer, a chunk, the name of a dataset.
PIECES = ("Batteries last ", "a year [ID", ":0]", ". 🔋")
RAW = "".join(PIECES)
#: The same as an answer shows it.
TEXT = "Batteries last a year [1]. 🔋"


@dataclass(frozen=True)
class Reply:
    """A reply that is right.

    Attributes:
        streamed: Whether it is an event stream; else it is one JSON object.
        frames: Its bytes: events, or slices of the object, cut at the same places of the text.
        terminator: What ends it: the last event, or the last brace.
    """

    streamed: bool
    frames: tuple[bytes, ...]
    terminator: bytes

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return STREAM_HEADERS if self.streamed else (("content-type", "application/json"),)

    @property
    def body(self) -> bytes:
        return b"".join(self.frames) + self.terminator


def reply_to(request: Request) -> Reply:
    """The right reply, on each route that the calls of the matrix take."""
    openai = "chats_openai" in request.path
    if request.path.endswith("/completions"):
        if request.json["stream"]:
            return _openai_stream() if openai else _native_stream()
        return _object(_openai_answer() if openai else {"answer": RAW, "reference": _FOUND, "id": "m", "session_id": SESSION})
    if request.path.endswith("/retrieval"):
        return _object({"chunks": [_CHUNK], "total": 1, "doc_aggs": []})
    assert request.path.startswith("/api/v1/datasets?"), request.path
    return _object([{"id": DATASET, "name": RAW}])


_CHUNK = sse.chunk(RAW)
_FOUND = sse.reference(_CHUNK)


def _native_stream() -> Reply:
    events = [sse.native_delta(piece) for piece in PIECES]
    return Reply(True, (*events, sse.native_delta("", final=True, reference=_FOUND)), sse.terminator())


def _openai_stream() -> Reply:
    events = [sse.openai_chunk(piece) for piece in PIECES]
    last = sse.openai_chunk(finish="stop", reference=[_CHUNK], final_content=RAW)
    return Reply(True, (*events, last), sse.DONE)


def _openai_answer() -> dict[str, Any]:
    message = {"role": "assistant", "content": RAW, "reference": [_CHUNK]}
    return {"id": f"chatcmpl-{CHAT}", "choices": [{"message": message, "finish_reason": "stop", "index": 0}]}


def _object(data: Any) -> Reply:
    whole = data if isinstance(data, dict) and "choices" in data else {"code": 0, "data": data}
    body = json.dumps(whole, ensure_ascii=False).encode()
    frames, rest = [], body[:-1]
    for piece in PIECES[:-1]:
        at = rest.index(piece.encode()) + len(piece.encode())
        frames.append(rest[:at])
        rest = rest[at:]
    return Reply(False, (*frames, rest), body[-1:])
