"""A few lines of HTTP for the emulator's tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator


def events_in(text: str) -> list[Any]:
    """The events of a stream; a terminator that is no JSON stays text."""
    payloads = [frame.removeprefix("data:").strip() for frame in text.split("\n\n") if frame.strip()]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


class Api:
    """Speaks to an emulator with its own key."""

    def __init__(self, server: Emulator) -> None:
        self.server = server
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Bearer {server.api_key}"

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.http.request(method, f"{self.server.base_url}/api/v1{path}", timeout=10, **more)

    def get(self, path: str, **query: Any) -> Any:
        return self.send("GET", path, params=query).json()

    def post(self, path: str, **body: Any) -> Any:
        return self.send("POST", path, json=body).json()

    def events(self, path: str, **body: Any) -> list[Any]:
        reply = self.send("POST", path, json=body)
        assert reply.headers["content-type"].startswith("text/event-stream"), reply.text
        return events_in(reply.content.decode())

    def session(self, chat_id: str | None = None, name: str = "test") -> str:
        made = self.post(f"/chats/{chat_id or self.server.chat_id}/sessions", name=name)
        return str(made["data"]["id"])

    def ask(self, question: str, **options: Any) -> list[Any]:
        """The data of the events of one streamed turn of the built-in chat, without the terminator."""
        path = f"/chats/{self.server.chat_id}/completions"
        events = self.events(path, **({"question": question} | options))
        assert events[-1]["data"] is True
        return [event["data"] for event in events[:-1]]

    def direct_chat(self) -> str:
        """A chat without datasets, which echoes."""
        body = {"name": "direct", "dataset_ids": [], "prompt_config": {"empty_response": "", "prologue": "Hi!"}}
        return str(self.post("/chats", **body)["data"]["id"])
