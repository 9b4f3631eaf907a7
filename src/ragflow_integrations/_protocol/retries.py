"""What may be sent again, and when.

tenacity does the waiting: `policy` gives the arguments of its `Retrying` and `AsyncRetrying` alike.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypedDict

from tenacity import retry_if_exception, stop_after_attempt, wait_random_exponential

from ragflow_integrations.errors import APIError, ConnectionFailedError, RateLimitError, RequestTimeoutError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState
    from tenacity.retry import retry_base
    from tenacity.stop import stop_base
    from tenacity.wait import WaitBaseT

    from ragflow_integrations._protocol.steps import Request

#: Seconds: the first wait is up to the first, later ones double up to the second.
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
#: A longer `Retry-After` is the caller's decision: the error carries it.
_LONGEST_RETRY_AFTER = 60.0
#: A proxy's word that the server is starting, gone or too slow.
_PASSING_STATUSES = frozenset({502, 503, 504})
_logger = logging.getLogger("ragflow_integrations")
_backoff = wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)


class Policy(TypedDict):
    """Arguments of tenacity's retrying classes."""

    retry: retry_base
    wait: WaitBaseT
    stop: stop_base
    before_sleep: Callable[[RetryCallState], None]
    reraise: bool


def policy(request: Request, max_retries: int) -> Policy:
    """Return the arguments of tenacity for one request."""
    return Policy(
        retry=retry_if_exception(lambda error: may_repeat(request, error)),
        wait=_wait,
        stop=stop_after_attempt(max_retries + 1),
        before_sleep=lambda state: _tell(request, state, max_retries),
        reraise=True,
    )


def may_repeat(request: Request, error: BaseException) -> bool:
    """Return whether a request may be sent again after an error."""
    if isinstance(error, RateLimitError | ServerError):
        passing = isinstance(error, RateLimitError) or (request.retry != "unsafe" and error.http_status in _PASSING_STATUSES)
        return passing and (error.retry_after or 0.0) <= _LONGEST_RETRY_AFTER
    return isinstance(error, ConnectionFailedError) and error.retryable and _unharmed(request, error)


def _unharmed(request: Request, error: ConnectionFailedError) -> bool:
    """Return whether a lost request may be sent again: it never arrived, or arriving twice does no harm."""
    if request.retry == "expensive" and (error.began or isinstance(error, RequestTimeoutError)):
        return not error.sent
    return request.retry != "unsafe" or not error.sent


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RateLimitError | ServerError) and error.retry_after is not None:
        return error.retry_after
    return _backoff(state)


def _tell(request: Request, state: RetryCallState, max_retries: int) -> None:
    error = state.outcome.exception() if state.outcome else None
    _logger.info(
        "%s %s failed (%s%s); retry %d of %d in %.1f s",
        request.method,
        request.path,
        type(error).__name__,
        f", HTTP {error.http_status}" if isinstance(error, APIError) else "",
        state.attempt_number,
        max_retries,
        state.upcoming_sleep,
    )
