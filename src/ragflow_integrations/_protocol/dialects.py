"""All that differs between server versions, in one place.

Nobody is asked for a version. A `Profile` per base URL narrows the range of versions the server can be, from the shape of
its replies; what contradicts an earlier finding (the server was upgraded) replaces it. A call that needs to know more than
the replies so far have told asks with `require`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ragflow_integrations import errors
from ragflow_integrations._protocol import arguments, wire
from ragflow_integrations._protocol.http import Request
from ragflow_integrations.errors import ProtocolError, RAGFlowError, UnsupportedByServerError
from ragflow_integrations.models import ServerInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations._protocol.http import Operation
    from ragflow_integrations.models import JsonObject, JsonValue

Version: TypeAlias = tuple[int, int, int]

_OLDEST: Version = (0, 17, 0)
_NEWEST: Version = (999, 0, 0)
_logger = logging.getLogger("ragflow_integrations")
_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?P<after>-\d+-g)?")
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404
_LOOKED_AT = 2000  # characters of a message: patterns with a gap take quadratic time on a long one
_PATCHES = 99  # stands for "any patch of this minor version" in an upper bound


class EndpointMissing(ProtocolError):  # noqa: N818 - a signal between protocol modules; callers see another error
    """The server has no such path or method."""

    http_status = 200


# ------------------------------------------------------------------------------------------------------------------ errors


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of the error table; None matches anything.

    Attributes:
        error: Exception to raise; None means the kind of not-found error that fits the request.
        remedy: What the caller can do.
        codes: RAGFlow codes.
        statuses: HTTP statuses, or a hundred of them written as 5 for 5xx.
        pattern: Found in the message.
        servers: Which releases were seen to do this.
    """

    error: type[errors.APIError] | None
    remedy: str
    codes: frozenset[int | None] | None = None
    statuses: frozenset[int] | None = None
    pattern: re.Pattern[str] | None = None
    servers: str = "all"

    def matches(self, status: int, code: int | None, message: str) -> bool:
        """Whether a reply is of this row."""
        return (
            (self.codes is None or code in self.codes)
            and (self.statuses is None or status in self.statuses or status // 100 in self.statuses)
            and (self.pattern is None or self.pattern.search(message[:_LOOKED_AT]) is not None)
        )


def _row(
    error: type[errors.APIError] | None,
    pattern: str | None,
    remedy: str,
    *,
    codes: tuple[int | None, ...] | None = None,
    statuses: tuple[int, ...] | None = None,
    servers: str = "all",
) -> ErrorRow:
    return ErrorRow(
        error,
        remedy,
        None if codes is None else frozenset(codes),
        None if statuses is None else frozenset(statuses),
        None if pattern is None else re.compile(pattern),
        servers,
    )


_KEY = "Check `api_key` (or RAGFLOW_API_KEY): it is made in RAGFlow under your avatar > API."
_LIST = "Check the id, and that it belongs to the owner of this API key; RAGFlow does not tell unknown from foreign."

#: First match wins. Seen in recordings unless the notes are named.
ERROR_TABLE: tuple[ErrorRow, ...] = (
    _row(errors.AuthenticationError, None, _KEY, statuses=(401,), servers="≥ 0.24"),
    _row(errors.AuthenticationError, None, _KEY, codes=(401,), servers="≤ 0.23 with HTTP 200"),
    _row(
        errors.AuthenticationError,
        "API key is invalid|^Authentication error",
        _KEY,
        codes=(102, 109),
        servers="≤ 0.25; 102 for beta keys",
    ),
    _row(errors.AuthenticationError, "uthorization", _KEY, codes=(0,), servers="≤ 0.24: success with data false"),
    _row(errors.PermissionDeniedError, None, "Use a key of the owner.", statuses=(403,)),
    _row(errors.PermissionDeniedError, None, "Use a key of the owner.", codes=(403,)),
    _row(errors.RateLimitError, None, "Wait, then try again.", statuses=(429,), servers="proxies"),
    _row(
        errors.InvalidRequestError,
        None,
        "The body is larger than the proxy allows.",
        statuses=(413,),
        servers="proxies",
    ),
    _row(errors.ServerError, None, "Try again later; see the server's log.", statuses=(5,)),
    _row(errors.ServerError, None, "Try again later; see the server's log.", codes=(500,), servers="events of a stream"),
    _row(
        errors.EmbeddingModelMismatchError,
        "different embedding models",
        "Search datasets of one embedding model at a time.",
    ),
    _row(
        errors.SessionNotFoundError,
        r"[Ss]ession not found|own the session|[Ss]ession does not (?:exist|belong)",
        "Create a session, or leave `session_id` out.",
    ),
    _row(errors.DocumentNotFoundError, r"own the document|[Dd]ocuments? not found", "Check `document_ids`."),
    _row(errors.NotFoundError, r"[Cc]hunk not found|find this chunk", "Check `chunk_id`."),
    _row(errors.DatasetNotFoundError, r"own the dataset|lacks permission for dataset|[Dd]ataset not found", _LIST),
    _row(errors.DatasetNotFoundError, r"<id>.*Invalid UUID", _LIST, codes=(101,), servers="0.19–0.26"),
    _row(
        errors.ChatNotFoundError,
        r"(?:Assistant|Chat)\(.*\) not found|[Cc]hat doesn't exist|own the (?:chat|assistant)|Chat not found",
        _LIST,
    ),
    _row(
        errors.AgentNotFoundError,
        r"agent doesn't exist|canvas not found|own the agent|[Aa]gent not found|access the agent",
        _LIST,
    ),
    _row(errors.AgentNotFoundError, None, _LIST, codes=(103,), servers="≥ 0.25"),
    _row(None, None, _LIST, codes=(109,), servers="≥ 0.25: `no authorization`"),
    _row(
        errors.ModelUnavailableError,
        r"`(?:llm_id|model_name|rerank_id|rerank_model|tenant_llm_id)`.*doesn't exist|Cannot use specified model"
        r"|(?:LLM|Model)\(.*\) not (?:found|authorized)",
        "Name a model that is configured in RAGFlow under Model providers, as `name@factory`.",
    ),
    _row(errors.PermissionDeniedError, None, "Use a key of the owner.", codes=(108,), servers="notes §4"),
    _row(errors.ServerError, None, "Try again later.", codes=(105, 106), servers="notes §4"),
    _row(errors.InvalidRequestError, "^<BadRequest|must be", "Check the arguments.", codes=(100,)),
    _row(errors.ServerError, None, "An exception of the server; see its log.", codes=(100,)),
    _row(errors.InvalidRequestError, None, "Check the arguments.", codes=(101, 102, 400, 409, 411)),
    _row(errors.InvalidRequestError, None, "Check the arguments.", statuses=(4,)),
    _row(errors.APIError, None, "See the server's log."),
)

_MISSING = re.compile(r"<(?:NotFound '404|MethodNotAllowed '405)")


def endpoint_missing(status: int, code: int | None, message: str) -> bool:
    """Whether a reply says that there is no such path or method, in any release's spelling (notes §4)."""
    return status in (404, 405) or code in (404, 405) or (code == 100 and _MISSING.match(message) is not None)  # noqa: PLR2004 - RAGFlow's code for an exception


def nothing_found(error: RAGFlowError) -> bool:
    """Whether a retrieval failed only because the datasets hold no parsed chunk yet (notes §1.7)."""
    return isinstance(error, errors.APIError) and "No chunk found" in error.message


def refuse_if_sessions_unreadable(error: errors.APIError) -> None:
    """Say in words why 0.19.0 cannot list sessions: it fails over any turn that has a reference (notes §9.4).

    Raises:
        UnsupportedByServerError: It is this failure.
    """
    if isinstance(error, errors.ServerError) and "IndexError" in error.message:
        raise UnsupportedByServerError(
            "RAGFlow 0.19.0 cannot read sessions that hold a cited answer; asking in them works. Upgrade it to read them."
        ) from error


# ---------------------------------------------------------------------------------------------------------------- features


@dataclass(frozen=True, slots=True)
class Feature:
    """Something not every release can do.

    Attributes:
        what: In words, for messages: "`document_ids` in a stateless call".
        since: First release that can.
        until: Last release that can, None for the newest.
        instead: What to do without it.
        broken: First and last of the releases in between that cannot.
    """

    what: str
    since: Version
    until: Version | None = None
    instead: str = ""
    broken: tuple[Version, Version] | None = None

    @property
    def span(self) -> tuple[Version, Version]:
        """First and last release that can."""
        return self.since, self.until or _NEWEST


#: Chat assistants are changed with PATCH; before that with PUT and the old names, see `old_chat_body`.
CHATS_PATCHED = Feature("PATCH", (0, 25, 0))
MESSAGES = Feature("Deleting and rating messages", (0, 25, 0))
#: 0.22.x runs no agent: streams end at once, other replies are an exception (notes §9.12).
AGENTS = Feature("Running an agent", (0, 17, 0), broken=((0, 22, 0), (0, 22, _PATCHES)))
#: These releases take `messages` only and overwrite the session with them, so the whole history is sent; and they cut replies
#: that do not stream after the first piece, so answers are streamed and gathered (notes §9.1, §9.5).
MESSAGES_ONLY = Feature("a body of messages only", (0, 25, 1), (0, 25, 5))
EFFORT_LEVELS = Feature("`reasoning_effort` of more than on and off", (0, 27, 0))

# Options of questions and searches → what a server must be to honour them.
SESSION_FEATURES: dict[str, Feature] = {
    "model": Feature("`model` in a session", (0, 25, 1), instead="Set the LLM on the assistant."),
    "metadata_condition": Feature(
        "`metadata_condition` in a session", (0, 23, 0), (0, 24, _PATCHES), "Ask without a session, or use `document_ids`."
    ),
    "reasoning_effort": Feature("`reasoning_effort`", (0, 24, 0)),
    "internet": Feature("`internet`", (0, 25, 0)),
}
AGENT_FEATURES: dict[str, Feature] = {"return_trace": Feature("`return_trace`", (0, 23, 0))}
STATELESS_FEATURES: dict[str, Feature] = {
    "model": Feature("`model`", (0, 25, 1), instead="Set the LLM on the assistant."),
    **{
        name: Feature(f"`{name}` without a session", (0, 26, 0), instead="Set it on the assistant.")
        for name in arguments.GENERATION
    },
    "metadata_condition": Feature("`metadata_condition`", (0, 23, 0), instead="Use `document_ids` in a session."),
    **{
        name: Feature(f"`{name}` without a session", (0, 27, 0), instead="Ask in a session.")
        for name in ("document_ids", "reasoning_effort", "internet")
    },
}
RETRIEVAL_FEATURES: dict[str, Feature] = {
    # 0.20–0.22 filter, but answer unfiltered when nothing matches (notes §1.7).
    "metadata_condition": Feature("`metadata_condition` in a retrieval", (0, 23, 0), instead="Filter by `document_ids`."),
    "cross_languages": Feature("`cross_languages` in a retrieval", (0, 20, 0)),
    "toc_enhance": Feature("`toc_enhance` in a retrieval", (0, 23, 0)),
    "metadata_fields": Feature("`metadata_fields` in a retrieval", (0, 25, 6)),
}

_OLD_PROMPT = {
    "system": "prompt",
    "prologue": "opener",
    "quote": "show_quote",
    "parameters": "variables",
    # These releases store the weight given for the keywords as the embedding's (notes §1.3).
    "vector_similarity_weight": "keywords_similarity_weight",
    "rerank_id": "rerank_model",
}
_OLD_TOP_LEVEL = ("name", "description", "dataset_ids")


def old_chat_body(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Write the update of a chat assistant as ≤ 0.24 read it."""
    llm = dict(wire.mapping(body, "llm_setting"))
    if "llm_id" in body:
        llm["model_name"] = body["llm_id"]
    rest = {name: body[name] for name in body if name not in (*_OLD_TOP_LEVEL, "llm_id", "llm_setting", "prompt_config")}
    prompt = {_OLD_PROMPT.get(name, name): value for name, value in {**wire.mapping(body, "prompt_config"), **rest}.items()}
    old: dict[str, JsonValue] = {name: body[name] for name in _OLD_TOP_LEVEL if name in body}
    if llm:
        old["llm"] = llm
    if prompt:
        old["prompt"] = prompt
    return old


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)


@dataclass(frozen=True, slots=True)
class Known:
    """What replies have told of a server.

    Attributes:
        low: The oldest release it can be.
        high: The newest.
        version: Its own word.
        probed: Whether it was asked all it can be asked.
    """

    low: Version = _OLDEST
    high: Version = _NEWEST
    version: str | None = None
    probed: bool = False

    def narrowed(self, low: Version = _OLDEST, high: Version = _NEWEST) -> Known:
        """Narrow the range; what contradicts it (the server was replaced) starts it anew."""
        if low > self.high or high < self.low:
            return Known(low, high)
        return replace(self, low=max(low, self.low), high=min(high, self.high))

    def told(self, text: str) -> Known:
        """Take the server's own word: `v0.27.0`, `v0.20.5 slim`, `v0.24.0-255-g7c32e20`; a commit or `unknown` says nothing."""
        text = text.strip()
        match = _VERSION.match(text)
        if match is None:
            return replace(self, version=text or None)
        low = high = (int(match[1]), int(match[2]), int(match[3]))
        if match["after"]:  # built so many commits after that release
            high = (low[0], low[1] + 1, 0)
        return replace(self.narrowed(low, high), version=text)

    def observed(self, request: Request, status: int, body: JsonObject | None, *, missing: bool = False) -> Known:
        """Take what a reply tells.

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
            return known.narrowed(high=(0, 24, _PATCHES)) if request.path == "/system/version" and not request.root else known
        if request.method == "GET" and request.path == "/chats":
            if isinstance(data, list):
                return self.narrowed(high=(0, 24, _PATCHES))
            if isinstance(data, dict):
                return self.narrowed(low=(0, 25, 0))
        elif request.path.endswith("/system/version") and isinstance(data, str):
            return self.told(data)
        return self

    def supports(self, feature: Feature) -> bool | None:
        """Whether the server can; None where that is not known."""
        if feature.broken and self.high >= feature.broken[0] and self.low <= feature.broken[1]:
            return False if feature.broken[0] <= self.low and self.high <= feature.broken[1] else None
        if self.high < feature.since or (feature.until is not None and self.low > feature.until):
            return False
        if self.low >= feature.since and (feature.until is None or self.high <= feature.until):
            return True
        return None

    def info(self) -> ServerInfo:
        """Give it to callers."""
        newest = None
        if self.high != _NEWEST:
            newest = _text(self.high) if self.high[2] < _PATCHES else f"{self.high[0]}.{self.high[1]}.x"
        return ServerInfo(version=self.version, oldest=_text(self.low), newest=newest)

    def __str__(self) -> str:
        """Give the range in words."""
        if self.low == self.high:
            return _text(self.low)
        low = "" if self.low == _OLDEST else f"{_text(self.low)} or newer"
        high = _text(self.high) if self.high[2] < _PATCHES else f"{self.high[0]}.{self.high[1]}.x"
        older = "" if self.high == _NEWEST else f"{high} or older"
        return " and ".join(part for part in (low, older) if part) or "of unknown version"


class Profile:
    """What is known of the server at one base URL, for all who use it at once: it changes whole or not at all.

    Args:
        server: Names the server in logs.
    """

    def __init__(self, server: str = "the server") -> None:
        self.server = server
        self.known = Known()

    def take(self, known: Known) -> None:
        """Replace what is known."""
        before, self.known = self.known, known
        if (before.low, before.high) == (known.low, known.high):
            return
        if known.low > before.high or known.high < before.low:
            # As text: a handler may format the line when the profile has changed.
            _logger.info("%s is RAGFlow %s no more", self.server, str(before))
        _logger.info("%s is RAGFlow %s", self.server, str(known))

    def observe(self, request: Request, status: int, body: JsonObject | None, *, missing: bool = False) -> None:
        """Take what a reply tells; see `Known.observed`."""
        self.take(self.known.observed(request, status, body, missing=missing))


def probe(profile: Profile) -> Operation[Known]:
    """Find out the server's version, by the ways its releases have (notes §1.12).

    What earlier replies told is left aside, since the server may have been replaced.
    """
    known, _ = yield from _try(Request("GET", "/system/version", repeat="always"), Known())  # ≥ 0.25
    if known.low != known.high:
        request = Request("GET", "/v1/system/version", root=True, repeat="always")  # 0.24
        try:
            known, _ = yield from _try(request, known, strict=True)
        except errors.AuthenticationError as error:
            if error.http_status != _UNAUTHORIZED:  # ≤ 0.23.1 want a login's token, and say so with HTTP 200
                known = known.narrowed(high=(0, 23, _PATCHES))
    if known.low != known.high:  # which any key may see: who may not has a wrong one
        request = Request("GET", "/chats", params={"page": 1, "page_size": 1}, repeat="always")
        known, _ = yield from _try(request, known, strict=True)
    if known.low != known.high and known.high < (0, 25, 0):
        request = Request("GET", "/v1/system/ping", root=True, repeat="always", plain=True)  # ≥ 0.22
        known, missing = yield from _try(request, known)
        known = known.narrowed(high=(0, 21, _PATCHES)) if missing else known.narrowed(low=(0, 22, 0))
        if not missing and known.low < (0, 23, 0):
            known = known.narrowed(high=(0, 22, _PATCHES))  # ≥ 0.23 would have answered a missing path with HTTP 404
    known = replace(known, probed=True)
    profile.take(known)
    return known


def _try(request: Request, known: Known, *, strict: bool = False) -> Operation[tuple[Known, bool]]:
    """Send a probe; gives what is known then, and whether the server has no such path. Other refusals tell nothing.

    Raises:
        AuthenticationError: The key is refused, and `strict`.
    """
    try:
        body = yield request
    except EndpointMissing as error:
        return known.observed(request, error.http_status, None, missing=True), True
    except errors.AuthenticationError:
        if strict:
            raise
    except errors.APIError:
        pass
    else:
        return known.observed(request, _OK, body), False
    return known, False


def find_out(profile: Profile, feature: Feature) -> Operation[bool]:
    """Tell whether the server can, asking it for its version where the replies so far do not tell."""
    known = profile.known
    if known.supports(feature) is None and not known.probed:
        known = yield from probe(profile)
    return known.supports(feature) is True


def takes_only_messages(profile: Profile) -> Operation[bool]:
    """Tell whether the server is one of `MESSAGES_ONLY`; an unknown one says so itself.

    It is asked again each time: a newer one would take the same body for something else, in silence.
    """
    known = profile.known
    if known.supports(MESSAGES_ONLY):
        known, _ = yield from _try(Request("GET", "/system/version", repeat="always"), known)
    return known.supports(MESSAGES_ONLY) is True


def require(profile: Profile, feature: Feature) -> Operation[None]:
    """Make sure the server can, asking it for its version where the replies so far do not tell.

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
        gap = f" except {feature.broken[0][0]}.{feature.broken[0][1]}" if feature.broken else ""
        raise UnsupportedByServerError(
            f"{feature.what} needs RAGFlow {_text(feature.since)} or newer{until}{gap}; this server is {known}. "
            f"{feature.instead}".rstrip()
        )
