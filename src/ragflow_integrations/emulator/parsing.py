"""From the bytes of a file to chunks: text, Markdown and HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from ragflow_integrations.emulator import files

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES: Final = (".md", ".markdown", ".txt", ".html", ".htm")
"""What the emulator can parse."""

_TARGET_WORDS: Final = 150
_MIN_WORDS: Final = 75
_CHARACTERS_PER_WORD: Final = 6
_COORDINATES: Final = 5
_PIECE_END: Final = re.compile(r"((?<=[.!?])[ \t]+(?=\S)|\n)")
_HEADING: Final = re.compile(r"#{1,6}\s")
_BLANK: Final = re.compile(r"\n[ \t]*\n")
_BLOCKS: Final = frozenset(
    (
        *("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "header", "hr", "li", "main"),
        *("nav", "ol", "p", "pre", "section", "table", "td", "th", "title", "tr", "ul"),
        *("h1", "h2", "h3", "h4", "h5", "h6"),
    )
)
_HIDDEN: Final = frozenset(["head", "script", "style", "template"])


@dataclass(frozen=True)
class Passage:
    """A chunk to be: its text, and its number in place of a position: text has no pages ([06_retrieval])."""

    text: str
    position: list[int]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class's signature
        self._hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.parts.append("\n\n" + "#" * int(tag[1]) + " " if re.fullmatch(r"h[1-6]", tag) else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        if tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def plain_text(name: str, content: bytes) -> str:
    """Decode a file.

    Args:
        name: The file's name, which says what it is.
        content: Its bytes.

    Returns:
        Its text; HTML becomes text with Markdown headings.

    Raises:
        UnreadableFileError: It is a broken PDF.
    """
    if files.extension(name) == "pdf":
        return files.pdf_text(content)
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    if not name.lower().endswith((".html", ".htm")):
        return text
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)


def _words(text: str) -> int:
    return max(len(text.split()), len(text) // _CHARACTERS_PER_WORD)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs; one that is too long is split between its sentences and lines."""
    for raw in _BLANK.split(text):
        part = gap = ""
        pieces = _PIECE_END.split(raw.strip())
        for piece, following in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
            if part and _words(part) + _words(piece) > _TARGET_WORDS:
                yield part
                part = gap = ""
            part += gap + piece
            gap = following
        if part:
            yield part


def split(text: str) -> list[Passage]:
    """Split a text into chunks of about 150 words, at headings and between paragraphs.

    Args:
        text: Plain text or Markdown.

    Returns:
        The passages in order; none for an empty text.
    """
    passages: list[Passage] = []
    pending: list[str] = []
    pending_words = 0
    for paragraph in [*_paragraphs(text), ""]:
        words = _words(paragraph)
        full = pending_words + words > _TARGET_WORDS or (_HEADING.match(paragraph) and pending_words >= _MIN_WORDS)
        if pending and (not paragraph or (full and not all(_HEADING.match(part) for part in pending))):
            number = len(passages) + 1
            passages.append(Passage("\n\n".join(pending), [number] * _COORDINATES))
            pending, pending_words = [], 0
        pending.append(paragraph)
        pending_words += words
    return passages
