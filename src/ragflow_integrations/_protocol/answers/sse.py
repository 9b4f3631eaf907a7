"""Bytes of an event stream → the data of its events.

sseclient-py parses; it is handed whole frames only, because it copies what it holds for each slice it is fed and so takes
quadratic time on a large event that comes in small pieces. For the same reason an event may have many bytes or many lines,
not both; RAGFlow's have one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sseclient import SSEClient

from ragflow_integrations.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Largest event accepted, in bytes. A reference of 500 chunks is about 1 MB.
MAX_FRAME = 64 * 1024 * 1024

# Only \n and \r\n end a line: U+2028 and U+0085 occur inside answers.
_BLANK_LINES = (b"\n\n", b"\r\n\r\n")
_FRAME_END, _DATA = b"\n\n", "data:"
_OVERLAP = 3
#: Most lines of an event.
_MAX_LINES = 256


class EventStream:
    """Collects bytes and gives the data of each event as soon as its blank line has come."""

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self._held = bytearray()
        self._max_frame = max_frame
        self._block: list[bytes] = []
        # One for all blocks, since making one costs as much as parsing an event; it iterates over its source anew for each.
        self._client = SSEClient(cast("Iterator[bytes]", self._block))

    def feed(self, data: bytes) -> Iterator[str]:
        """Accept bytes; return the data of the events they complete.

        Raises:
            ProtocolError: An event is larger than the limit, or not UTF-8.
        """
        if data.endswith(_BLANK_LINES):
            return self._events(self._take(data, b"") if self._held else data)
        end = self._last_blank_line(data)
        if end == 0:
            self._hold(data)
            return iter(())
        return self._events(self._take(data[:end], data[end:]))

    def _last_blank_line(self, data: bytes) -> int:
        """Return the index in the new bytes at which the last blank line of held and new bytes ends, or 0.

        Looked for from line end to line end: bytes that end no event, most of those of a large one, are passed over at the
        speed of memory, which a search for two characters is not.
        """
        index = data.rfind(b"\n")
        while index >= 0:
            before = (
                data[index - _OVERLAP : index] if index >= _OVERLAP else (self._held[-_OVERLAP:] + data[:index])[-_OVERLAP:]
            )
            if before.endswith((b"\n", b"\r\n\r")):
                return index + 1
            index = data.rfind(b"\n", 0, index)
        return 0

    @property
    def rest(self) -> bytes:
        """The bytes behind the last blank line, without blanks in front."""
        return bytes(self._held).lstrip()

    def finish(self) -> Iterator[str]:
        """Return the last event of a stream that ended without its blank line."""
        return self._events(self._take(b"", b""))

    def _take(self, last: bytes, rest: bytes) -> bytes:
        block = b"".join((self._held, last))
        self._held.clear()
        if rest:
            self._hold(rest)
        return block

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > self._max_frame:
            raise ProtocolError(f"The server sent an event of more than {self._max_frame} bytes without an end.")

    def _events(self, block: bytes) -> Iterator[str]:
        try:
            for frame in _frames(block.replace(b"\r\n", b"\n") if b"\r" in block else block):
                text = frame.decode()  # looked at as text: searching it for a character is far quicker
                if text.startswith(_DATA) and "\n" not in text and "\r" not in text:
                    yield text[5:].removeprefix(" ")  # all that RAGFlow sends, at a fifth of the cost
                elif frame.count(b"\n") + frame.count(b"\r") >= _MAX_LINES:
                    raise ProtocolError(f"The server sent an event of more than {_MAX_LINES} lines.")
                elif frame:
                    self._block[:] = (frame + _FRAME_END,)
                    for event in self._client.events():
                        yield event.data
        except UnicodeDecodeError as error:
            problem = f"The server sent an event that is not UTF-8: {error.reason}."
            raise ProtocolError(problem) from None


def _frames(block: bytes) -> list[bytes]:
    """Split at blank lines, looking for one character where that does: a search for two, or a split, is many times slower."""
    if block.find(b"\n") == len(block) - 2 and block.endswith(_FRAME_END):
        return [block[:-2]]  # one frame of one line
    lines = block.split(b"\n")
    return block.split(_FRAME_END) if any(lines[1::2]) else lines[::2]
