"""A fast scripted server in a process of its own; the first word of each question says what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from typing import Any

from tests.support.sse import DONE, chunk, native_delta, openai_chunk, reference, terminator

FAULTS = ("cut", "reset", "garbage", "html", "refused", "llm", "stall")
WORDS = 20
_FOUND = [chunk(f"Fact {number}.") for number in range(6)]
_REFUSED = json.dumps({"code": 102, "message": "You don't own the chat c"}).encode()
_REFUSALS = {
    "html": b"HTTP/1.1 502 \r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
    "refused": b"HTTP/1.1 200 \r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_REFUSED), _REFUSED),
}
_STREAM = b"HTTP/1.1 200 \r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await _turn(reader, writer):
            pass
    writer.close()


async def _request(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bool]:
    """Read a request: its body, and whether it is one of the OpenAI-compatible route."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("content-length:"))
    return json.loads(await reader.readexactly(length)), "chats_openai" in head


async def _turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer one request; gives whether the connection can carry another."""
    asked, openai = await _request(reader)
    question = asked["messages"][-1]["content"] if openai else asked["question"]
    fault = question.split(" ")[0]
    if fault in _REFUSALS:
        writer.write(_REFUSALS[fault])
        return True
    writer.write(_STREAM)
    say = openai_chunk if openai else native_delta
    for number in range(WORDS):
        _chunk(writer, say(f"word{number} [ID:{number % 6}] "))
        await writer.drain()
        await asyncio.sleep(0)
        if number == WORDS // 2 and fault in FAULTS:
            break
    if fault == "stall":
        await reader.read(1)  # until the client leaves
        return False
    if fault == "reset":
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False
    if fault == "cut":
        return False
    if fault == "garbage":
        _chunk(writer, b"data:{nonsense\n\n")
    if fault == "llm":
        _chunk(writer, say("\n**ERROR**: RATE_LIMIT_EXCEEDED - too many"))
    if openai:
        _chunk(writer, openai_chunk(None, finish="stop", reference=_FOUND))
    else:
        _chunk(writer, native_delta("", final=True, reference=reference(*_FOUND)))
    _chunk(writer, DONE if openai else terminator())
    writer.write(b"0\r\n\r\n")
    return True


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the soak ends
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
