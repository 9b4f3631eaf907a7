"""Scripts of a wire server that several tests use."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from tests.core.driver import CHAT, SESSION
from tests.support.sse import native_delta, openai_chunk, terminator
from tests.support.wire import ClientGone, replay_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.wire import Exchange, Script

QUESTION: dict[str, Any] = {"question": "Why?", "chat_id": CHAT, "session_id": SESSION}
HISTORY: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}], "chat_id": CHAT}


def answered(text: str = "Because.") -> Script:
    """A whole answer, streamed or not as the question asks, on either route."""

    def script(exchange: Exchange) -> None:
        openai = "chats_openai" in exchange.path
        if not exchange.json.get("stream"):
            message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            data = {"choices": [message]} if openai else {"code": 0, "data": {"answer": text, "id": "m", "session_id": SESSION}}
            exchange.reply(json=data)
            return
        exchange.start_stream()
        exchange.send(openai_chunk(text) if openai else native_delta(text))
        exchange.send(b"data:[DONE]\n\n" if openai else terminator())
        exchange.end()

    return script


def in_turn(*scripts: Script) -> Script:
    """One script after the other, one for each request."""
    left: queue.SimpleQueue[Script] = queue.SimpleQueue()
    for script in scripts:
        left.put(script)

    def each(exchange: Exchange) -> None:
        left.get_nowait()(exchange)

    return each


class Held:
    """Answers begun and not ended: each sends one event, then waits to see what the client does."""

    def __init__(self, first: bytes | None = native_delta("one "), timeout: float = 5.0) -> None:
        self.first = first
        self.timeout = timeout
        self.begun = threading.Semaphore(0)
        self.closed: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def __call__(self, exchange: Exchange) -> None:
        try:
            if self.first is not None:
                exchange.start_stream()
                exchange.send(self.first)
            self.begun.release()
            self.closed.put(exchange.wait_closed(self.timeout))
        except ClientGone:  # before the event was sent
            self.closed.put(True)
        exchange.close()

    def was_closed(self) -> bool:
        """Whether the client closed its connection, with nothing more being sent to it."""
        return self.closed.get(timeout=self.timeout + 2)


def status(code: int, body: bytes = b"", *headers: tuple[str, str]) -> Script:
    """An HTTP error of a proxy."""

    def script(exchange: Exchange) -> None:
        exchange.reply(code, headers, body or f"<html><head><title>{code}</title></head></html>".encode())

    return script


def envelope(code: int, message: str, **more: Any) -> Script:
    """A refusal of RAGFlow's."""

    def script(exchange: Exchange) -> None:
        exchange.reply(json={"code": code, "message": message} | more)

    return script


def said(data: object) -> Script:
    """A success of RAGFlow's."""

    def script(exchange: Exchange) -> None:
        exchange.reply(json={"code": 0, "data": data})

    return script


def raw(*pieces: bytes, end: Callable[[Exchange], None] | None = None) -> Script:
    """A stream of these bytes, each in one write."""

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        for piece in pieces:
            exchange.send(piece)
        (end or type(exchange).end)(exchange)

    return script


def chat_server(completion: Script) -> Script:
    """A server with one chat and one session, whose completions are those of the script."""
    session = {"id": SESSION, "chat_id": CHAT, "name": "s", "messages": []}
    routes = {
        ("POST", "/api/v1/chats/\\w+/sessions"): said(session),
        ("GET", "/api/v1/chats/\\w+/sessions"): said([session]),
        ("POST", ".*/completions"): completion,
    }
    return replay_map(routes)
