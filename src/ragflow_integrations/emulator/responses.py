"""Replies: the JSON envelopes of the server, and its event streams."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response

from ragflow_integrations.emulator.faults import NO_FAULT, FaultPlan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

_ABSENT: Final = object()
_GARBAGE: Final = b"data:{\xff\xfe not json\n\n"
_EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"
TERMINATOR: Final = "data:[DONE]\n\n"


class Json(JSONResponse):
    """JSON as the server writes it: escaped to ASCII and without spaces."""

    def render(self, content: Any) -> bytes:
        """Serialise."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def envelope(code: int, *, data: Any = _ABSENT, message: str | None = None, status: int = 200, **more: Any) -> Json:
    """Return the envelope of every reply; ``data`` and ``message`` may each be absent, and differ by route and era."""
    body: dict[str, Any] = {"code": code}
    if data is not _ABSENT:
        body["data"] = data
    if message is not None:
        body["message"] = message
    return Json(body | more, status)


def ok(data: Any = _ABSENT, message: str | None = None, **more: Any) -> Json:
    """Return a reply with code 0."""
    return envelope(0, data=data, message=message, **more)


def exception_reply(error: Exception | str) -> Json:
    """Return a reply with code 100: an exception that the server did not catch, shown as its ``repr``."""
    return envelope(100, data=None, message=error if isinstance(error, str) else repr(error))


class Refused(Exception):  # noqa: N818 - a reply that is raised, not an error of the emulator
    """Ends a request with a reply.

    Attributes:
        reply: What is answered.
    """

    def __init__(self, reply: Response) -> None:
        super().__init__()
        self.reply = reply


class StreamBrokenError(Exception):
    """Ends a stream without the end of the chunked body, as an exception within the server does."""


def refuse(code: int, message: str, **more: Any) -> Refused:
    """Return a refusal, to be raised."""
    return Refused(envelope(code, message=message, **more))


def frame(event: Any, *, prefix: str = "data:") -> str:
    """Return one server-sent event. Only agents' OpenAI-compatible streams have a space behind the colon."""
    return f"{prefix}{json.dumps(event, ensure_ascii=False)}\n\n"


class EventStream(Response):
    """A stream of server-sent events.

    It ends early, without the end of the chunked body, when the client goes away, when the emulator stops, when it takes
    too long for the era, or when a fault says so; the generator is then closed, so that what it would do after its last
    event is not done.

    Args:
        frames: The events, as text.
        stopping: Set when the emulator stops.
        delay: Seconds to wait before each event but the first.
        plan: Faults to inject.
        on_event: Called for each event sent.
        server_error: Makes the frames of an event with code 500.
        unfinished: Break the connection when the frames are over.
        seconds: Break it after so long.
    """

    def __init__(
        self,
        frames: AsyncGenerator[str, None],
        *,
        stopping: asyncio.Event,
        delay: float = 0.0,
        plan: FaultPlan = NO_FAULT,
        on_event: Callable[[], None],
        server_error: Callable[[], str],
        unfinished: bool = False,
        seconds: float | None = None,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.stopping = stopping
        self.delay = delay
        self.plan = plan
        self.on_event = on_event
        self.server_error = server_error
        self.unfinished = unfinished
        self.seconds = seconds
        # Every release sends the content type twice, because it is set on a response that already has one.
        self.raw_headers = [
            (b"content-type", _EVENT_STREAM),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"content-type", _EVENT_STREAM),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the interface
        """Send the stream."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writing = asyncio.ensure_future(self._write(send))
        leaving = [asyncio.ensure_future(_until_gone(receive)), asyncio.ensure_future(self.stopping.wait())]
        try:
            await asyncio.wait([writing, *leaving], timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, *leaving):
                task.cancel()
            results = await asyncio.gather(writing, *leaving, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _write(self, send: Send) -> None:
        """Send the frames. Returning without a last, empty body makes the server break the connection."""
        plan = self.plan
        sent = 0
        async with aclosing(self.frames) as frames:
            while True:
                if sent == plan.stall_after:
                    await asyncio.sleep(plan.stall_seconds)
                if sent == plan.cut_after:
                    return
                if sent == plan.garbage_after:
                    await self._send(send, _GARBAGE)
                if sent == plan.error_after:
                    await self._send(send, self.server_error().encode())
                    break
                if self.delay and sent:
                    await asyncio.sleep(self.delay)
                try:
                    text = await anext(frames, None)
                except StreamBrokenError:
                    return
                if text is None:
                    break
                await self._send(send, text.encode())
                sent += 1
                self.on_event()
        if not self.unfinished:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, payload: bytes) -> None:
        size = self.plan.split or len(payload)
        for at in range(0, len(payload), size):
            await send({"type": "http.response.body", "body": payload[at : at + size], "more_body": True})
            # Lets a client that has gone be noticed, and makes each write a packet of its own.
            await asyncio.sleep(0)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
