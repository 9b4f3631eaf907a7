"""Bytes of an event stream → the data of its events.

sseclient-py parses; it is handed whole frames only, because it copies what it holds for each slice it is fed and so takes
quadratic time on a large event that comes in small pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sseclient import SSEClient

from ragflow_integrations.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Largest event accepted, in bytes. A reference of 500 chunks is about 1 MB.
MAX_FRAME = 64 * 1024 * 1024

# Only \n and \r\n end a line: U+2028 and U+0085 occur inside answers.
_BLANK_LINES = (b"\n\n", b"\r\n\r\n")
_OVERLAP = 3


class EventStream:
    """Collects bytes and gives the data of each event as soon as its blank line has come."""

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._max_frame = max_frame

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes; give the data of the events they complete.

        Raises:
            ProtocolError: An event is larger than the limit, or not UTF-8.
        """
        seam = self._parts[-1][-_OVERLAP:] if self._parts else b""
        probe = seam + data
        end = max(probe.rfind(blank) + len(blank) if blank in probe else 0 for blank in _BLANK_LINES) - len(seam)
        if end <= 0:
            self._hold(data)
            return iter(())
        block = b"".join((*self._parts, data[:end]))
        self._parts.clear()
        self._size = 0
        self._hold(data[end:])
        return _events(block)

    def finish(self) -> Iterator[str]:
        """Give the last event of a stream that ended without its blank line."""
        block = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return _events(block)

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        if len(data) < _OVERLAP and self._parts:
            self._parts[-1] += data  # keeps the last part long enough to see a split blank line
        else:
            self._parts.append(data)
        self._size += len(data)
        if self._size > self._max_frame:
            raise ProtocolError(f"The server sent an event of more than {self._max_frame} bytes without an end.")


def _events(block: bytes) -> Iterator[str]:
    try:
        for event in SSEClient(iter((block,))).events():
            yield event.data
    except UnicodeDecodeError as error:
        raise ProtocolError(f"The server sent an event that is not UTF-8: {error.reason} at byte {error.start}.") from None
