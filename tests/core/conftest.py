"""Fixtures of the core's tests."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from ragflow_integrations.emulator import Emulator
from tests.core.driver import DRIVERS
from tests.core.eras import Served
from tests.support import leaks
from tests.support.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.core.driver import Driver

nothing_left = leaks.nothing_left


class Connect(Protocol):
    """Makes a driver for a server."""

    def __call__(self, base_url: str, api_key: str = ..., **settings: Any) -> Driver: ...


@pytest.fixture(params=list(DRIVERS))
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes drivers, of the sync and of the async client in turn, and closes their clients after the test."""
    made: list[Driver] = []

    def new(base_url: str, *args: Any, **settings: Any) -> Driver:
        made.append(DRIVERS[request.param](base_url, *args, **settings))
        return made[-1]

    yield new
    for driver in made:
        driver.shut()


@pytest.fixture(autouse=True)
def _no_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAGFLOW_BASE_URL", "RAGFLOW_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def emulators() -> Iterator[Callable[[str], Emulator]]:
    with ExitStack() as running:
        started: dict[str, Emulator] = {}

        def emulator(version: str) -> Emulator:
            if version not in started:
                started[version] = running.enter_context(Emulator(version=version))
            return started[version]

        yield emulator


@pytest.fixture(params=[(version, kind) for version in RELEASES for kind in DRIVERS], ids="-".join)
def served(request: pytest.FixtureRequest, emulators: Callable[[str], Emulator]) -> Iterator[Served]:
    version, kind = request.param
    emulator = emulators(version)
    driver = DRIVERS[kind](emulator.base_url, emulator.api_key, timeout=10)
    yield Served(emulator, driver, version)
    driver.shut()
