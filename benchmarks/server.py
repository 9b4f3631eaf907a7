"""A server that costs as little as can be: every byte it sends is made beforehand. `python -m benchmarks.server`.

One HTTP chunk holds one event, as real servers send them. It counts the connections made to it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import cache

from benchmarks.answers import Answer, Route, retrieval

_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"
_SESSION = b'{"code": 0, "data": {"id": "session", "chat_id": "chat", "name": "benchmark", "messages": []}}'
_CLOSING = 3  # the final event, the terminator and the end of the body follow the last text at once
_PHASES = 10  # paced streams are spread over the interval, as independent ones are


@cache
def _pieces(name: str, route: Route) -> list[bytes]:
    events = Answer.of(name).events(route)
    return [_STREAM, *(b"%x\r\n%s\r\n" % (len(event), event) for event in events), _END]


@cache
def _burst(name: str, route: Route) -> bytes:
    return b"".join(_pieces(name, route))


def _reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Pacer:
    """Sends one event per interval to each stream of a group."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval: float) -> None:
        self._loop = loop
        self._interval = interval
        self._streams: dict[asyncio.Transport, list[bytes]] = {}
        self._due = 0.0

    def add(self, transport: asyncio.Transport, pieces: list[bytes]) -> None:
        """Begin a stream: the head now, an event at each tick."""
        transport.write(pieces[0])
        if not self._streams:
            self._due = self._loop.time() + self._interval
            self._loop.call_at(self._due, self._tick)
        self._streams[transport] = pieces[:0:-1]  # reversed: popping the end is cheap

    def _tick(self) -> None:
        for transport, left in list(self._streams.items()):
            transport.write(left.pop())
            if len(left) <= _CLOSING:
                transport.write(b"".join(reversed(left)))
                del self._streams[transport]
        if self._streams:
            self._due += self._interval
            self._loop.call_at(self._due, self._tick)


class Server:
    """The server's state: connections made, streams under way."""

    def __init__(self) -> None:
        self.connections = 0
        self._loop = asyncio.get_running_loop()
        self._retrieval = _reply(retrieval())
        self._pacers: dict[float, list[Pacer]] = {}
        self._next = 0

    def answer(self, path: str, transport: asyncio.Transport) -> None:
        """Answer a request."""
        if path.endswith("/completions"):
            route: Route = "openai" if "chats_openai" in path else "native"
            name = path.split("/")[4]
            interval = Answer.of(name).interval
            if interval:
                self._pacer(interval).add(transport, _pieces(name, route))
            else:
                transport.write(_burst(name, route))
        elif path.endswith("/retrieval"):
            transport.write(self._retrieval)
        elif path == "/connections":
            transport.write(_reply(json.dumps(self.connections).encode()))
        else:
            transport.write(_reply(_SESSION))

    def _pacer(self, interval: float) -> Pacer:
        group = self._pacers.setdefault(interval, [Pacer(self._loop, interval) for _ in range(_PHASES)])
        self._next += 1
        return group[self._next % _PHASES]


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._server.connections += 1
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while self._transport is not None:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not found or len(rest) < length:
                return
            self._received = rest[length:]
            self._server.answer(head.split(b" ", 2)[1].decode(), self._transport)


async def serve() -> None:
    """Serve until the process is ended; write the port first."""
    server = Server()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)  # the parent closes it, or has died


if __name__ == "__main__":
    asyncio.run(serve())
