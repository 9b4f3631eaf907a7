"""From the bytes of a file to chunks: text, Markdown and HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES: Final = (".md", ".markdown", ".txt", ".html", ".htm")
"""What the emulator can parse."""

_TARGET_WORDS: Final = 150
_LEAST_WORDS: Final = 75
_CHARACTERS_PER_WORD: Final = 6
_LINES_PER_PAGE: Final = 40
_LINE_HEIGHT: Final = 18
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])[ \t]+(?=\S)")
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
    """A chunk to be: its text, and where it stood as ``[page, x0, x1, top, bottom]``."""

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
    """
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    if not name.lower().endswith((".html", ".htm")):
        return text
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)


def _words(text: str) -> int:
    return max(len(text.split()), len(text) // _CHARACTERS_PER_WORD)


def _position(text: str, first_line: int) -> list[int]:
    page, line = divmod(first_line, _LINES_PER_PAGE)
    top = 60 + line * _LINE_HEIGHT
    return [page + 1, 70, 540, top, top + _LINE_HEIGHT * (text.count("\n") + 1)]


def _paragraphs(text: str) -> Iterator[tuple[str, int]]:
    """Paragraphs with the lines they begin on; one that alone is too long is split between its sentences."""
    start = line = 0
    for end in [*(match.start() for match in _BLANK.finditer(text)), len(text)]:
        raw = text[start:end]
        first_line = line + len(raw) - len(raw.lstrip("\n"))
        line += raw.count("\n")
        start = end
        part = ""
        for sentence in _SENTENCE_END.split(raw.strip()):
            if part and _words(part) + _words(sentence) > _TARGET_WORDS:
                yield part, first_line
                part = ""
            part = f"{part} {sentence}" if part else sentence
        if part:
            yield part, first_line


def split(text: str) -> list[Passage]:
    """Split a text into chunks of about 150 words, at headings and between paragraphs.

    Args:
        text: Plain text or Markdown.

    Returns:
        The passages in order; none for an empty text.
    """
    passages: list[Passage] = []
    held: list[str] = []
    held_line = held_words = 0
    for paragraph, line in [*_paragraphs(text), ("", 0)]:
        words = _words(paragraph)
        full = held_words + words > _TARGET_WORDS or (_HEADING.match(paragraph) and held_words >= _LEAST_WORDS)
        if held and (not paragraph or (full and not all(_HEADING.match(part) for part in held))):
            joined = "\n\n".join(held)
            passages.append(Passage(joined, _position(joined, held_line)))
            held, held_words = [], 0
        held_line = held_line if held else line
        held.append(paragraph)
        held_words += words
    return passages
