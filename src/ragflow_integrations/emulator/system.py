"""Routes that say what the server is and how it fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from ragflow_integrations.emulator.calls import authorize, unauthorized
from ragflow_integrations.emulator.eras import Access
from ragflow_integrations.emulator.responses import Json, Refused, ok

if TYPE_CHECKING:
    from ragflow_integrations.emulator.calls import Call


async def ping(call: Call) -> Response:  # noqa: ARG001 - every handler takes its call
    """Answer ``GET …/system/ping``: text, not JSON."""
    return PlainTextResponse("pong", media_type="text/html")


async def version(call: Call) -> Response:
    """Answer ``GET /api/v1/system/version``: needs no key, so it proves nothing about one."""
    return ok(f"v{call.era.version}", "success")


async def version_v1(call: Call) -> Response:
    """Answer ``GET /v1/system/version``: for logged-in users, and on 0.24 for API keys too."""
    if not call.era.system_v1_key:
        raise Refused(unauthorized(200))
    try:
        authorize(call, Access.KEY)
    except Refused:
        raise Refused(unauthorized(401)) from None
    return await version(call)


async def health(call: Call) -> Response:  # noqa: ARG001 - every handler takes its call
    """Answer ``GET …/system/healthz``."""
    return Json({"db": "ok", "doc_engine": "ok", "redis": "ok", "status": "ok", "storage": "ok"})


async def status(call: Call) -> Response:  # noqa: ARG001 - every handler takes its call
    """Answer ``GET /api/v1/system/status``."""
    parts = {
        "database": {"database": "sqlite", "elapsed": "0.1", "status": "green"},
        "doc_engine": {"elapsed": "0.1", "uri": "emulated", "version_comment": "not RAGFlow"},
        "redis": {"elapsed": "0.1", "status": "green"},
        "storage": {"elapsed": "0.1", "status": "green", "storage": "sqlite"},
        "task_executor_heartbeats": {},
    }
    return ok(parts, "success")


async def language(call: Call) -> Response:  # noqa: ARG001 - every handler takes its call
    """Answer ``GET /api/v1/language``: which implementation of the server this is."""
    return ok({"language": "python"}, "success")
