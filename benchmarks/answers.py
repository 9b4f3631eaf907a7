"""The answers the server gives: their events as bytes, and the text each client must have in the end."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from tests.support import sse

if TYPE_CHECKING:
    from collections.abc import Sequence

Route = Literal["native", "openai"]
Markers = Literal["raw", "bracket"]

_MARKED = 50  # every so many pieces there is a citation
_PIECE = 6  # characters, so that 5,000 pieces are 30 KB


@dataclass(frozen=True)
class Answer:
    """An answer of the server; the id of the assistant that gives it is its name.

    Attributes:
        pieces: Events with text.
        kind: Whether an event holds what is new or the whole text so far.
        interval: Seconds between events; 0 sends all at once.
        chunks: Chunks of the reference at the end.
    """

    pieces: int
    kind: Literal["delta", "cumulative"] = "delta"
    interval: float = 0.0
    chunks: int = 8

    @property
    def name(self) -> str:
        """Name of the answer, of which it can be made again: the server is another process."""
        return f"{self.kind}-{self.pieces}-{round(self.interval * 1e6)}-{self.chunks}"

    @classmethod
    def of(cls, name: str) -> Answer:
        """Give the answer of a name."""
        kind, pieces, interval, chunks = name.split("-")
        return cls(int(pieces), "cumulative" if kind == "cumulative" else "delta", int(interval) / 1e6, int(chunks))

    def texts(self) -> list[str]:
        """Give what each event adds."""
        return [
            f" [ID:{at // _MARKED % max(self.chunks, 1)}]" if at % _MARKED == _MARKED - 1 else f"{at % 100000:>{_PIECE}}"
            for at in range(self.pieces)
        ]

    def text(self, markers: Markers) -> str:
        """Give the whole text, markers as the server wrote them or as `[n]`."""
        raw = "".join(self.texts())
        return raw if markers == "raw" else re.sub(r"\[ID:(\d+)\]", lambda found: f"[{int(found[1]) + 1}]", raw)

    def events(self, route: Route) -> list[bytes]:
        """Give the stream's events."""
        return list(_events(self, route))

    def bodies(self) -> list[bytes]:
        """Give the JSON of the native stream's events."""
        return [event.removeprefix(b"data:").strip() for event in self.events("native")]


@cache
def _events(answer: Answer, route: Route) -> Sequence[bytes]:
    texts = answer.texts()
    chunks = [_chunk(at) for at in range(answer.chunks)]
    if route == "openai":
        usage = {"prompt_tokens": 100, "completion_tokens": answer.pieces, "total_tokens": 100 + answer.pieces}
        last = sse.openai_chunk(finish="stop", reference=chunks, final_content="".join(texts), usage=usage)
        return [*(sse.openai_chunk(text) for text in texts), last, sse.DONE]
    if answer.kind == "cumulative":
        grown = list(accumulate(texts))
        last = sse.native_cumulative(grown[-1], final=True, reference=sse.reference(*chunks))
        return [*(sse.native_cumulative(text) for text in grown), last, sse.terminator(cumulative=True)]
    last = sse.native_delta("", final=True, reference=sse.reference(*chunks))
    return [*(sse.native_delta(text) for text in texts), last, sse.terminator()]


def _chunk(at: int) -> dict[str, Any]:
    return sse.chunk(f"{at:04d} " + "The thermostat keeps the room at the set temperature. " * 18, id=f"chunk-{at}")


#: Chunks that a search finds.
FOUND = 8


def retrieval() -> bytes:
    """Give the reply of a search."""
    chunks = [_chunk(at) | {"document_keyword": "thermostat.txt", "kb_id": sse.DATASET_ID} for at in range(FOUND)]
    found = {"chunks": chunks, "doc_aggs": [{"doc_name": "thermostat.txt", "doc_id": "d", "count": FOUND}], "total": FOUND}
    return json.dumps({"code": 0, "data": found}).encode()
