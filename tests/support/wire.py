"""A scripted HTTP/1.1 server on a raw socket: the test decides every byte and the moment it is sent.

```python
def script(exchange: Exchange) -> None:
    exchange.start_stream()
    exchange.send(b'data:{"code": 0')
    exchange.abort()


with WireServer(script) as server:
    ...  # talk to server.base_url
```
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from tests.support.exchange import STREAM_HEADERS, ClientGone, Connection, Exchange, Framing, Request
from tests.support.recordings import Recording

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "STREAM_HEADERS",
    "Answer",
    "ClientGone",
    "Exchange",
    "Framing",
    "Pieces",
    "Request",
    "Routes",
    "Script",
    "WireServer",
    "cut_up",
    "replay",
    "replay_map",
]

Pieces = Literal["whole", "bytes"] | int
_ASSISTANT = re.compile(r"GET \S*/api/v1/chats\?(?:.*&)?id=")
_FRAMING_HEADERS = {"content-length", "transfer-encoding", "connection"}

Script = Callable[[Exchange], None]
Answer = Recording | Script
Routes = Mapping[tuple[str, str], Answer]


@dataclass
class WireServer:
    """Runs the script for every request, each connection in a thread of its own.

    What a script raises fails the test when the context ends; only ClientGone is a normal end. Scripts still running
    then have `grace` seconds to finish. With `tls`, which may be replaced while the server runs, it speaks HTTPS; without
    `listening` it refuses connections until `listen` is called.

    Clients look up the settings of an assistant before its first whole answer. Such a request is refused here, and not
    noted, so that scripts need not care; with `knows_assistants` it is like any other.
    """

    script: Script
    grace: float = 5.0
    tls: ssl.SSLContext | None = None
    listening: bool = True
    knows_assistants: bool = False
    requests: list[Request] = field(default_factory=list, init=False)
    connections: int = field(default=0, init=False)
    errors: list[BaseException] = field(default_factory=list, init=False)
    base_url: str = field(default="", init=False)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._closing = False
        self._open: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.base_url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, name="wire-accept", daemon=True)
        if self.listening:
            self.listen()
        return self

    def listen(self) -> None:
        """Accept connections."""
        self.listening = True
        self._listener.listen(256)
        self._acceptor.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._closing = True
            for connection in self._open:
                if not connection.busy:
                    _shut(connection.sock)
        # Closing a listener does not wake the thread that waits on it; a connection does.
        if self.listening:
            with contextlib.suppress(OSError):
                socket.create_connection(self._listener.getsockname()).close()
            self._acceptor.join()
        self._listener.close()
        self._join(self.grace)
        with self._lock:
            if self._open:
                self.errors.append(AssertionError(f"a script was still running {self.grace} s after the test's end"))
            for connection in self._open:
                connection.doomed = True
                _shut(connection.sock)
        self._join(1.0)
        # The client's failure is mostly the consequence of the script's; outcomes such as a skip are left alone.
        if self.errors and (error is None or isinstance(error, Exception)):
            raise self.errors[0] if len(self.errors) == 1 else BaseExceptionGroup("scripts failed", self.errors)

    def _join(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with self._lock:
                if self._closing:
                    sock.close()
                    return
                self.connections += 1
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(sock, self.connections)
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), name=f"wire-{self.connections}", daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            if self.tls is not None:
                connection.sock = self.tls.wrap_socket(connection.sock, server_side=True)
            while self._turn(connection):
                pass
        except (ClientGone, ConnectionError, ssl.SSLError):
            pass
        except BaseException as error:  # noqa: BLE001 - pytest's own outcomes are no Exceptions, and all belong to the test
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.remove(connection)
                connection.sock.close()

    def _turn(self, connection: Connection) -> bool:
        request = connection.request()
        with self._lock:
            if self._closing:
                return False
            connection.busy = True
            settings = not self.knows_assistants and _ASSISTANT.match(f"{request.method} {request.path}")
            if not settings:
                self.requests.append(request)
        exchange = Exchange(request, connection)
        if settings:
            exchange.reply(json={"code": 102, "message": "The chat doesn't exist"})
        else:
            self.script(exchange)
        with self._lock:
            connection.busy = False
            return exchange.finish() and not self._closing


def replay(recording: Recording, pieces: Pieces = "whole", *, extra: Routes | None = None) -> Script:
    """Answer every request with the recorded reply, cut into pieces; `extra` are routes (see `replay_map`) of others.

    The pieces are the whole body, single bytes, or random sizes from a seed. Each is one write, in a stream one chunk.
    """

    def script(exchange: Exchange) -> None:
        _play(exchange, recording, pieces)

    return replay_map(extra, script, pieces) if extra else script


def replay_map(routes: Routes, default: Answer | None = None, pieces: Pieces = "whole") -> Script:
    """Answer by method and path: the pattern must match the whole path, without or with its query.

    A request without a route fails the test, unless there is a default.
    """

    def script(exchange: Exchange) -> None:
        paths = (exchange.path.partition("?")[0], exchange.path)
        fitting = (
            answer
            for (method, pattern), answer in routes.items()
            if method == exchange.method and any(re.fullmatch(pattern, path) for path in paths)
        )
        answer = next(fitting, default)
        assert answer is not None, f"no route for {exchange.method} {exchange.path}"
        if isinstance(answer, Recording):
            _play(exchange, answer, pieces)
        else:
            answer(exchange)

    return script


def cut_up(body: bytes, pieces: Pieces) -> list[bytes]:
    if pieces == "whole":
        return [body] if body else []
    if pieces == "bytes":
        return [body[at : at + 1] for at in range(len(body))]
    chance, parts = random.Random(pieces), []
    while body:
        size = chance.choice((1, 2, 3, 7, 40, 200, 1000))
        parts.append(body[:size])
        body = body[size:]
    return parts


def _play(exchange: Exchange, recording: Recording, pieces: Pieces) -> None:
    if not recording.status:  # the server never answered
        exchange.close()
        return
    headers = [(key, value) for key, value in recording.headers if key.lower() not in _FRAMING_HEADERS]
    exchange.start_stream(
        recording.status,
        headers,
        "chunked" if recording.is_stream else "length",
        length=None if recording.is_stream else len(recording.body),
        reason=recording.reason,
    )
    for piece in cut_up(recording.body, pieces):
        exchange.send(piece)
    if recording.cut:
        exchange.close()
    else:
        exchange.end()


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
