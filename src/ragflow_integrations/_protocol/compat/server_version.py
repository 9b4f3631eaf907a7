"""Which release a server is.

A `ServerProfile` per base URL narrows the range of releases that the server can be, by the shape of its replies. A reply that
contradicts the range, because the server was upgraded, replaces it. Only a call that depends on the release asks for the
version, by `require`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragflow_integrations import errors
from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.compat.error_table import EndpointNotFound
from ragflow_integrations._protocol.compat.features import MESSAGES_ONLY, NEWEST, PATCHES, Feature, Version
from ragflow_integrations._protocol.compat.seen_assistants import SeenAssistants
from ragflow_integrations._protocol.steps import Request
from ragflow_integrations.errors import ProtocolError, UnsupportedByServerError
from ragflow_integrations.models import ServerInfo

if TYPE_CHECKING:
    from ragflow_integrations._protocol.steps import Operation
    from ragflow_integrations.models import JsonObject

_OLDEST: Version = (0, 17, 0)
_logger = logging.getLogger("ragflow_integrations")
_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?P<after>-\d+-g)?")
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _span(first: Version, last: Version) -> str:
    """Write releases in words: `0.22.x`, `0.25.1–0.25.5`."""
    return f"{first[0]}.{first[1]}.x" if last[2] == PATCHES else f"{_text(first)}–{_text(last)}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """What replies have told of a server.

    Attributes:
        low: The oldest release it can be.
        high: The newest.
        version: Its own word.
        probed: Whether it was asked all it can be asked.
    """

    low: Version = _OLDEST
    high: Version = NEWEST
    version: str | None = None
    probed: bool = False

    def narrowed(self, low: Version = _OLDEST, high: Version = NEWEST) -> VersionRange:
        """Narrow the range; what contradicts it (the server was replaced) starts it anew."""
        if low > self.high or high < self.low:
            return VersionRange(low, high)
        return replace(self, low=max(low, self.low), high=min(high, self.high))

    def with_reported(self, text: str) -> VersionRange:
        """Return what is known after the server has reported its version.

        Args:
            text: Such as `v0.27.0`, `v0.20.5 slim` or `v0.24.0-255-g7c32e20`; a commit or `unknown` says nothing.
        """
        text = text.strip()
        match = _VERSION.match(text)
        if match is None:
            return replace(self, version=text or None)
        low = high = (int(match[1]), int(match[2]), int(match[3]))
        if match["after"]:  # built so many commits after that release
            high = (low[0], low[1] + 1, 0)
        return replace(self.narrowed(low, high), version=text)

    def with_evidence(self, request: Request, status: int, body: JsonObject | None, *, missing: bool = False) -> VersionRange:
        """Return what is known after a reply.

        Args:
            request: What was asked.
            status: HTTP status.
            body: The reply, None for an error.
            missing: Whether the error is that there is no such path.
        """
        data = body.get("data") if body else None
        if missing:
            # ≤ 0.22.1 say it in a reply of HTTP 200, ≥ 0.23 with HTTP 404; a wrong method has HTTP 200 in all.
            known = self.narrowed(low=(0, 23, 0)) if status == _NOT_FOUND else self
            return (
                known.narrowed(high=(0, 24, PATCHES)) if request.path == "/system/version" and not request.from_root else known
            )
        if request.method == "GET" and request.path == "/chats":
            if isinstance(data, list):
                return self.narrowed(high=(0, 24, PATCHES))
            if isinstance(data, dict):
                return self.narrowed(low=(0, 25, 0))
        elif request.path == "/retrieval" and isinstance(data, dict):
            if any("mom_id" in chunk for chunk in fields.objects(data.get("chunks"))):  # a key of results since 0.23.0
                return self.narrowed(low=(0, 23, 0))
        elif request.path.endswith("/system/version") and isinstance(data, str):
            return self.with_reported(data)
        return self

    def supports(self, feature: Feature) -> bool | None:
        """Return whether the server can; None if that is not known."""
        if feature.broken and self.high >= feature.broken[0] and self.low <= feature.broken[1]:
            return False if feature.broken[0] <= self.low and self.high <= feature.broken[1] else None
        if self.high < feature.since or (feature.until is not None and self.low > feature.until):
            return False
        if self.low >= feature.since and (feature.until is None or self.high <= feature.until):
            return True
        return None

    def info(self) -> ServerInfo:
        """Return the public view."""
        newest = None
        if self.high != NEWEST:
            newest = _text(self.high) if self.high[2] < PATCHES else f"{self.high[0]}.{self.high[1]}.x"
        return ServerInfo(version=self.version, oldest=_text(self.low), newest=newest)

    def __str__(self) -> str:
        """Return the range in words."""
        if self.low == self.high:
            return _text(self.low)
        low = "" if self.low == _OLDEST else f"{_text(self.low)} or newer"
        high = _text(self.high) if self.high[2] < PATCHES else f"{self.high[0]}.{self.high[1]}.x"
        older = "" if self.high == NEWEST else f"{high} or older"
        return " and ".join(part for part in (low, older) if part) or "of unknown version"


class ServerProfile:
    """What is known of the server at one base URL, for all who use it at once: it changes whole or not at all.

    Args:
        server: Names the server in logs.
    """

    def __init__(self, server: str = "the server") -> None:
        self.server = server
        self.known = VersionRange()
        self.assistants = SeenAssistants()

    def take(self, known: VersionRange) -> None:
        """Replace what is known."""
        before, self.known = self.known, known
        if (before.low, before.high) == (known.low, known.high):
            return
        if known.low > before.high or known.high < before.low:
            # As text: a handler may format the line when the profile has changed.
            _logger.info("%s is RAGFlow %s no more", self.server, str(before))
        _logger.info("%s is RAGFlow %s", self.server, str(known))

    def observe(self, request: Request, status: int, body: JsonObject | None, *, missing: bool = False) -> None:
        """Learn from a reply; see `VersionRange.with_evidence` and `SeenAssistants.observe`."""
        self.take(self.known.with_evidence(request, status, body, missing=missing))
        self.assistants.observe(request, body)


def probe(profile: ServerProfile) -> Operation[VersionRange]:
    """Find out the server's version, by the ways its releases have (docs/protocol.md, "Version").

    What earlier replies told is left aside, since the server may have been replaced.
    """
    known, _ = yield from _try(Request("GET", "/system/version", retry="idempotent"), VersionRange())  # ≥ 0.25
    if known.low != known.high:
        request = Request("GET", "/v1/system/version", from_root=True, retry="idempotent")  # 0.24
        try:
            known, _ = yield from _try(request, known, strict=True)
        except errors.AuthenticationError as error:
            if error.http_status != _UNAUTHORIZED:  # ≤ 0.23.1 want a login's token, and say so with HTTP 200
                known = known.narrowed(high=(0, 23, PATCHES))
    if known.low != known.high:  # which any key may see: who may not has a wrong one
        request = Request("GET", "/chats", params={"page": 1, "page_size": 1}, retry="idempotent")
        known, missing = yield from _try(request, known, strict=True)
        if missing:
            raise ProtocolError(
                "The server has no GET /chats, which every release of RAGFlow has: the path of `base_url` is wrong. Give the "
                "server's root, without /api/v1."
            )
    if known.low != known.high and known.high < (0, 25, 0):
        request = Request("GET", "/v1/system/ping", from_root=True, retry="idempotent", raw_reply=True)  # ≥ 0.22
        known, missing = yield from _try(request, known)
        known = known.narrowed(high=(0, 21, PATCHES)) if missing else known.narrowed(low=(0, 22, 0))
        if not missing and known.low < (0, 23, 0):
            known = known.narrowed(high=(0, 22, PATCHES))  # ≥ 0.23 would have answered a missing path with HTTP 404
    known = replace(known, probed=True)
    profile.take(known)
    return known


def _try(request: Request, known: VersionRange, *, strict: bool = False) -> Operation[tuple[VersionRange, bool]]:
    """Send a probe; gives what is known then, and whether the server has no such path. Other refusals tell nothing.

    Raises:
        AuthenticationError: The key is refused, and `strict`.
    """
    try:
        body = yield request
    except EndpointNotFound as error:
        return known.with_evidence(request, error.http_status, None, missing=True), True
    except errors.AuthenticationError:
        if strict:
            raise
    except errors.APIError:
        pass
    else:
        return known.with_evidence(request, _OK, body), False
    return known, False


def supports_feature(profile: ServerProfile, feature: Feature) -> Operation[bool]:
    """Return whether the server can, asking it for its version if the replies so far do not tell."""
    known = profile.known
    if known.supports(feature) is None and not known.probed:
        known = yield from probe(profile)
    return known.supports(feature) is True


def may_be(profile: ServerProfile, feature: Feature) -> Operation[bool]:
    """Return whether the server may be one of the releases of a feature, as far as it tells its version."""
    known = profile.known
    if known.supports(feature) is None and not known.probed:
        known = yield from probe(profile)
    return known.supports(feature) is not False


def takes_only_messages(profile: ServerProfile) -> Operation[bool]:
    """Return whether the server is one of `MESSAGES_ONLY`; an unknown one says so itself.

    It is asked again each time: a newer one would take the same body for something else, in silence.
    """
    known = profile.known
    if known.supports(MESSAGES_ONLY):
        known, _ = yield from _try(Request("GET", "/system/version", retry="idempotent"), known)
    return known.supports(MESSAGES_ONLY) is True


def require(profile: ServerProfile, feature: Feature) -> Operation[None]:
    """Make sure the server can, asking it for its version if the replies so far do not tell.

    Raises:
        UnsupportedByServerError: It cannot, or does not tell enough of itself: an option is never dropped in silence.
    """
    known = profile.known
    can = known.supports(feature)
    if can is False or (can is None and not known.probed):
        known = yield from probe(profile)  # it may have been upgraded: a refusal rests on fresh evidence
    can = known.supports(feature)
    if can is False or (can is None and feature.broken is None):  # a release that is broken says so itself
        until = f" up to {feature.until[0]}.{feature.until[1]}" if feature.until else ""
        gap = f" except {_span(*feature.broken)}" if feature.broken else ""
        raise UnsupportedByServerError(
            f"{feature.what} needs RAGFlow {_text(feature.since)} or newer{until}{gap}; this server is {known}. "
            f"{feature.instead}".rstrip(),
            feature=feature.what,
            since=_text(feature.since),
        )
