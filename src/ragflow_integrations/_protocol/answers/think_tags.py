"""Telling a model's thinking from its answer where servers send both in one text.

RAGFlow ≤ 0.23.1 sends `<think>…</think>` in front of the answer; ≥ 0.24 sets flags on events instead, and 0.25.x repeats the
tags in the final text. Only thinking in front of the answer counts, so an answer that speaks of `<think>` stays whole.
Deep research of 0.25.2–0.26.4 says in `<retrieving>…</retrieving>` what it looks for; that counts as thinking. It begins
twice and ends once [transcripts/reasoning-0.24.0-raw], so a tag that is opened again at once counts once.
"""

from __future__ import annotations

import re

OPEN, CLOSE = "<think>", "</think>"
RETRIEVING = "<retrieving>"
_TAGS = ("think", "retrieving")


def _begun(word: str) -> str:
    """Return a regular expression that matches any non-empty prefix of a word."""
    return "".join(f"(?:{letter}" for letter in word) + ")?" * len(word)


_TAG = f"<(?P<close>/?)(?:{'|'.join(_TAGS)})>"
_HALF = f"(?P<half></?(?:{'|'.join(map(_begun, _TAGS))}))\\Z"
_INSIDE = re.compile(f"{_TAG}|{_HALF}")
_BEFORE = re.compile(rf"\s*(?:{_TAG}|{_HALF}|\Z)")


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
        self._blanks: list[str] = []  # in front of the answer or of a tag: what follows tells
        self._half = ""
        self._depth = 0
        self._just_opened = False
        self._answering = False

    @property
    def thinking(self) -> bool:
        """Whether an opened thought has not been closed."""
        return self._depth > 0

    @property
    def answering(self) -> bool:
        """Whether the answer has begun; pieces are all answer then."""
        return self._answering

    def end_thought(self) -> None:
        """End the thought that a tag opened: what comes is the answer."""
        self._held()
        self._depth, self._answering = 0, True

    def feed(self, piece: str) -> list[tuple[bool, str]]:
        """Accept a piece; return (is thinking, text) pairs that are safe to show."""
        if self._answering:
            return [(False, piece)] if piece else []
        if not self._depth and not self._half and not piece.strip():
            self._blanks.append(piece)
            return []
        text = self._held() + piece
        out: list[tuple[bool, str]] = []
        index = 0
        while index < len(text) and not self._answering:
            index = self._inside(text, index, out) if self._depth else self._before(text, index, out)
        return out

    def finish(self) -> list[tuple[bool, str]]:
        """Return what was held back."""
        held = self._held()
        return [(self._depth > 0, held)] if held else []

    def _held(self) -> str:
        held = "".join((*self._blanks, self._half))
        self._blanks.clear()
        self._half = ""
        return held

    def _before(self, text: str, index: int, out: list[tuple[bool, str]]) -> int:
        """Read on in front of the answer; gives how far."""
        match = _BEFORE.match(text, index)
        if match is None:
            self._answering = True
            out.append((False, text[index:]))
        elif match["half"]:
            self._half = text[index:]
        elif match["close"] is None:
            self._blanks.append(text[index:])
        else:
            self._depth += not match["close"]  # 0.17.2 repeats the closing tag
            self._just_opened = not match["close"]
            return match.end()
        return len(text)

    def _inside(self, text: str, index: int, out: list[tuple[bool, str]]) -> int:
        """Read on within a thought; gives how far."""
        match = _INSIDE.search(text, index)
        thought = text[index : match.start() if match else len(text)]
        if thought:
            out.append((True, thought))
            self._just_opened = self._just_opened and thought.isspace()
        if match is None or match["half"]:
            self._half = match["half"] if match else ""
            return len(text)
        if match["close"]:
            self._depth -= 1
        elif not self._just_opened:
            self._depth += 1
        return match.end()
