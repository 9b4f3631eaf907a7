"""Telling a model's thinking from its answer where servers send both in one text.

RAGFlow ≤ 0.23.1 sends `<think>…</think>` in front of the answer; ≥ 0.24 sets flags on events instead, and 0.25.x repeats the
tags in the final text. Only thinking in front of the answer counts, so an answer that speaks of `<think>` stays whole.
Deep research of 0.25.1–0.26.x says in `<retrieving>…</retrieving>` what it looks for; that counts as thinking (notes §2.3).
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"
_OPENING = (OPEN, "<retrieving>")
_CLOSING = (CLOSE, "</retrieving>")
#: Tags → how much deeper they lead.
_WITHIN = dict.fromkeys(_OPENING, 1) | dict.fromkeys(_CLOSING, -1)
_BEFORE = dict.fromkeys(_OPENING, 1) | dict.fromkeys(_CLOSING, 0)  # 0.17.2 repeats the closing tag


def split(answer: str) -> tuple[str, str]:
    """Split a whole answer into (reasoning, text).

    Thinking that never ends is all reasoning here; whether it counts as text is for the caller to say.
    """
    splitter = ThinkSplitter()
    pieces = splitter.feed(answer) + splitter.finish()
    return (
        "".join(piece for thinking, piece in pieces if thinking),
        "".join(piece for thinking, piece in pieces if not thinking),
    )


class ThinkSplitter:
    """Splits a text that comes in pieces, holding back what may be half a tag."""

    def __init__(self) -> None:
        self._pending = ""
        self._depth = 0
        self._answering = False

    @property
    def thinking(self) -> bool:
        """Whether an opened thought has not been closed."""
        return self._depth > 0

    @property
    def answering(self) -> bool:
        """Whether the answer has begun; pieces are all answer then."""
        return self._answering

    def feed(self, piece: str) -> list[tuple[bool, str]]:
        """Take a piece; give (is thinking, text) pairs that are safe to show."""
        if self._answering:
            return [(False, piece)] if piece else []
        self._pending += piece
        out: list[tuple[bool, str]] = []
        while self._pending and not self._answering:
            step = self._inside() if self._depth else self._before()
            if step is None:
                break
            if step[1]:
                out.append(step)
        return out

    def finish(self) -> list[tuple[bool, str]]:
        """Give what was held back."""
        held, self._pending = self._pending, ""
        return [(self._depth > 0, held)] if held else []

    def _before(self) -> tuple[bool, str] | None:
        stripped = self._pending.lstrip()
        for tag, change in _BEFORE.items():
            if stripped.startswith(tag):
                self._depth += change
                self._pending = stripped[len(tag) :]
                return False, ""
        if any(tag.startswith(stripped) for tag in _WITHIN):
            return None
        self._answering = True
        text, self._pending = self._pending, ""
        return False, text

    def _inside(self) -> tuple[bool, str] | None:
        at = self._pending.find("<")
        if at < 0:
            text, self._pending = self._pending, ""
            return True, text
        if at > 0:
            text, self._pending = self._pending[:at], self._pending[at:]
            return True, text
        for tag, change in _WITHIN.items():
            if self._pending.startswith(tag):
                self._depth += change
                self._pending = self._pending[len(tag) :]
                return True, ""
        if any(tag.startswith(self._pending) for tag in _WITHIN):
            return None
        self._pending = self._pending[1:]
        return True, "<"
