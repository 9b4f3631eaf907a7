"""Citation markers: grammar, spans, styles.

RAGFlow marks a citation with `[ID:3]` (≥ 0.19.1) or `##3$$` (≤ 0.19.0, and table answers everywhere): a 0-based position
in `Reference.chunks`. LLMs also write `(ID:3)`, `[ID 3]`, `【ID:3】`; the server repairs these only in texts it
decorates, so they are accepted here. Fenced code blocks are left alone.

Styles: `"bracket"` shows `[4]` for index 3, so that `[n]` is `sources[n - 1]`, and leaves a marker that has no source as the
model wrote it; `"raw"` leaves all markers; `"none"` removes them with the blank before them.

Example:
    >>> from ragflow_integrations.citations import rewrite
    >>> rewrite("It lasts a week [ID:0].", "bracket").text
    'It lasts a week [1].'
    >>> rewrite("It lasts a week [ID:0].", "none").text
    'It lasts a week.'
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import Citation, CitationStyle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ragflow_integrations.models import Chunk

_MARKER = r"##(\d{1,6})\$\$|[\[【(][ \t]{0,2}ID[ \t]{0,2}[:：]?[ \t]{0,2}(\d{1,6})[ \t]{0,2}[\]】)]"
# Everything that can still become a marker when more text comes.
_BEGUN = (
    r"#|##\d{0,6}\$?|"
    r"[\[【(][ \t]{0,2}|[\[【(][ \t]{0,2}I|"
    r"[\[【(][ \t]{0,2}ID[ \t]{0,2}[:：]?[ \t]{0,2}(?:\d{1,6}[ \t]{0,2})?"
)
_BLANKS = r"[ \t]{0,4}"
_FULL = re.compile(_MARKER)
_FULL_WITH_BLANKS = re.compile(f"{_BLANKS}(?:{_MARKER})")
_HALF = re.compile(f"(?:{_BEGUN})\\Z")
_HALF_WITH_BLANKS = re.compile(f"(?:{_BLANKS}(?:{_BEGUN})|[ \\t]{{1,4}})\\Z")
_LONGEST = 32
_STARTS = re.compile(r"[#\[【(\n]")
#: What a piece may hold that changes it or what follows: markers, failures, line ends; in style none, blanks at its end too.
_SPECIAL = {False: re.compile(r"[#\[【(\n*]"), True: re.compile(r"[#\[【(\n*]|[ \t]\Z")}
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_FENCES, _SHORTEST_FENCE = "`~", 3
# A sentence ends at . ! ? … followed by white space, at a full-width stop, or at the end of a line.
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*[ \t]+|[。！？][”’」』]?|\n\s*")
_STOPS, _MOST_STOPS = ".!?…。！？\"'”’」』", 16
_NO_BLANK = re.compile(r"\S")


def check_style(style: str) -> None:
    """Raise unless `style` is a citation style.

    Raises:
        InvalidArgumentError: It is not.
    """
    if style not in get_args(CitationStyle):
        raise InvalidArgumentError("citation_style", f"must be 'bracket', 'raw' or 'none', not {style!r}")


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker found: the number it holds and where it is in the rewritten text (empty where the style removed it)."""

    key: int
    start: int
    end: int


