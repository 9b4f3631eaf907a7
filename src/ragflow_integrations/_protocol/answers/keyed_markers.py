"""Markers of agents: which of them point to a source.

An agent's marker holds a key of its reference, a hash of the chunk's id; the reference comes after the text. An LLM also writes
keys that are none: invented ones, and those of earlier turns, which stand in the history it is given. Shown as a number, such
a marker would seem to cite a source, so it is not shown, neither in the pieces nor in the whole text. What follows a marker is
held back until it is known whether its key is one: a retrieval component tells its chunks before the text (≥ 0.23), so that
nothing waits; an agent that retrieves by a tool tells them at the end of the text.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields, models_from_json
from ragflow_integrations.citations import MarkerRewriter, cite, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations.models import Chunk, Citation, CitationStyle, JsonObject, JsonValue, Reference

_BLANKS = " \t"
#: Keys are below this number from 0.21 on, and below 100 before, where nothing tells of components.
_KEYS = 500


class KnownMarkers:
    """Lets markers through that have a source, and takes out the others.

    Attributes:
        keys: Keys that have a source, as far as the server has told.
    """

    def __init__(self) -> None:
        self.keys: set[int] = set()
        self._scan = MarkerRewriter("raw")  # finds markers, code left aside, and changes nothing
        self._text = ""  # found so far, and not let through
        self._start = 0  # where that begins in all text
        self._next = 0  # the first marker that is not let through

    def feed(self, piece: str) -> str:
        """Accept a piece; return what may be shown."""
        self._text += self._scan.feed(piece)
        return self._through(settled=False)

    def learn(self, keys: Iterable[int]) -> str:
        """Accept keys that have a source; return what may be shown now."""
        self.keys.update(keys)
        return self._through(settled=False)

    def settle(self) -> str:
        """Return all that was held back: what has no source by now has none."""
        self._text += self._scan.finish()
        return self._through(settled=True)

    def held(self) -> str:
        """Return what is held back, without the markers that have no source yet."""
        kept, start = [], self._start
        for marker in self._scan.markers[self._next :]:
            if marker.key not in self.keys:
                kept.append(self._text[start - self._start : marker.start - self._start].rstrip(_BLANKS))
                start = marker.end
        return "".join([*kept, self._text[start - self._start :]])

    def only_known(self, text: str) -> str:
        """Return a whole text without the markers that have no source."""
        whole = KnownMarkers()
        whole.keys = self.keys
        return whole.feed(text) + whole.settle()

    def _through(self, *, settled: bool) -> str:
        shown = []
        markers = self._scan.markers
        while self._next < len(markers):
            marker = markers[self._next]
            if marker.key in self.keys:
                shown.append(self._take(marker.end))
            elif settled:
                shown.append(self._take(marker.start).rstrip(_BLANKS))
                self._take(marker.end)
            else:
                break
            self._next += 1
        end = len(self._text) if self._next == len(markers) else markers[self._next].start - self._start
        # Blanks in front of a marker go with it.
        shown.append(self._take(self._start + (end if settled else len(self._text[:end].rstrip(_BLANKS)))))
        return "".join(shown)

    def _take(self, end: int) -> str:
        """Return the text up to a place in all text."""
        taken, self._text = self._text[: end - self._start], self._text[end - self._start :]
        self._start = end
        return taken


def retrieved(data: JsonObject) -> dict[int, Chunk]:
    """Read the chunks of a retrieval component's `node_finished`, by the keys that the LLM is shown."""
    outputs = fields.mapping(data, "outputs")
    shown = fields.text(outputs, "formalized_content")
    chunks: dict[int, Chunk] = {}
    for item in fields.objects(outputs.get("json")):
        chunk = models_from_json.chunk(item)
        key = int(hashlib.sha1(chunk.id.encode(), usedforsecurity=False).hexdigest(), 16) % _KEYS
        if chunk.id and f"ID: {key}\n" in shown:
            chunks[key] = chunk
    return chunks


def chunks_by_key(found: JsonValue) -> dict[int, Chunk]:
    """Read the chunks of an agent's reference; a list, of ≤ 0.19.1, has positions for keys."""
    if isinstance(found, list):
        found = {str(index): item for index, item in enumerate(found)}
    if not isinstance(found, dict):
        return {}
    return {
        int(key): models_from_json.chunk(item, key=key)
        for key, item in found.items()
        if isinstance(item, dict) and key.isdecimal()
    }


def cite_stored(text: str, reference: Reference, style: CitationStyle) -> tuple[str, tuple[Citation, ...]]:
    """Return the text of an agent's stored answer in a style, and its citations, as its stream gave them."""
    chunks = chunks_by_key(reference.raw.get("chunks"))
    if style == "bracket":
        known = KnownMarkers()
        known.learn(chunks)
        text = known.only_known(text)
    cited = [key for key in dict.fromkeys(marker.key for marker in rewrite(text, "raw").markers) if key in chunks]
    order = {key: number for number, key in enumerate([*cited, *(key for key in chunks if key not in cited)], 1)}
    shown = rewrite(text, style, lambda key: order.get(key, 0))
    return shown.text, cite(shown, [chunks[key] for key in order], lambda key: order.get(key, 0) - 1)
