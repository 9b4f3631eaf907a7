"""Which files the server takes, and how a file of each type is read."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragflow_integrations.emulator.eras import Era

_NAME_BYTES: Final = 255
_OLD_NAME_CHARACTERS: Final = 128
_TYPES: Final = frozenset(
    (
        *("pdf", "eml", "doc", "docx", "ppt", "pptx", "yml", "xml", "htm", "html", "json", "csv", "txt", "ini", "xls", "xlsx"),
        *("wps", "rtf", "hlp", "pages", "numbers", "key", "md", "py", "js", "java", "c", "cpp", "h", "php", "go", "ts", "sh"),
        *("cs", "kt", "sql", "wav", "flac", "ape", "alac", "wavpack", "wv", "mp3", "aac", "ogg", "vorbis", "opus"),
        *("jpg", "jpeg", "png", "tif", "gif", "pcx", "tga", "exif", "fpx", "svg", "psd", "cdr", "pcd", "dxf", "ufo", "eps"),
        *("ai", "raw", "webp", "avif", "apng", "icon", "ico", "mpg", "mpeg", "avi", "rm", "rmvb", "mov", "wmv", "asf", "dat"),
        *("asx", "wvx", "mpe", "mpa", "mp4"),
    )
)
"""What the oldest release takes (source: ``filename_type`` in ``api/utils/file_utils.py``)."""
_BROKEN_PDF: Final = "No /Root object! - Is this really a PDF?"
_STREAM: Final = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_SHOWN_TEXT: Final = re.compile(rb"\(((?:[^()\\]|\\.)*)\)\s*(?:Tj|'|\")|\[((?:[^\[\]\\]|\\.)*)\]\s*TJ|(T\*|Td\b|TD\b|ET\b)")
_TEXT_OF_ARRAY: Final = re.compile(rb"\(((?:[^()\\]|\\.)*)\)")
_ESCAPE: Final = re.compile(rb"\\([()\\])")


class UnreadableFileError(Exception):
    """A file cannot be parsed."""


def extension(name: str) -> str:
    """Return the extension of a file name in lower case, without its dot."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def too_long(era: Era, names: list[str]) -> bool:
    """Return whether a name is so long that a whole upload is refused for it."""
    return era.long_names_refuse_uploads and any(len(name.encode()) > _NAME_BYTES for name in names)


def refusal(era: Era, name: str, content: bytes) -> str:
    """Return why a file is not stored, in the server's words; empty if it is."""
    if not era.long_names_refuse_uploads and len(name) >= _OLD_NAME_CHARACTERS:
        return "Exceed the maximum length of file name!"
    if extension(name) not in _TYPES and extension(name) not in era.further_file_types:
        return "This type of file has not been supported yet!"
    if extension(name) == "pdf" and not era.stores_broken_pdfs and not _is_pdf(content):
        return _BROKEN_PDF
    return ""


def _is_pdf(content: bytes) -> bool:
    return content.lstrip()[:5] == b"%PDF-" and b"/Root" in content


def pdf_text(content: bytes) -> str:
    """Return the text of a PDF: what its content streams show in plain strings.

    Raises:
        UnreadableFileError: It is no PDF.
    """
    if not _is_pdf(content):
        raise UnreadableFileError(_BROKEN_PDF)
    return "\n\n".join("".join(_shown(stream)).strip() for stream in _streams(content)).strip()


def _streams(content: bytes) -> Iterator[bytes]:
    for match in _STREAM.finditer(content):
        try:
            yield zlib.decompress(match[1])
        except zlib.error:
            yield match[1]


def _shown(stream: bytes) -> Iterator[str]:
    for match in _SHOWN_TEXT.finditer(stream):
        if match[3]:
            yield "\n"
        else:
            strings = [match[1]] if match[1] is not None else _TEXT_OF_ARRAY.findall(match[2])
            yield b"".join(_ESCAPE.sub(rb"\1", text) for text in strings).decode("latin-1")
