"""The matrix as it was played, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import faults
from tests.faults.calls import CALLS
from tests.faults.expected import TABLE
from tests.faults.matrix import row

if TYPE_CHECKING:
    from tests.faults.calls import Call
    from tests.faults.matrix import Outcome

_CODES = {
    "ConnectionFailedError": "CF",
    "RequestTimeoutError": "RT",
    "StreamInterruptedError": "SI",
    "ProtocolError": "PE",
    "ServerError": "SE",
    "RateLimitError": "RL",
}


def show() -> None:
    """Print the matrix, and whether it is as it must be."""
    names = list(CALLS)
    for at, name in enumerate(names):
        print(f"{chr(ord('a') + at)}  {name}")  # noqa: T201 - a command
    print("ok right text, .. text without end, " + ", ".join(f"{code} {name}" for name, code in _CODES.items()))  # noqa: T201
    print("+ text kept; the number is that of the requests the server saw; ! is not what was expected\n")  # noqa: T201
    print(" " * 26 + "".join(f"{chr(ord('a') + at):<6}" for at in range(len(names))))  # noqa: T201
    cells = wrong = empty = 0
    for fault in faults.FAULTS:
        line = []
        for call in CALLS.values():
            outcome = row(fault)[call.id].result()
            fits = _fits(outcome, fault, call)
            line.append(_cell(outcome, call) + ("" if fits else "!"))
            cells, wrong, empty = cells + 1, wrong + (not fits), empty + (not line[-1])
        print(f"{fault:<26}" + "".join(f"{cell:<6}" for cell in line))  # noqa: T201
    print(f"\n{cells} combinations, {empty} empty, {wrong} not as expected")  # noqa: T201


def _cell(outcome: Outcome, call: Call) -> str:
    kind = outcome.kind
    if kind is None:
        return f"{'ok' if outcome.shown == call.right else '..'}{outcome.sent}"
    return f"{_CODES[kind.__name__]}{outcome.sent}{'+' if outcome.shown else ''}"


def _fits(outcome: Outcome, fault: str, call: Call) -> bool:
    result = TABLE[fault].result(call)
    came = isinstance(result, str) if outcome.kind is None else outcome.kind is result
    return came and outcome.sent == TABLE[fault].sent(call) and outcome.next_shown == call.right
