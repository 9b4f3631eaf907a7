"""The application of the emulator: its routes, and in front of them the middleware that records requests and applies faults."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response

from ragflow_integrations.emulator.eras import UnknownPath
from ragflow_integrations.emulator.faults import FAULT_HEADER, FaultPlan, proxy_page
from ragflow_integrations.emulator.responses import Json, exception_reply
from ragflow_integrations.emulator.routes import routes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ragflow_integrations.emulator.calls import Backend
    from ragflow_integrations.emulator.server import Emulator


NOTICE: Final = "ragflow-integrations emulator, not RAGFlow"
_NOT_FOUND: Final = 404


@dataclass(frozen=True)
class RequestRecord:
    """A request that the emulator answered."""

    method: str
    path: str
    status: int


class _Middleware:
    """Middleware in front of the routes: records requests, applies faults, and marks every reply."""

    def __init__(self, app: ASGIApp, emulator: Emulator, backend: Backend) -> None:
        self.app = app
        self.emulator = emulator
        self.backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        header = dict(scope["headers"]).get(FAULT_HEADER.encode())
        streaming = False

        async def send_marked(message: Message) -> None:
            nonlocal streaming
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"x-emulator", NOTICE.encode())]
                if self.backend.era.closes_connections:
                    headers.append((b"connection", b"close"))
                record = RequestRecord(scope["method"], scope["path"], message["status"])
                self.emulator.requests.append(record)
                streaming = any(value.startswith(b"text/event-stream") for _, value in headers)
                self.emulator.open_streams += streaming
                message = {**message, "headers": headers}
            await send(message)

        try:
            plan = self.emulator.fault_injector.plan_for(scope["path"], header.decode("latin-1") if header else None)
        except ValueError as error:
            await Json({"code": 400, "message": str(error)}, 400)(scope, receive, send_marked)
            return
        scope["emulator.fault"] = plan
        try:
            if plan.status is not None:
                headers = {} if plan.retry_after is None else {"retry-after": str(plan.retry_after)}
                await HTMLResponse(proxy_page(plan.status), plan.status, headers)(scope, receive, send_marked)
            elif plan.cut_after is not None or plan.stall_after is not None:
                await self.app(scope, receive, _FaultyResponse(send_marked, plan).send)
            else:
                await self.app(scope, receive, send_marked)
        finally:
            self.emulator.open_streams -= streaming


class _FaultyResponse:
    """Delays or cuts a reply that is not a stream. `EventStream` applies faults of streams itself."""

    def __init__(self, send: Send, plan: FaultPlan) -> None:
        self._send = send
        self._plan = plan
        self._streaming = False

    async def send(self, message: Message) -> None:
        """Pass a message on, late or cut."""
        if message["type"] == "http.response.start":
            self._streaming = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            if not self._streaming and self._plan.stall_after is not None:
                await asyncio.sleep(self._plan.stall_seconds)
        elif not self._streaming and self._plan.cut_after is not None:
            body: bytes = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await self._send(message)


def application(emulator: Emulator, backend: Backend) -> ASGIApp:
    """Return the application: the routes, behind the middleware."""

    async def unknown_path(request: Request, _: Exception) -> Response:
        path = request.url.path
        style = backend.era.unknown_path
        if style is UnknownPath.ENVELOPE:
            return exception_reply("<NotFound '404: Not Found'>")
        if style is UnknownPath.ERROR_ONLY:
            text = f"The requested URL {path} was not found"
            return Json({"error": "Not Found", "message": text}, _NOT_FOUND)
        body = {"code": _NOT_FOUND, "data": None, "error": "Not Found", "message": f"Not Found: {path}"}
        return Json(body, _NOT_FOUND)

    async def wrong_method(_: Request, __: Exception) -> Response:
        return exception_reply("<MethodNotAllowed '405: Method Not Allowed'>")

    async def exception(_: Request, error: Exception) -> Response:
        return exception_reply(error)

    handlers = {404: unknown_path, 405: wrong_method, Exception: exception}
    return _Middleware(Starlette(routes=routes(backend), exception_handlers=handlers), emulator, backend)
