"""Stop sequences: RAGFlow knows none, so answers are cut off here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import Completed, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ragflow_integrations.models import Answer, AnswerEvent


def check_stop(stop: Sequence[str] | None) -> tuple[str, ...]:
    """Check stop sequences; empty ones are left out.

    Raises:
        InvalidArgumentError: It is not a list of strings.
    """
    if stop is None:
        return ()
    if isinstance(stop, str) or not all(isinstance(sequence, str) for sequence in stop):
        raise InvalidArgumentError("stop", "must be a list of strings; write ['END'] for one")
    return tuple(sequence for sequence in stop if sequence)


def cut_text(text: str, stop: Sequence[str]) -> str:
    """Return the text before the stop sequence that is complete first, which is the one a stream meets first."""
    ends = [(index + len(sequence), index) for sequence in stop if sequence and (index := text.find(sequence)) >= 0]
    return text[: min(ends)[1]] if ends else text


def cut_answer(answer: Answer, stop: Sequence[str]) -> Answer:
    """Return an answer cut off before a stop sequence, with the citations of the text that is left."""
    text = cut_text(answer.text, stop)
    if len(text) == len(answer.text):
        return answer
    return replace(answer, text=text, citations=tuple(cited for cited in answer.citations if cited.end <= len(text)))


class StopFilter:
    """Ends a text that comes in pieces before the first stop sequence; what may begin one is held back.

    Args:
        stop: The sequences.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [sequence for sequence in stop if sequence]
        self._held = ""
        self._stopped = False

    def feed(self, piece: str) -> str:
        """Accept a piece; return the text that surely comes before the end."""
        if not self._stop:
            return piece
        if self._stopped:
            return ""
        text = self._held + piece
        cut = cut_text(text, self._stop)
        if len(cut) < len(text):
            self._stopped, self._held = True, ""
            return cut
        keep = max(_overlap(text, sequence) for sequence in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """Return what was held back, once."""
        held, self._held = self._held, ""
        return held

    def feed_event(self, event: AnswerEvent) -> Iterator[AnswerEvent]:
        """Accept an event of a stream; return what of it comes before the end. The whole answer is cut off too."""
        if not self._stop or not isinstance(event, TextDelta | Completed):
            yield event
        elif isinstance(event, TextDelta):
            if text := self.feed(event.text):
                yield TextDelta(text)
        else:
            if rest := self.finish():
                yield TextDelta(rest)
            yield Completed(cut_answer(event.answer, self._stop))


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text begin a stop sequence."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
