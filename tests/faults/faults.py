"""The faults: what the server does instead of replying as it should."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import TYPE_CHECKING, TypeAlias

from tests.support.wire import STREAM_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.replies import Reply
    from tests.support.wire import Exchange

Fault: TypeAlias = "Callable[[Exchange, Reply], None]"

#: Seconds of silence that a client allows where silence is the fault; a drip is faster, its sum is longer.
_IMPATIENT, _PATIENT = 0.75, 10.0
_DRIPS, _DRIP = 6, 0.15
_MEBIBYTE = 1024 * 1024
#: More than any client may take in: a script that gets here has found no end to it.
_TOO_MUCH = 200
EMOJI = "🔋".encode()
PAGE = b"<!DOCTYPE html><html><head><title>nginx</title></head></html>"


def behave(exchange: Exchange, reply: Reply) -> None:
    if reply.streamed:
        _send(exchange, reply, *reply.frames, reply.terminator)
    else:
        exchange.reply(headers=reply.headers, body=reply.body)


def _send(exchange: Exchange, reply: Reply, *pieces: bytes, headers: Sequence[tuple[str, str]] | None = None) -> None:
    _begin(exchange, reply, *pieces, headers=headers)
    exchange.end()


def _begin(exchange: Exchange, reply: Reply, *pieces: bytes, headers: Sequence[tuple[str, str]] | None = None) -> None:
    exchange.start_stream(headers=reply.headers if headers is None else headers)
    for piece in pieces:
        exchange.send(piece)


# ------------------------------------------------------------------------------------------------------- connections that break


def reset_before_headers(exchange: Exchange, _: Reply) -> None:
    exchange.abort()


def reset_after_headers(exchange: Exchange, reply: Reply) -> None:
    _begin(exchange, reply)
    exchange.abort()


def stalled(pieces: Callable[[Reply], Sequence[bytes]]) -> Fault:
    def fault(exchange: Exchange, reply: Reply) -> None:
        _begin(exchange, reply, *pieces(reply))
        assert exchange.wait_closed(), "the client waits for ever"
        exchange.close()

    return fault


def slow_drip(exchange: Exchange, reply: Reply) -> None:
    body, step = reply.body, len(reply.body) // _DRIPS + 1
    _begin(exchange, reply)
    for at in range(0, len(body), step):
        exchange.send(body[at : at + step])
        time.sleep(_DRIP)
    exchange.end()


def cut(body: Callable[[Reply], bytes]) -> Fault:
    def fault(exchange: Exchange, reply: Reply) -> None:
        _begin(exchange, reply, body(reply))
        exchange.close()

    return fault


def in_a_frame(reply: Reply) -> bytes:
    return reply.frames[0] + reply.frames[1][: len(reply.frames[1]) // 2]


def in_a_character(reply: Reply) -> bytes:
    body = reply.body
    return body[: body.index(EMOJI, len(b"".join(reply.frames[:3]))) + 2]


def in_a_marker(reply: Reply) -> bytes:
    return b"".join(reply.frames[:2])


# ------------------------------------------------------------------------------------------------------ too little and too much


def missing_terminator(exchange: Exchange, reply: Reply) -> None:
    _send(exchange, reply, *reply.frames)


def terminator_twice(exchange: Exchange, reply: Reply) -> None:
    _send(exchange, reply, *reply.frames, reply.terminator, reply.terminator)


def data_after_the_terminator(exchange: Exchange, reply: Reply) -> None:
    """In a stream another event; behind an object another reply, which the next call must not take for its own."""
    if reply.streamed:
        _send(exchange, reply, *reply.frames, reply.terminator, reply.frames[0])
    else:
        exchange.reply(headers=reply.headers, body=reply.body, surplus=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


def garbage(exchange: Exchange, reply: Reply) -> None:
    _send(exchange, reply, reply.frames[0], b"data:{\xff\x00 is no JSON}\n\n", *reply.frames[1:], reply.terminator)


def huge_frame(exchange: Exchange, reply: Reply) -> None:
    _begin(exchange, reply, reply.frames[0], b'data:{"code": 0, "data": {"answer": "')
    for _ in range(_TOO_MUCH):
        exchange.send(b"x" * _MEBIBYTE)
    raise AssertionError("all of it was read")


def endless_stream(exchange: Exchange, reply: Reply) -> None:
    _begin(exchange, reply, reply.frames[0])
    piece = reply.frames[0] if reply.streamed else b"x" * _MEBIBYTE
    for _ in range(_TOO_MUCH * _MEBIBYTE // len(piece)):
        exchange.send(piece)
    raise AssertionError("all of it was read")


# -------------------------------------------------------------------------------------------------------- proxies and odd heads


def page(status: int, *headers: tuple[str, str]) -> Fault:
    def fault(exchange: Exchange, _: Reply) -> None:
        exchange.reply(status, [("content-type", "text/html"), *headers], PAGE)

    return fault


def typed(*types: str) -> Fault:
    def fault(exchange: Exchange, reply: Reply) -> None:
        headers = [("content-type", kind) for kind in types]
        _send(exchange, reply, *reply.frames, reply.terminator, headers=headers)

    return fault


def gzipped(exchange: Exchange, reply: Reply) -> None:
    headers = [*reply.headers, ("content-encoding", "gzip")]
    if not reply.streamed:
        exchange.reply(headers=headers, body=gzip.compress(reply.body))
        return
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS + 16)
    frames = [packer.compress(frame) + packer.flush(zlib.Z_SYNC_FLUSH) for frame in (*reply.frames, reply.terminator)]
    _send(exchange, reply, *frames, packer.flush(), headers=headers)


def redirect(exchange: Exchange, elsewhere: str) -> None:
    exchange.reply(307, [("location", elsewhere + exchange.path)])


#: Those that the server's script brings about; the other three take another server, see `matrix`.
SCRIPTED: dict[str, Fault] = {
    "reset before headers": reset_before_headers,
    "reset after headers": reset_after_headers,
    "stall before the body": stalled(lambda _: ()),
    "stall in the body": stalled(lambda reply: reply.frames[:1]),
    "stall after the body": stalled(lambda reply: [*reply.frames, reply.terminator]),
    "slow drip": slow_drip,
    "cut inside a frame": cut(in_a_frame),
    "cut inside a character": cut(in_a_character),
    "cut inside a marker": cut(in_a_marker),
    "missing terminator": missing_terminator,
    "terminator twice": terminator_twice,
    "data after the terminator": data_after_the_terminator,
    "garbage": garbage,
    "HTML 200": page(200),
    "HTML 502": page(502),
    "HTML 504": page(504),
    "429 with Retry-After": page(429, ("retry-after", "0.1")),
    "429 without Retry-After": page(429),
    "wrong Content-Type": typed("text/plain"),
    "two Content-Types": typed("text/html", STREAM_HEADERS[0][1]),
    "gzip": gzipped,
    "huge frame": huge_frame,
    "endless stream": endless_stream,
}
REFUSED, REDIRECT, TLS = "connect refused", "redirect to another host", "TLS failure"
FAULTS = (REFUSED, *SCRIPTED, REDIRECT, TLS)


def patience(fault: str) -> float:
    """Seconds of silence to allow: few only where they are waited for, since a busy machine is silent too."""
    return _IMPATIENT if fault.startswith(("stall", "slow")) else _PATIENT
