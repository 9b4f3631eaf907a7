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
        asked: The bodies of the requests so far.
    """

    pieces: tuple[str, ...] = ("Fine.",)
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    def serve(self) -> WireServer:
        """Return a server that speaks for the model; its `base_url` is an emulator's `llm_base_url`."""
        return WireServer(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        self.asked.append(exchange.json)
        if self.status != 200:
            exchange.reply(self.status, json={"error": {"message": "no", "code": self.status}})
            return
        events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in self.pieces]
        body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
        exchange.reply(headers=[("content-type", "text/event-stream")], body=body.encode())
