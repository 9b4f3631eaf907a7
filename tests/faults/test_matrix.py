"""Every fault × every call: the right text or the right error, in time, and the client works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import faults
from tests.faults.calls import CALLS, ENOUGH
from tests.faults.expected import ENDLESS, TABLE
from tests.faults.matrix import row
from tests.support.leaks import no_new_threads, no_open_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def _nothing_left() -> Iterator[None]:
    with no_new_threads(), no_open_sockets():
        yield


#: Seconds: two silences, the longest wait between them, and a machine that has much to do.
BOUND = 10.0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", faults.FAULTS)
def test_fault(fault: str, call: str) -> None:
    asked, expected = CALLS[call], TABLE[fault]
    outcome = row(fault)[call].result()
    result = expected.result(asked)
    assert (outcome.kind or result) == result, f"{outcome.error!r} instead"
    assert (outcome.error is None) == isinstance(result, str), f"{outcome.shown[:100]!r} instead"
    if result == ENDLESS:
        assert len(outcome.shown) > ENOUGH
    else:
        assert outcome.shown == expected.text(asked)
    if outcome.error is not None:
        assert getattr(outcome.error, "partial", "") == outcome.shown
    assert outcome.sent == expected.sent(asked), "requests that the server saw"
    assert outcome.elsewhere == 0, "the key would have gone there"
    if fault == faults.TLS:
        assert outcome.connections == 1, "it does not heal"
        assert "certificate" in str(outcome.error)
    assert outcome.seconds < BOUND
    assert outcome.next_shown == asked.right, "the next call"
    assert outcome.next_sent == 1


def test_no_cell_is_empty() -> None:
    assert set(TABLE) == set(faults.FAULTS)
    kinds = {(call.group, call.name) for call in CALLS.values()}
    assert len(kinds) == len(CALLS) == 20
