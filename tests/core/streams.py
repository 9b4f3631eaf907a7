"""One streamed question, answered with the bytes of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.core.scripts import HISTORY, QUESTION
from tests.support.sse import (
    chunk,
    native_delta,
    reference,
)
from tests.support.wire import STREAM_HEADERS, WireServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.core.conftest import Connect
    from tests.core.driver import Outcome
    from tests.support.wire import Exchange, Framing

TURN: Callable[[Any], Any] = lambda client: client.stream(**QUESTION)  # noqa: E731
STATELESS: Callable[[Any], Any] = lambda client: client.stream_complete(**HISTORY)  # noqa: E731

FOUND = reference(chunk("Batteries last a year."))
WHOLE = (
    native_delta("Batteries last "),
    native_delta("a year [ID:0]"),
    native_delta(". 🔋"),
    native_delta("", final=True, reference=FOUND),
)
TEXT = "Batteries last a year [1]. 🔋"


def run(
    connect: Connect,
    *pieces: bytes,
    call: Callable[[Any], Any] = TURN,
    framing: Framing = "chunked",
    headers: Sequence[tuple[str, str]] = STREAM_HEADERS,
    end: Callable[[Exchange], None] | None = None,
    length: int | None = None,
    status: int = 200,
    **settings: Any,
) -> Outcome:
    """Answer one question with these bytes."""

    def script(exchange: Exchange) -> None:
        promised = None
        if framing == "length":
            promised = sum(map(len, pieces)) if length is None else length
        exchange.start_stream(status, headers, framing, length=promised)
        for piece in pieces:
            exchange.send(piece)
        (end or type(exchange).end)(exchange)

    with WireServer(script) as server:
        driver = connect(server.base_url, max_retries=0, **settings)
        outcome = driver.drain(call)
        driver.shut()
    return outcome
