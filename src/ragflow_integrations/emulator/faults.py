"""Faults on demand: what goes wrong on the way from a server to a client.

Inject one with `Emulator(faults=FaultPlan(cut_after=3))`, by setting ``server.faults``, or for a single request with a
header such as ``X-Emulator-Fault: cut-after=3; split=7``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

FAULT_HEADER: Final = "x-emulator-fault"

_REASONS: Final = {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """Faults to inject. Counts of events are those of one stream.

    Attributes:
        cut_after: Break the connection after so many events; a reply that is no stream is cut in its middle.
        stall_after: Fall silent after so many events (before the reply, if it is no stream).
        stall_seconds: How long the silence lasts.
        status: Answer with this HTTP status and an HTML page, as a proxy does: 429, 502, 503, 504.
        retry_after: The ``Retry-After`` header of that answer.
        llm_error: The language model fails with this text.
        error_after: Send an event with code 500 and the terminator after so many events.
        garbage_after: Send bytes that are no event after so many events.
        split: Send streams in writes of so many bytes.
        times: How many requests the plan applies to; None for all.
        path: Apply only to requests whose path contains this.
    """

    cut_after: int | None = None
    stall_after: int | None = None
    stall_seconds: float = 3600.0
    status: int | None = None
    retry_after: int | None = None
    llm_error: str | None = None
    error_after: int | None = None
    garbage_after: int | None = None
    split: int | None = None
    times: int | None = None
    path: str = ""

    @classmethod
    def from_header(cls, header: str) -> FaultPlan:
        """Read a plan from the request header.

        Args:
            header: Settings named as the attributes, with hyphens: ``status=429; retry-after=1``.

        Returns:
            The plan.

        Raises:
            ValueError: If a setting is unknown or has the wrong type.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in header.split(";"))):
            name, _, value = part.partition("=")
            values[name.strip().replace("-", "_")] = value.strip()
        if unknown := values.keys() - known:
            raise ValueError(f"Unknown fault {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}.")
        numbers = {name: int(value) for name, value in values.items() if name not in ("llm_error", "path", "stall_seconds")}
        return cls(
            **numbers,
            llm_error=values.get("llm_error"),
            path=values.get("path", ""),
            stall_seconds=float(values.get("stall_seconds", 3600)),
        )


NO_FAULT: Final = FaultPlan()


class FaultInjector:
    """Decides which plan a request falls under, and counts."""

    def __init__(self, plan: FaultPlan | None) -> None:
        self.plan = plan or NO_FAULT
        self._left = self.plan.times

    def plan_for(self, path: str, header: str | None) -> FaultPlan:
        """Return the plan of a request.

        Args:
            path: Its path.
            header: Its fault header, which goes before the server's plan.

        Returns:
            The plan; one without faults if none applies.
        """
        if header is not None:
            return FaultPlan.from_header(header)
        if self.plan == NO_FAULT or self.plan.path not in path or self._left == 0:
            return NO_FAULT
        if self._left is not None:
            self._left -= 1
        return self.plan


def proxy_page(status: int) -> str:
    """Return the HTML page that a proxy answers with."""
    title = f"{status} {_REASONS.get(status, 'Error')}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
