"""The standard tests name a recording plugin that is switched off here; the tests that need it are skipped."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vcr: replays recorded traffic")


@pytest.fixture
def vcr() -> None:
    """Stand in for the plugin's fixture, which the skipped tests ask for."""
