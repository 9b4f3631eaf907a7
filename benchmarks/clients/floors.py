"""What cannot be undercut: a socket and a JSON decoder; a framework that is given its pieces."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from benchmarks.answers import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.answers import Markers
    from benchmarks.clients import Ask

_BLOCK = 64 * 1024
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def _request(path: str) -> bytes:
    body = b'{"question": "How warm is the room?", "stream": true, "session_id": "session"}'
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class _Parser:
    """Reads a stream as one can who knows how this server frames it: an event is a line."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._tail = b""
        self._seen = ""
        self.done = False

    def feed(self, block: bytes) -> Iterator[str]:
        """Take bytes; give pieces of text."""
        self._tail = (self._tail + block)[-len(_LAST_CHUNK) :]
        self.done = self._tail == _LAST_CHUNK
        whole, newline, rest = block.rpartition(b"\n")
        if not newline:
            self._rest.append(block)
            return
        lines = b"".join((*self._rest, whole)).split(b"\n")
        self._rest = [rest]
        for line in lines:
            if line.startswith(b"data:"):
                data = from_json(line[5:])["data"]
                if data is not True:
                    yield self._new(data)

    def _new(self, data: dict[str, Any]) -> str:
        text: str = data["answer"]
        if "final" in data:
            return text
        new, self._seen = text[len(self._seen) :], text
        return new


def _found(reply: bytes) -> int | None:
    """Read the reply of a search, if it is whole."""
    head, _, body = reply.partition(b"\r\n\r\n")
    length = int(head.rpartition(b"content-length: ")[2] or -1)
    return len(from_json(body)["data"]["chunks"]) if len(body) == length else None


class RawSocket:
    """Sockets that are kept open."""

    markers: Markers = "raw"

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._address = (parts.hostname, parts.port or 80)
        self._idle: list[socket.socket] = []

    @contextlib.contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        try:
            connection = self._idle.pop()
        except IndexError:  # other threads have them all
            connection = socket.create_connection(self._address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection
        self._idle.append(connection)

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream an answer."""
        with self._connection() as connection:
            connection.sendall(_request(f"/api/v1/chats/{ask.chat}/completions"))
            parser = _Parser()
            while not parser.done:
                for piece in parser.feed(connection.recv(_BLOCK)):
                    if piece:
                        yield piece

    def retrieve(self) -> int:
        """Search."""
        with self._connection() as connection:
            connection.sendall(_request("/api/v1/retrieval"))
            reply = connection.recv(_BLOCK)
            while (found := _found(reply)) is None:
                reply += connection.recv(_BLOCK)
            return found


class RawAsync:
    """asyncio's streams, with a pool as simple as can be."""

    markers: Markers = "raw"

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._address = (parts.hostname, parts.port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        connection = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        yield connection
        self._idle.append(connection)

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream an answer."""
        async with self._connection() as (reader, writer):
            writer.write(_request(f"/api/v1/chats/{ask.chat}/completions"))
            parser = _Parser()
            while not parser.done:
                for piece in parser.feed(await reader.read(_BLOCK)):
                    if piece:
                        yield piece

    async def aretrieve(self) -> int:
        """Search."""
        async with self._connection() as (reader, writer):
            writer.write(_request("/api/v1/retrieval"))
            reply = await reader.read(_BLOCK)
            while (found := _found(reply)) is None:
                reply += await reader.read(_BLOCK)
            return found

    async def aclose(self) -> None:
        """Close connections."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


class JsonOnly:
    """The JSON of every event decoded, from memory."""

    markers: Markers = "raw"

    def __init__(self, base_url: str) -> None:
        del base_url
        self._bodies: dict[str, list[bytes]] = {}

    def prepare(self, chat: str) -> None:
        """Make the bytes, which is not measured."""
        self._bodies[chat] = Answer.of(chat).bodies()

    def stream(self, ask: Ask) -> Iterator[str]:
        """Decode; the text is given in one piece."""
        text = ""
        for body in self._bodies[ask.chat]:
            data = from_json(body)["data"]
            if data is not True:
                text = data["answer"]
        yield text

    def retrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError


class _Ready:
    """Pieces from memory."""

    markers: Markers = "raw"

    def __init__(self, base_url: str) -> None:
        del base_url
        self.pieces: dict[str, list[str]] = {}

    def prepare(self, chat: str) -> None:
        """Make the pieces, which is not measured."""
        self.pieces[chat] = Answer.of(chat).texts()

    def retrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aretrieve(self) -> int:
        """No contender in it."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Hold nothing."""


class LangChain(_Ready):
    """A `BaseChatModel` that yields chunks of pieces it has."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        models: Any = import_module("langchain_core.language_models.chat_models")
        messages: Any = import_module("langchain_core.messages")
        outputs: Any = import_module("langchain_core.outputs")
        pieces = self.pieces

        def chunk(piece: str) -> Any:
            return outputs.ChatGenerationChunk(message=messages.AIMessageChunk(content=piece))

        def generate(*_: Any, **__: Any) -> Any:
            raise NotImplementedError

        def stream(self: Any, *_: Any, **__: Any) -> Iterator[Any]:
            del self
            for piece in pieces[ready.chat]:
                yield chunk(piece)

        async def astream(self: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
            del self
            for piece in pieces[ready.chat]:
                yield chunk(piece)

        ready = self
        self.chat = ""
        members = {"_generate": generate, "_stream": stream, "_astream": astream, "_llm_type": property(lambda _: "ready")}
        self._model = type("Ready", (models.BaseChatModel,), members)()

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream."""
        self.chat = ask.chat
        for chunk in self._model.stream("?"):
            yield chunk.content

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream."""
        self.chat = ask.chat
        async for chunk in self._model.astream("?"):
            yield chunk.content


class LlamaIndex(_Ready):
    """A `StreamingAgentChatResponse` that pulls `ChatResponse`s made of pieces it has: no thread and no queue."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        types: Any = import_module("llama_index.core.base.llms.types")
        engines: Any = import_module("llama_index.core.chat_engine.types")
        self._response = engines.StreamingAgentChatResponse

        def response(piece: str) -> Any:
            message = types.ChatMessage(role=types.MessageRole.ASSISTANT, content=piece)
            return types.ChatResponse(message=message, delta=piece)

        self._chunk = response

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream."""
        source = (self._chunk(piece) for piece in self.pieces[ask.chat])
        yield from self._response(chat_stream=source, is_writing_to_memory=False).response_gen

    async def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Stream."""

        async def source() -> AsyncIterator[Any]:
            for piece in self.pieces[ask.chat]:
                yield self._chunk(piece)

        response = self._response(achat_stream=source(), is_writing_to_memory=False)
        async for piece in response.async_response_gen():
            yield piece
