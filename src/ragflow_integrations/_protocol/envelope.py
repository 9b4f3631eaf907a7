"""Replies → JSON objects, or the exception they stand for."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ragflow_integrations import errors
from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.compat.error_table import ERROR_TABLE, EndpointNotFound, endpoint_not_found
from ragflow_integrations.errors import ErrorResponse, NotFoundError, ProtocolError

if TYPE_CHECKING:
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Reply, Request
    from ragflow_integrations.models import JsonObject

_SHOWN = 300
_KEPT = 4096
_OK, _REDIRECT, _CLIENT_ERROR = 200, 300, 400
_TITLE = re.compile(rb"<title>([^<]*)", re.IGNORECASE)


def decode(reply: Reply, request: Request, profile: ServerProfile | None = None) -> JsonObject:
    """Read a reply, and learn from it what the server is.

    Returns:
        The whole JSON object of a success: `{"code": 0, "data": …}`, or an OpenAI object.

    Raises:
        APIError: The server refused; see `compat.error_table.ERROR_TABLE`.
        ProtocolError: It is not a reply of RAGFlow's API.
    """
    text = reply.body.lstrip()
    if request.raw_reply and reply.status == _OK and not text.startswith((b"{", b"<")):
        return {"text": reply.body.decode("utf-8", "replace")}
    if _REDIRECT <= reply.status < _CLIENT_ERROR:
        raise ProtocolError(
            f"{_asked(request)} was redirected (HTTP {reply.status}) to {reply.headers.get('location', 'nowhere')!r}. "
            "Redirects are not followed, so that the API key goes nowhere else; set `base_url` to the server's real address."
        )
    if not text.startswith(b"{"):
        raise _not_an_envelope(reply, request, text)
    try:
        body = fields.parse(reply.body)
    except ProtocolError as problem:
        raise ProtocolError(f"{_asked(request)} was answered with malformed JSON: {problem}") from None
    error = failure(body, request, reply)
    if profile is not None:
        profile.observe(request, reply.status, body if error is None else None, missing=isinstance(error, EndpointNotFound))
    if error is not None and not (request.may_be_partial and body.get("data")):
        raise error
    return body


def decode_file(reply: Reply, request: Request) -> bytes:
    """Read a reply that is a file; a refusal comes as an envelope instead.

    Raises:
        APIError: The server refused.
    """
    text = reply.body.lstrip()
    if reply.status != _OK:
        decode(reply, request)
    if "content-disposition" in reply.headers:  # a refusal has none [0.27.0-download.txt]
        return reply.body
    if text.startswith(b"{") and "json" in reply.headers.get("content-type", ""):
        try:
            body = fields.parse(text)
        except ProtocolError:
            return reply.body  # a file that is no JSON, whatever its type says
        if "code" in body and "message" in body:
            error = failure(body, request, reply)
            if error is not None and "file is empty" in fields.text(body, "message"):
                return b""  # as the server words a file of no bytes
            if error is not None:
                raise error
    return reply.body


def failure(body: JsonObject, request: Request, reply: Reply) -> errors.RAGFlowError | None:
    """Return the exception an envelope stands for, or None for a success."""
    code = fields.integer(body, "code")
    message = fields.text(body, "message", "error", "detail")
    if reply.status < _REDIRECT:
        if code is None and ("choices" in body or "data" in body or request.raw_reply):
            return None
        if code == 0 and not (body.get("data") is False and "uthorization" in message):
            return None
        if code is None:
            return ProtocolError(
                f"{_asked(request)} was answered with JSON that is not RAGFlow's (no `code`): is `base_url` another service?"
            )
    if endpoint_not_found(reply.status, code, message):
        missing = EndpointNotFound(
            f"The server has no {request.method} {request.path}: either the path of `base_url` is wrong (give the server's "
            "root, without /api/v1), or this RAGFlow release lacks the call."
        )
        missing.http_status = reply.status
        return missing
    return _api_error(code, message, request, reply)


def _api_error(code: int | None, message: str, request: Request, reply: Reply) -> errors.APIError:
    row = next(row for row in ERROR_TABLE if row.matches(reply.status, code, message))
    missing = request.subject.not_found_error if request.subject else NotFoundError
    error = (row.error or missing)(
        f"{_asked(request)} failed: {_shorten(message) or 'no message'} "
        f"(HTTP {reply.status}{'' if code is None else f', code {code}'}). {row.remedy}",
        code=code,
        http_status=reply.status,
        message=message,
        response=ErrorResponse(reply.status, dict(reply.headers), reply.body[:_KEPT].decode("utf-8", "replace")),
        request_id=reply.headers.get("x-request-id"),
    )
    if isinstance(error, errors.RateLimitError | errors.ServerError):
        error.retry_after = retry_after(reply)
    if isinstance(error, errors.ServerError):
        error.retryable = code != 100  # noqa: PLR2004 - an exception of the server comes again
    return error


def retry_after(reply: Reply) -> float | None:
    """Read `Retry-After` as seconds; a date counts from the reply's own `Date`, so no clock is needed."""
    value = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, wait.total_seconds())


def _not_an_envelope(reply: Reply, request: Request, text: bytes) -> errors.RAGFlowError:
    html = text.startswith(b"<")
    title = _TITLE.search(text)
    shown = _shorten((title[1].strip() if title else text[: _SHOWN * 4]).decode("utf-8", "replace"))
    if reply.status >= _CLIENT_ERROR and not endpoint_not_found(reply.status, None, ""):
        return _api_error(None, f"{'a web page' if html else 'plain text'}: {shown}" if text else "", request, reply)
    if html:
        return ProtocolError(
            f"{_asked(request)} was answered with a web page ({shown!r}, HTTP {reply.status}): `base_url` is not the RAGFlow "
            "API. Give the server's root, such as http://localhost:9380."
        )
    what = f"{shown!r}" if text else "an empty body"
    return ProtocolError(f"{_asked(request)} was answered with {what} (HTTP {reply.status}), not JSON: is it RAGFlow?")


def _asked(request: Request) -> str:
    named = ", ".join(str(subject) for subject in (request.subject, request.part) if subject)
    return f"{request.method} {request.path} ({named})" if named else f"{request.method} {request.path}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
