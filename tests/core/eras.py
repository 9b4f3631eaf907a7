"""An emulator of each era, and what a release can and cannot do."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from ragflow_integrations import UnsupportedByServerError

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator
    from tests.core.driver import Call, Driver

QUESTION = "What is the range of a cargo bike?"
ANSWER = "45 kilometres"
OPEN = (999, 0, 0)
_numbers = count()


def unique(name: str) -> str:
    return f"{name} {next(_numbers)}"


class Served:
    """An emulator, a driver for it, and whether its release is within a range."""

    def __init__(self, emulator: Emulator, driver: Driver, version: str) -> None:
        self.emulator = emulator
        self.driver = driver
        self.version = tuple(int(part) for part in version.split("."))

    def do(self, call: Call) -> Any:
        return self.driver.do(call)

    def within(self, since: tuple[int, int, int] = (0, 0, 0), until: tuple[int, int, int] = OPEN) -> bool:
        return since <= self.version <= until

    def only(self, call: Call, since: tuple[int, int, int] = (0, 0, 0), until: tuple[int, int, int] = OPEN) -> Any:
        """Make a call that some releases can do: the others must be said to be unable, by name, and be asked nothing."""
        if self.within(since, until):
            outcome = self.driver.drain(call)
            return outcome.answer
        error = self.driver.fails(call)
        assert type(error) is UnsupportedByServerError
        assert "RAGFlow" in str(error)
        return None

    def paths(self, method: str = "POST") -> list[str]:
        return [record.path for record in self.emulator.requests if record.method == method]
