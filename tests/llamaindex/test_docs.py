from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```py(?:thon)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


# Fenced as `py` are the examples with LlamaIndex's agents, which look at pydantic's deprecated attributes, and those with its
# synthesizers, which leave an event loop open; neither would pass where warnings are errors.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
def test_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "llamaindex.md"
    names: dict[str, object] = {"__name__": "__main__"}
    for example in FENCE.findall(page.read_text(encoding="utf-8")):
        exec(compile(example, str(page), "exec"), names)  # noqa: S102 - running them is the point
    said = capsys.readouterr().out
    assert "A full charge at a charging station takes four hours [1]." in said
    assert "ask 6 sources" in said
    assert "[True] The Nordwind thermostat runs on mains power." in said


def test_notebook() -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "llamaindex_quickstart.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = "".join(output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    assert "takes four hours [1]" in shown
    assert "charging-stations.md" in shown
