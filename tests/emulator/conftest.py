"""Emulators for tests: each serves three small documents."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator import Emulator
from tests.emulator.api import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DOCUMENTS = {
    "heating.md": "# Heating\n\nThe boiler in the cellar is serviced every October. "
    "Its pressure must stay between one and two bar.\n",
    "garden.txt": "The garden hose reaches forty metres. Apples are picked in September.\n",
    "tower.html": "<html><head><title>x</title></head><body><h1>东京塔</h1>"
    "<p>东京塔高三百三十三米，建成于一九五八年。</p></body></html>",
}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def serve(docs: Path) -> Iterator[Callable[..., Api]]:
    """Starts emulators, and stops them after the test."""
    with ExitStack() as running:

        def start(version: str = "0.27.0", **options: Any) -> Api:
            server = running.enter_context(Emulator(**({"docs": docs} | options), version=version))
            api = Api(server)
            running.callback(api.http.close)
            return api

        yield start
