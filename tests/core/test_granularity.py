"""Pieces of a stream are as they arrive, and the same in both modes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations import TextDelta
from tests.core.scripts import QUESTION
from tests.support.sse import native_delta, terminator
from tests.support.wire import Exchange, WireServer

if TYPE_CHECKING:
    from tests.core.conftest import Connect


def together(exchange: Exchange) -> None:
    exchange.start_stream()
    exchange.send(b"".join(native_delta(f"{number} ") for number in range(20)))
    exchange.send(terminator())
    exchange.end()


def test_text_that_arrives_together_is_one_delta(connect: Connect) -> None:
    with WireServer(together) as server:
        outcome = connect(server.base_url).drain(lambda client: client.stream(**QUESTION))
    assert [event.text for event in outcome.events if isinstance(event, TextDelta)] == [
        "".join(f"{number} " for number in range(20))
    ]
