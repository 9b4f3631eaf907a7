"""Which hits a page of a retrieval holds, as each release cuts them from the candidates of the search engine.

The engine gives candidates in its own order, some 64 at a time (a window); the server ranks a window by similarity and cuts
pages from it. The rules are those of ``Dealer.retrieval`` in ``rag/nlp/search.py`` at each tag (source).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ragflow_integrations.emulator.eras import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.emulator.answering import Hit

_WINDOW: Final = 64
_RANKED_PAGES: Final = 3
_MIN_RANKED: Final = 128


@dataclass(frozen=True)
class Page:
    """A page of hits.

    Attributes:
        hits: The hits, best first.
        passing: All hits of the window that are above the threshold; they are counted.
    """

    hits: Sequence[Hit]
    passing: Sequence[Hit]


@dataclass(frozen=True)
class Cut:
    """How to cut pages.

    Attributes:
        window: The release's way.
        size: Hits on a page.
        threshold: Least similarity.
        pool: Most candidates in a window, if a rerank model is asked.
    """

    window: Window
    size: int
    threshold: float
    pool: int | None = None

    def page(self, candidates: Sequence[Hit], number: int) -> Page:
        """Cut a page, by its number from 1."""
        if self.window is Window.THREE_PAGES:
            return self._of_three(candidates, number)
        if self.window is Window.ONE_WINDOW:
            return self._of_one(candidates, number)
        if self.window in (Window.FIRST_PAGE, Window.UNRANKED_CUT):
            return self._unranked(candidates, number)
        return self._aligned(candidates, number)

    def _passing(self, hits: Sequence[Hit]) -> list[Hit]:
        return [hit for hit in _ranked(hits) if hit.similarity >= self.threshold]

    def _of_three(self, candidates: Sequence[Hit], number: int) -> Page:
        if number > _RANKED_PAGES:  # neither ranked nor held against the threshold
            hits = candidates[(number - 1) * self.size : number * self.size]
            return Page(hits, candidates)
        window = candidates[: max(self.size * _RANKED_PAGES, _MIN_RANKED)]
        hits = _ranked(window)[(number - 1) * self.size : number * self.size]
        return Page([hit for hit in hits if hit.similarity >= self.threshold], self._passing(candidates))

    def _of_one(self, candidates: Sequence[Hit], number: int) -> Page:
        size = self.size
        length = max(int(_WINDOW // size + (_WINDOW % size) / size + 0.5) * size, 1) if size > 1 else 1
        window = _block(candidates, math.ceil(size * number / length), length)
        hits = _ranked(window)[(number - 1) * size : number * size]
        return Page([hit for hit in hits if hit.similarity >= self.threshold], self._passing(window))

    def _unranked(self, candidates: Sequence[Hit], number: int) -> Page:
        size = self.size
        length = math.ceil(_WINDOW / size) * size if size > 1 else 1
        window = _block(candidates, math.ceil(size * number / length), length)
        begin = (number % (length // size) - 1) * size
        if self.window is Window.UNRANKED_CUT:
            begin = max(begin, 0)
        scores = [hit.similarity for hit in window][begin : begin + size]
        # The chunks are counted from the window's start, whatever the page: only the first page has its own scores.
        scored = [replace(hit, similarity=score) for hit, score in zip(window, scores, strict=False)]
        passing = self._passing(scored)
        return Page(passing, passing)

    def _aligned(self, candidates: Sequence[Hit], number: int) -> Page:
        size = self.size
        length = math.ceil(_WINDOW / size) * size if size > 1 else 30
        if self.pool is not None and self.window is Window.RERANKED_64:
            length = min(length, self.pool, _WINDOW)
        offset = (number - 1) * size
        passing = self._passing(_block(candidates, offset // length + 1, length))
        return Page(passing[offset % length :][:size], passing)


def _ranked(hits: Sequence[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: -hit.similarity)


def _block(candidates: Sequence[Hit], number: int, length: int) -> Sequence[Hit]:
    return candidates[(number - 1) * length : number * length]
