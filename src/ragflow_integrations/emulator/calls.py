"""One request to the emulator: who calls, what the body says, and the tools to answer it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ragflow_integrations.emulator.eras import Access, BadBody, PlainBody
from ragflow_integrations.emulator.faults import NO_FAULT, FaultPlan
from ragflow_integrations.emulator.model import Commands
from ragflow_integrations.emulator.responses import EventStream, Json, Refused, envelope, exception_reply, frame, refuse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.model import Model
    from ragflow_integrations.emulator.store import Store

_Item = TypeVar("_Item")


@dataclass(kw_only=True)
class Backend:
    """What all requests share.

    Attributes:
        era: The release that is emulated.
        store: The data.
        model: Writes the answers.
        api_key: The key that is accepted.
        beta_key: The key of embedded pages.
        delay: Seconds between the events of a stream.
        stopping: Set when the emulator stops; made in its event loop.
        events_sent: How many events all streams have sent.
        parsing: The ids of documents that are being parsed.
        agent_errors: The errors that stick to agents, by agent.
        agent_questions: The last question to each agent.
    """

    era: Era
    store: Store
    model: Model
    api_key: str
    beta_key: str
    delay: float
    stopping: asyncio.Event
    events_sent: int = 0
    parsing: set[str] = field(default_factory=set)
    agent_errors: dict[str, str] = field(default_factory=dict)
    agent_questions: dict[str, str] = field(default_factory=dict)


class Call:
    """A request, with what its handler needs."""

    def __init__(self, request: Request, backend: Backend) -> None:
        self.request = request
        self.backend = backend
        self.era = backend.era
        self.store = backend.store

    # The request

    @property
    def plan(self) -> FaultPlan:
        """The faults that this request falls under."""
        plan: FaultPlan = self.request.scope.get("emulator.fault", NO_FAULT)
        return plan

    def arg(self, name: str) -> str:
        """Return a part of the path."""
        value: str = self.request.path_params[name]
        return value

    def query(self, name: str) -> str | None:
        """Return a query parameter."""
        return self.request.query_params.get(name)

    def number(self, name: str, default: int) -> int:
        """Return a query parameter that is a positive number; anything else counts as the default, as on the server."""
        value = self.query(name) or ""
        return int(value) if value.isdecimal() and int(value) else default

    async def _json(self, when_bad: BadBody) -> Any:
        raw = await self.request.body()
        if not raw.strip():
            return {}
        if not self.request.headers.get("content-type", "").startswith("application/json"):
            if self.era.plain_body is PlainBody.EMPTY:
                return {}
            if self.era.plain_body is PlainBody.FORM_ERROR:
                raise Refused(exception_reply(TypeError("Request body is not a valid form payload.")))
        try:
            return json.loads(raw)
        except ValueError:
            if when_bad is BadBody.EMPTY:
                return {}
            if when_bad is BadBody.NONE:
                raise Refused(exception_reply(AttributeError("'NoneType' object has no attribute 'get'"))) from None
            raise Refused(exception_reply("<BadRequest '400: Bad Request'>")) from None

    async def body(self, *, completion: bool = False) -> dict[str, Any]:
        """Return the JSON body.

        Args:
            completion: Whether the route is a completion, which tolerates other bodies than other routes.

        Returns:
            The body; empty if there is none.

        Raises:
            Refused: If the era rejects it.
        """
        value = await self._json(self.era.bad_json_completion if completion else self.era.bad_json)
        if isinstance(value, dict):
            return value
        if completion and self.era.completion_ignores_array_body:
            return {}
        raise Refused(exception_reply(self.era.array_body))

    async def validated_body(self) -> dict[str, Any]:
        """Return the JSON body of a route that validates it with a schema, and names what is wrong with code 101."""
        raw = await self.request.body()
        try:
            value = json.loads(raw) if raw.strip() else {}
        except ValueError:
            message = "Malformed JSON syntax: Missing commas/brackets or invalid encoding"
            raise refuse(101, message, data=None) from None
        return value if isinstance(value, dict) else {}

    def page(self, items: list[_Item], *, size: int = 30, newest_first: bool = True) -> list[_Item]:
        """Return the requested page of a list that is in order of creation.

        Args:
            items: The whole list.
            size: The page size if the request has none.
            newest_first: Whether the list is reversed unless the request has ``desc=false``.

        Returns:
            The page.
        """
        page_size = self.number("page_size", size)
        descending = (self.query("desc") or "true").lower() != "false"
        if self.query("orderby") == "update_time":
            items = sorted(items, key=_updated)
        ordered = items[::-1] if newest_first and descending else items
        start = (self.number("page", 1) - 1) * page_size
        return ordered[start : start + page_size]

    def check_page_size(self, size: int) -> None:
        """Refuse a page that is larger than the era allows."""
        limit = self.era.page_size_limit
        if limit is not None and size > limit:
            raise Refused(exception_reply(ValueError(f"page_size must be less than or equal to {limit}")))

    # Answering

    @property
    def success_message(self) -> str | None:
        """The message of a reply with code 0: ``success`` from 0.25 on, none before."""
        return "success" if self.era.new_chat_api else None

    def stream(self, frames: AsyncGenerator[str, None], *, question: object = "", unfinished: bool = False) -> EventStream:
        """Return a stream of events.

        Args:
            frames: The events.
            question: The question, whose commands may set a delay.
            unfinished: Break the connection when they are over.

        Returns:
            The reply.
        """
        own_delay = Commands.of(question).number("DELAY") if isinstance(question, str) else 0.0
        return EventStream(
            frames,
            stopping=self.backend.stopping,
            delay=own_delay or self.backend.delay,
            plan=self.plan,
            on_event=self._count,
            server_error=self.server_error,
            unfinished=unfinished,
            seconds=self.era.stream_seconds,
        )

    def _count(self) -> None:
        self.backend.events_sent += 1

    def native(self, data: Any, **head: Any) -> str:
        """Return a frame of a native stream; it has ``message`` from 0.25 on."""
        head = {"code": 0} | ({"message": ""} if self.era.messages_in_events else {}) | head
        return frame(head | {"data": data})

    def error_event(self, message: str) -> str:
        """Return a frame that says that the server failed."""
        data = {"answer": f"**ERROR**: {message}", "reference": []}
        return frame({"code": 500, "message": message, "data": data})

    def server_error(self) -> str:
        """Return the frames of a server that fails and then ends its stream properly."""
        return self.error_event("emulated server failure") + self.native(True)


def _updated(item: Any) -> int:
    updated: int = item.updated
    return updated


def find(records: list[_Item], **attributes: str | None) -> list[_Item]:
    """Filter objects by attributes; a value of None matches all."""
    return [
        record for record in records if all(value in (None, "", getattr(record, name)) for name, value in attributes.items())
    ]


def authorize(call: Call, access: Access) -> None:
    """Check the key of a request.

    Args:
        call: The request.
        access: Who may call the route.

    Raises:
        Refused: If the key is missing or wrong, with the reply of the era.
    """
    era, header = call.era, call.request.headers.get("authorization", "")
    words = header.split()
    if access is Access.OPEN:
        return
    if access is Access.BETA:
        if words[-1:] != [call.backend.beta_key]:
            raise refuse(102, 'Authentication error: API key is invalid!"')
        return
    has_scheme = len(words) == 2  # noqa: PLR2004 - a scheme and a key
    if has_scheme or (era.bare_key and len(words) == 1 and words[0].lower() != "bearer"):
        if words[-1] == call.backend.api_key:
            return
        code, message = 109, "Authentication error: API key is invalid!"
    elif header.strip():
        code, message = 0, "Please check your authorization format."
    else:
        code, message = 0, "`Authorization` can't be empty"
        if "authorization" in call.request.headers:
            message = "Please check your authorization format."
    if era.unauthorized_is_401 and not (access is Access.OLD_KEY and era.old_key_routes):
        raise Refused(unauthorized(401))
    if era.unauthorized_is_401:
        raise Refused(envelope(code, data=None, message=message, status=401))
    raise Refused(envelope(code, data=False, message=message))


def unauthorized(status: int) -> Json:
    """Return the reply to somebody who is not logged in."""
    return envelope(401, data=None, message="<Unauthorized '401: Unauthorized'>", status=status)
