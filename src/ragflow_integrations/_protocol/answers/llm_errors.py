"""LLM failures, which RAGFlow sends as text of a successful answer.

Seen (docs/protocol.md): `**ERROR**: RATE_LIMIT_EXCEEDED - …` as the whole answer; on a line of its own behind it;
glued to the last word (`one two three**ERROR**: CONNECTION_ERROR - …`, ≥ 0.23.1); without the kind (streams ≤ 0.22.1). It is
always the end of the answer, so only the last line counts, and an answer that quotes such a text is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragflow_integrations.errors import GenerationError

MARK = "**ERROR**: "
_KIND = re.compile(r"([A-Z][A-Z_]{2,}) - ")
_TAIL = re.compile(r"\*(?:\*(?:E(?:R(?:R(?:O(?:R(?:\*(?:\*(?::)?)?)?)?)?)?)?)?)?\Z")


@dataclass(frozen=True, slots=True)
class Failure:
    """An LLM failure found in an answer: the text before it, RAGFlow's word for it, the rest."""

    partial: str
    kind: str | None
    detail: str

    def error(self, partial: str) -> GenerationError:
        """Make the exception; `partial` is the text before the failure as it was shown."""
        kind = f" ({self.kind})" if self.kind else ""
        return GenerationError(
            f"The LLM behind RAGFlow failed{kind}: {self.detail or 'no details given'}. The text before the failure is in "
            "`partial`; check the assistant's model, its key and its quota in RAGFlow.",
            kind=self.kind,
            detail=self.detail,
            partial=partial,
        )


def find(answer: str, *, whole: bool = True) -> Failure | None:
    """Find an LLM failure at the end of an answer's raw text.

    Args:
        answer: The answer, or its end.
        whole: Whether `answer` is all of it, so that an error at its start is all there is.
    """
    index = answer.rfind(MARK)
    if index < 0:
        return None
    first = len(answer) - len(answer.lstrip())
    if whole and answer.startswith(MARK, first) and _KIND.match(answer, first + len(MARK)):
        index = first  # nothing but the error, whose details may have lines
    elif "\n" in answer[index:].rstrip():
        return None
    rest = answer[index + len(MARK) :]
    kind = _KIND.match(rest)
    return Failure(answer[:index].rstrip(), kind[1] if kind else None, (rest[kind.end() :] if kind else rest).strip())


class FailureGate:
    """Keeps a failure's text out of a stream: holds back from `**ERROR**: ` on until it is known to be no failure."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._holding = False
        self._new_line = False
        self._certain = False
        self._begun = False

    @property
    def open(self) -> bool:
        """True if a piece without `*` can bypass the filter: some text was emitted and nothing is buffered."""
        return self._begun and not self._held

    def feed(self, piece: str) -> str:
        """Accept a piece; return what may be shown."""
        shown = self._hold(piece) if self._holding else self._look(piece)
        self._begun = self._begun or bool(shown.strip())
        return shown

    def finish(self) -> str:
        """Return what was held back and is no failure."""
        held = "".join(self._held)
        failed = self._holding and (self._certain or find(held, whole=not self._begun) is not None)
        self._held.clear()
        return "" if failed else held

    def _look(self, piece: str) -> str:
        text = "".join((*self._held, piece))
        self._held.clear()
        index = text.find(MARK)
        if index >= 0:
            self._holding = True
            self._new_line = False
            self._begun = self._begun or bool(text[:index].strip())
            return text[:index] + self._hold(text[index:])
        tail = _TAIL.search(text)
        if tail:
            self._held.append(tail[0])
            return text[: tail.start()]
        return text

    def _hold(self, piece: str) -> str:
        self._held.append(piece)
        self._new_line = self._new_line or "\n" in piece
        if self._certain or not self._new_line or piece.isspace():
            return ""
        held = "".join(self._held)
        failure = find(held, whole=not self._begun)
        if failure is not None:
            # What stands before it is none; more lines can only be its details where it is all there is.
            before = held.rfind(MARK) if failure.partial else 0
            self._certain = not failure.partial and "\n" in held.strip()
            self._held[:] = [held[before:]]
            self._new_line = "\n" in held[before:]
            self._begun = self._begun or bool(failure.partial)
            return held[:before]
        # A quoted error; behind it there may be a real one, or the beginning of one.
        self._held.clear()
        self._holding = False
        line = held.rfind("\n") + 1
        self._begun = True
        return held[:line] + self._look(held[line:])
