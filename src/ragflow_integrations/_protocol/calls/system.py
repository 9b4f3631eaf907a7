"""Calls on the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields, validation
from ragflow_integrations._protocol.compat import error_table, server_version
from ragflow_integrations._protocol.steps import Operation, Request
from ragflow_integrations.errors import (
    APIError,
)
from ragflow_integrations.models import Health, ServerInfo

if TYPE_CHECKING:
    from ragflow_integrations.models import JsonValue


def related_questions(question: str) -> Operation[list[str]]:
    """Ask the tenant's LLM for questions related to one; the oldest path exists in every release."""
    body: dict[str, JsonValue] = {"question": validation.text("question", question)}
    reply = yield Request("POST", "/sessions/related_questions", json=body, retry="expensive")
    return list(fields.strings(reply, "data"))


def server(profile: server_version.ServerProfile) -> Operation[ServerInfo]:
    """Find out what the server is."""
    known = yield from server_version.probe(profile)
    return known.info()


def health() -> Operation[Health]:
    """Ask the server how it is, by the path its release has; ≤ 0.21 have none, and answering is all they can say."""
    for url_path, root in (("/system/healthz", False), ("/v1/system/healthz", True)):
        try:
            parts = yield Request("GET", url_path, from_root=root, retry="idempotent", raw_reply=True)
        except error_table.EndpointNotFound:
            continue
        except APIError as error:  # a failing part is told with HTTP 500
            return Health(ok=False, parts={"error": error.message})
        return Health(ok=fields.text(parts, "status") in ("", "ok"), parts=parts)
    yield Request("GET", "/chats", params={"page": 1, "page_size": 1}, retry="idempotent")
    return Health(ok=True)
