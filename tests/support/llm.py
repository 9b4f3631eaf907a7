"""A language model over HTTP that says what a test wants, and remembers what it was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.support.exchange import Exchange


@dataclass
class ScriptedModel:
    """What the model says next.

    Attributes:
        pieces: The pieces of each answer.
        status: HTTP status; others than 200 refuse.
        finish_reason: Why it ended.
        asked: The bodies of the requests so far.
    """

    pieces: tuple[str, ...] = ("Fine.",)
    status: int = 200
    finish_reason: str = "stop"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def serve(self) -> WireServer:
        """Return a server that speaks for the model; its `base_url` is an emulator's `llm_base_url`."""
        return WireServer(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        self.asked.append(exchange.json)
        if self.status != 200:
            exchange.reply(self.status, json={"error": {"message": "no", "code": self.status}})
            return
        if not exchange.json["stream"]:
            message = {"role": "assistant", "content": "".join(self.pieces)}
            exchange.reply(json={"choices": [{"message": message, "finish_reason": self.finish_reason}]})
            return
        events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in self.pieces]
        events.append(json.dumps({"choices": [{"delta": {}, "finish_reason": self.finish_reason}]}))
        body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
        exchange.reply(headers=[("content-type", "text/event-stream")], body=body.encode())
