"""One HTTP/1.1 exchange on the server's side of a socket, written byte by byte."""

from __future__ import annotations

import contextlib
import json as jsonlib
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Framing = Literal["chunked", "close", "length"]

# RAGFlow sends the header of its streams twice; some clients join the two values.
STREAM_HEADERS = (("content-type", "text/event-stream; charset=utf-8"),) * 2
_UNSET: Any = object()


class ClientGone(Exception):  # noqa: N818 - an event that scripts wait for, not a fault
    """The peer closed the connection."""


@dataclass(frozen=True)
class Request:
    """A request as it came; header names are lower case, repeated headers are joined by `, `."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int  # the connection it came on, counted from 1

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.body)


@dataclass(eq=False)
class Connection:
    """A socket and the bytes read from it ahead of need."""

    sock: socket.socket
    number: int
    busy: bool = False  # a script is running
    doomed: bool = False  # the server gave up waiting for the script
    buffer: bytes = b""

    def fill(self) -> bool:
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            if not self.fill():
                raise ClientGone
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self.fill():
                raise ClientGone
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def request(self) -> Request:
        method, path, _ = self.line().decode("latin-1").split(" ")
        headers: dict[str, str] = {}
        while line := self.line().decode("latin-1"):
            key, _, value = line.partition(":")
            key, value = key.strip().lower(), value.strip()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(self.chunks())
        else:
            body = self.exactly(int(headers.get("content-length", "0")))
        return Request(method, path, headers, body, self.number)

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.line().split(b";")[0], 16):
            yield self.exactly(size)
            self.line()
        while self.line():
            pass


@dataclass
class Exchange:
    """One request and the means to answer it. A script must finish its answer, or close the connection."""

    request: Request
    _connection: Connection
    _state: Literal["waiting", "streaming", "raw", "done", "closed"] = field(default="waiting", init=False)
    _framing: Framing = field(default="length", init=False)
    _left: int = field(default=0, init=False)

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def headers(self) -> Mapping[str, str]:
        return self.request.headers

    @property
    def body(self) -> bytes:
        return self.request.body

    @property
    def json(self) -> Any:
        return self.request.json

    def reply(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        json: object = _UNSET,
        reason: str = "",
        surplus: bytes = b"",
    ) -> None:
        """Answer at once, with a Content-Length; the connection stays open. RAGFlow's reason phrases are empty.

        The surplus is sent with the answer and is no part of it.
        """
        headers = list(headers)
        if json is not _UNSET:
            body = jsonlib.dumps(json, ensure_ascii=False).encode()
            if "content-type" not in {key.lower() for key, _ in headers}:
                headers.append(("content-type", "application/json"))
        headers.append(("content-length", str(len(body))))
        self._write(_reply_head(status, reason, headers) + body + surplus)
        self._state = "done"

    def start_stream(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = STREAM_HEADERS,
        framing: Framing = "chunked",
        *,
        length: int | None = None,
        reason: str = "",
    ) -> None:
        """Send the head. `length` is the promised Content-Length; fewer bytes may follow, to show a cut reply."""
        assert (framing == "length") == (length is not None), "framing='length' and length= belong together"
        framed = {
            "chunked": ("transfer-encoding", "chunked"),
            "close": ("connection", "close"),
            "length": ("content-length", str(length)),
        }
        self._framing, self._left = framing, length or 0
        self._write(_reply_head(status, reason, [*headers, framed[framing]]))
        self._state = "streaming"

    def send(self, data: bytes) -> None:
        """Send a piece of the body in one write (one HTTP chunk). Raises ClientGone if the peer has closed."""
        assert self._state == "streaming", "start_stream() comes first"
        if not data:
            return  # an empty chunk would end the body
        self._left -= len(data)
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._framing == "chunked" else data)

    def end(self) -> None:
        """End the body the way its framing says."""
        if self._framing == "chunked":
            self._write(b"0\r\n\r\n")
            self._state = "done"
        elif self._framing == "length" and self._left == 0:
            self._state = "done"
        else:
            self.close()

    def raw(self, data: bytes) -> None:
        """Write anything; if nothing else answers, the connection is closed when the script returns."""
        self._write(data)
        if self._state == "waiting":
            self._state = "raw"

    def close(self) -> None:
        """Send FIN, whatever was promised; `wait_closed` can still be asked afterwards."""
        with contextlib.suppress(OSError):
            self._connection.sock.shutdown(socket.SHUT_WR)
        self._state = "closed"

    def abort(self) -> None:
        """Send RST."""
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.sock.close()
        self._state = "closed"

    def wait_closed(self, timeout: float = 5.0) -> bool:
        """Whether the client closed the connection within the time; returns as soon as it did."""
        connection, deadline = self._connection, time.monotonic() + timeout
        try:
            while (left := deadline - time.monotonic()) > 0:
                connection.sock.settimeout(left)
                if not connection.fill():
                    # A server that gives up closes its own side too: that is not the client's doing.
                    return not connection.doomed
        except TimeoutError:
            return False
        except ConnectionError:
            return not connection.doomed
        finally:
            with contextlib.suppress(OSError):
                connection.sock.settimeout(None)
        return False

    def _write(self, data: bytes) -> None:
        sock = self._connection.sock
        # The first write after the peer's FIN would still succeed, so look for the FIN.
        with contextlib.suppress(BlockingIOError):
            try:
                # Below TLS, which knows no such flags.
                gone = not socket.socket.recv(sock, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except ConnectionError as error:
                raise ClientGone from error
            if gone:
                raise ClientGone
        try:
            sock.sendall(data)
        except ConnectionError as error:
            raise ClientGone from error

    def finish(self) -> bool:
        """Whether the connection can carry another request."""
        assert self._state != "waiting", f"the script did not answer {self.method} {self.path}"
        assert self._state != "streaming", f"the script left its stream open: {self.method} {self.path}"
        return self._state == "done" and self.headers.get("connection", "").lower() != "close"


def _reply_head(status: int, reason: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{key}: {value}" for key, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")