@dataclass(slots=True)
class _LineStart:
    """What fences depend on in a line that comes in pieces: a run of one character behind blanks, and what follows it."""

    char: str = ""
    length: int = 0
    ended: bool = False
    bare: bool = True  # nothing but blanks behind the run

    def take(self, piece: str) -> None:
        """Accept more of the line."""
        behind = piece if self.char else piece.lstrip(" \t")
        self.char = self.char or behind[:1]
        if self.char and not self.ended:
            run = len(behind)
            behind = behind.lstrip(self.char)
            self.length += run - len(behind)
            self.ended = bool(behind)
        self.bare = self.bare and not behind.strip()

    @property
    def ordinary(self) -> bool:
        """Whether the line can be no fence."""
        return self.char not in _FENCES

    @property
    def fence(self) -> bool:
        """Whether the line, now whole, begins with a fence."""
        return bool(self.char) and not self.ordinary and self.length >= _SHORTEST_FENCE

    def closes(self, opening: _LineStart) -> bool:
        """Return whether this fence ends the code that the other began."""
        return self.char == opening.char and self.length >= opening.length and self.bare


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text in a citation style, and its markers in order."""

    text: str
    markers: tuple[Marker, ...]


class MarkerRewriter:
    """Rewrites the markers of a text that comes in pieces.

    A marker split over pieces is held back until it is whole; text that cannot be part of a marker is given at once.

    Args:
        style: How markers are shown.
        number_of: The number to show for the number a marker holds, None for a marker that has no source; default
            `key + 1`.
        waits: Whether it cannot be known yet if such a marker has a source. Then it is held back with all that follows,
            until `finish`.
    """

    def __init__(
        self,
        style: CitationStyle,
        number_of: Callable[[int], int | None] = lambda key: key + 1,
        waits: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._raw = style == "raw"
        self._full = _FULL_WITH_BLANKS if style == "none" else _FULL
        self._half = _HALF_WITH_BLANKS if style == "none" else _HALF
        self._bracket = style == "bracket"
        self._blanks = style == "none"
        self._number_of = number_of
        self._waits = waits
        self._waiting: list[str] = []
        self._pending = ""
        self._length = 0
        self._fence: _LineStart | None = None
        self._line: _LineStart | None = _LineStart()
        self.markers: list[Marker] = []

    def passes(self, piece: str) -> bool:
        """Return whether a piece goes through as it is, being in the middle of an ordinary line; then it counts as fed."""
        if self._pending or self._waiting or self._line is not None or self._fence or _SPECIAL[self._blanks].search(piece):
            return False
        self._length += len(piece)
        return True

    def feed(self, piece: str) -> str:
        """Accept a piece; return the rewritten text that can no longer change."""
        if self._waiting:
            self._waiting.append(piece)
            return ""
        text = self._pending + piece
        half = None if self._fence and "\n" not in text else self._half.search(text, max(0, len(text) - _LONGEST))
        keep = half.start() if half else len(text)
        self._pending = text[keep:]
        return self._rewrite(text[:keep])

    def finish(self) -> str:
        """Return what was held back."""
        text = self.finish_waiting()
        rest, self._pending = self._pending, ""
        return text + self._rewrite(rest)

    def finish_waiting(self) -> str:
        """Return what was held back from a marker on that may have had no source; it is known by now."""
        waiting, self._waiting = "".join(self._waiting), []
        if waiting:
            self._pending = ""
            self._waits = lambda _: False
        return self._rewrite(waiting)

    def _rewrite(self, text: str) -> str:
        if not self._fence and self._line is None and not _STARTS.search(text):
            self._length += len(text)
            return text
        out = []
        for line in _LINES.finditer(text):
            out.append(self._copy(line[0]) if self._fence else self._replace(line[0]))
            if self._waiting:
                self._follow(line[0].removesuffix(self._waiting[0]))
                self._waiting += (text[line.end() :], self._pending)
                break
            self._follow(line[0])
        return "".join(out)

    def _copy(self, text: str) -> str:
        self._length += len(text)
        return text

    def _replace(self, text: str) -> str:
        out = []
        index = 0
        for match in self._full.finditer(text):
            key = int(match[1] or match[2])
            number = self._number_of(key) if self._bracket else None
            if self._bracket and self._waits(key):
                out.append(self._copy(text[index : match.start()]))
                self._waiting = [text[match.start() :]]
                return "".join(out)
            if self._bracket and number is None:
                continue
            out.append(self._copy(text[index : match.start()]))
            shown = match[0] if self._raw else f"[{number}]" if self._bracket else ""
            start = self._length
            out.append(self._copy(shown))
            self.markers.append(Marker(key, start, self._length))
            index = match.end()
        out.append(self._copy(text[index:]))
        return "".join(out)

    def _follow(self, line: str) -> None:
        """Keep account of fenced code: a fence is a line that begins with ``` or ~~~."""
        if self._line is not None:
            self._line.take(line)
            if self._line.ordinary:
                self._line = None  # nothing to remember of it
        if not line.endswith("\n"):
            return
        whole, self._line = self._line, _LineStart()
        if whole is None or not whole.fence:
            return
        if self._fence is None:
            self._fence = whole
        elif whole.closes(self._fence):
            self._fence = None


def rewrite(text: str, style: CitationStyle, number_of: Callable[[int], int | None] = lambda key: key + 1) -> Rewritten:
    """Show the markers of a whole text in a style; see `MarkerRewriter`."""
    rewriter = MarkerRewriter(style, number_of)
    shown = rewriter.feed(text) + rewriter.finish()
    return Rewritten(shown, tuple(rewriter.markers))


def cite(
    rewritten: Rewritten, chunks: Sequence[Chunk], index_of: Callable[[int], int] = lambda key: key
) -> tuple[Citation, ...]:
    """Tie markers to the chunks they point to; markers that point to none are left out.

    Args:
        rewritten: A text and its markers.
        chunks: Chunks in the server's order.
        index_of: The position in `chunks` for the number a marker holds.
    """
    text, markers = rewritten.text, rewritten.markers
    if not markers:
        return ()
    ends = [0, *(end.end() for end in _SENTENCE_END.finditer(text))]
    sentences = [(end, _first(text, end)) for end in ends]
    citations = []
    run = claim = (0, 0)  # the run of markers side by side that this one continues or follows; the sentence it supports
    for marker in markers:
        if marker is markers[0] or text[run[1] : marker.start].strip():
            claim = _claim(text, marker.start, sentences, run)
            run = (marker.start, marker.end)
        else:
            run = (run[0], marker.end)
        index = index_of(marker.key)
        if 0 <= index < len(chunks):
            citations.append(
                Citation(
                    index=index,
                    number=index + 1,
                    start=marker.start,
                    end=marker.end,
                    claim_start=claim[0],
                    claim_end=claim[1],
                    chunk=chunks[index],
                )
            )
    return tuple(citations)


def _first(text: str, start: int) -> int:
    """Return the index of the first character that is not blank, or of the end."""
    match = _NO_BLANK.search(text, start)
    return match.start() if match else len(text)


def _claim(text: str, marker: int, sentences: list[tuple[int, int]], before: tuple[int, int]) -> tuple[int, int]:
    """Return the sentence in front of a marker.

    Args:
        text: The text.
        marker: Where the marker begins.
        sentences: Where each sentence begins, with the blanks in front of it and without.
        before: The run of markers before this one.
    """
    end = marker
    while end > 0 and text[end - 1].isspace():
        end -= 1
    inner = end
    while inner > max(0, end - _MOST_STOPS) and text[inner - 1] in _STOPS:
        inner -= 1
    begin, start = sentences[max(0, bisect_left(sentences, (max(inner, 1),)) - 1)]
    if begin <= before[0] <= start:
        start = _first(text, before[1])  # the sentence begins behind the markers of the one before
    return min(start, end), end


def strip_markers(text: str, spans: Iterable[tuple[int, int]] = ()) -> str:
    """Remove markers, for text that is sent back to a server as history.

    Args:
        text: Text of an assistant turn.
        spans: `(start, end)` of markers known from its citations, in code points; found in any style.
    """
    out = []
    index = 0
    for start, end in sorted(spans):
        if index <= start <= end <= len(text):
            out.append(text[index:start].rstrip(" \t") if end > start else text[index:start])
            index = end
    out.append(text[index:])
    return rewrite("".join(out), "none").text


#: Numbers in brackets that stand where citations do: behind a blank or a sign of punctuation, and in front of no link.
_NUMBERS = re.compile(r"(?<=[^\s\[])[ \t]{0,4}(?:\[\d{1,3}\][ \t]{0,2})*\[\d{1,3}\](?![\w(:\[])")
_NUMBER = re.compile(r"\d+")
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)


def strip_numbers(text: str, most: int, *, glued: bool = True) -> str:
    """Remove numbers that are citations of style `"bracket"` from a text of which no spans are known.

    What is no citation stays: code, links, numbers above `most`.

    Args:
        text: Text of an assistant turn.
        most: How many sources it can have had.
        glued: Whether a number right behind a Latin word is a citation, too, and not an index as in `list[1]`.
    """

    def without(run: re.Match[str]) -> str:
        before = text_part[run.start() - 1] if not run[0][0].isspace() else " "
        if not glued and before.isascii() and (before.isalnum() or before in "_)]"):
            return run[0]
        return "" if all(1 <= int(number) <= most for number in _NUMBER.findall(run[0])) else run[0]

    parts = []
    for index, text_part in enumerate(_CODE.split(text)):
        parts.append(text_part if index % 2 else _NUMBERS.sub(without, text_part))
    return "".join(parts)


__all__ = [
    "CitationStyle",
    "Marker",
    "MarkerRewriter",
    "Rewritten",
    "check_style",
    "cite",
    "rewrite",
    "strip_markers",
    "strip_numbers",
]
