"""What both clients say when a connection fails; the words hold the address and never the key."""

from __future__ import annotations

import dataclasses
import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ragflow_integrations.errors import (
    ConnectionFailedError,
    ErrorResponse,
    ProtocolError,
    RequestTimeoutError,
    StreamInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations.errors import RAGFlowError

_SHOWN = 300


def connect_timeout(settings: Settings) -> RequestTimeoutError:
    """No connection within the connect timeout."""
    return RequestTimeoutError(
        f"No connection to {settings.base_url} within {settings.timeout.connect:g} s. Check `base_url` and the network.",
        sent=False,
    )


def read_timeout(settings: Settings) -> RequestTimeoutError:
    """No reply within the read timeout."""
    return RequestTimeoutError(
        f"{settings.base_url} sent nothing for {settings.timeout.read:g} s. RAGFlow is silent while its LLM is retried; raise "
        "`timeout` (the longest silence allowed) if that is expected."
    )


def tls_failed(settings: Settings, why: BaseException) -> ConnectionFailedError:
    """TLS could not be agreed on; it comes again, unless the connection just ended."""
    if isinstance(why, ssl.SSLEOFError):
        return broken(settings, why)
    error = ConnectionFailedError(
        f"TLS with {settings.base_url} failed: {why}. Check the certificate (for one that is not public, give a `session` that "
        "trusts it), or write http:// if the server has none.",
        sent=False,
    )
    error.retryable = False
    return error


def no_connection(settings: Settings, why: object) -> ConnectionFailedError:
    """Refused, or the name is not known."""
    return ConnectionFailedError(
        f"Could not connect to {settings.base_url}: {why}. Is RAGFlow running there, and is `base_url` right?",
        sent=False,
    )


def broken(settings: Settings, problem: BaseException) -> ConnectionFailedError:
    """The connection broke before a reply was whole, or what came is no HTTP."""
    why = str(problem)
    if len(why) > _SHOWN:  # of what is no HTTP, aiohttp's exception shows all that came
        why = why[:_SHOWN] + "…"  # which `mask_key` looks for
    return ConnectionFailedError(
        f"The connection to {settings.base_url} failed: {type(problem).__name__}: {why}. Try again; if it stays, see the "
        "server's log."
    )


def cut_off(settings: Settings, reader: AnswerReader, problem: BaseException, *, silent: bool) -> RAGFlowError:
    """A stream broke or fell silent."""
    if silent and not reader.began:
        return read_timeout(settings)
    reader.release()
    why = f"fell silent for {settings.timeout.read:g} s" if silent else f"broke ({type(problem).__name__})"
    return StreamInterruptedError(
        f"The answer was cut off: the connection {why}. The text so far is in `partial`.", partial=reader.partial
    )


def closed(partial: str) -> StreamInterruptedError:
    """A stream was closed while it was opened or read."""
    return StreamInterruptedError("The stream was closed while it was read.", partial=partial)


def incomplete(partial: str) -> StreamInterruptedError:
    """The answer of a stream was asked for too early."""
    return StreamInterruptedError(
        "The answer is not complete: the stream was not read to its end. The text so far is in `partial`.",
        partial=partial,
    )


@contextmanager
def public_errors() -> Iterator[None]:
    """Raise the protocol's own kinds of `ProtocolError`, which calls use to try another form, as what callers know."""
    try:
        yield
    except ProtocolError as error:
        if type(error) is ProtocolError:
            raise
        public = ProtocolError(str(error))
        public.partial = error.partial
    else:
        return
    raise public


#: Shorter keys are words, and no secrets.
_SECRET = 8


def mask_key(error: RAGFlowError, settings: Settings) -> None:
    """Mask the key in an error: the server's words, which it quotes, may repeat the request's headers."""
    key = settings.api_key.get_secret_value()
    if len(key) < _SECRET:
        return
    # The words may have been cut within the key.
    halves = (f"{re.escape(key[:size])}(?=…|$)" for size in range(len(key) - 1, _SECRET // 2 - 1, -1))
    pattern = re.compile("|".join((re.escape(key), *halves)))

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub("***", value)
        if isinstance(value, dict):
            return {masked(name): masked(content) for name, content in value.items()}
        if isinstance(value, ErrorResponse):
            return dataclasses.replace(value, headers=masked(value.headers), text=masked(value.text))
        return value

    error.args = tuple(masked(value) for value in error.args)
    vars(error).update(masked(vars(error)))
