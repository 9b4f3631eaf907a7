"""Every Python example of the README, the docs and the docstrings runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ragflow_integrations
from ragflow_integrations.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ragflow_integrations.__path__, "ragflow_integrations.")
    if not module.name.endswith("__main__")
)


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


#: They set what a process has once: the root logger, OpenTelemetry's provider.
OWN_PROCESS = ("observability.md",)
#: Tables of what servers do.
WITHOUT_EXAMPLES = ("protocol.md", "servers.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page: Path) -> None:
    examples = FENCE.findall(page.read_text(encoding="utf-8"))
    if page.name in OWN_PROCESS:
        command = [sys.executable, "-W", "error", "-c", "\n".join(examples)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        return
    names: dict[str, object] = {"__name__": "__main__"}
    for example in examples:
        exec(compile(example, str(page), "exec"), names)  # noqa: S102 - running them is the point


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_BASE_URL", server.base_url)
    monkeypatch.setenv("RAGFLOW_API_KEY", server.api_key)
    given = {
        "base_url": server.base_url,
        "api_key": server.api_key,
        "chat_id": server.chat_id,
        "dataset_id": server.dataset_id,
        "agent_id": server.agent_id,
    }
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for found in finder.find(module, name, extraglobs=given):
        runner.run(found)
    assert runner.summarize(verbose=False).failed == 0


def test_pages_have_examples() -> None:
    assert all(FENCE.search(page.read_text(encoding="utf-8")) for page in PAGES if page.name not in WITHOUT_EXAMPLES)
