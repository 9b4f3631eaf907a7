"""Type checkers understand a program that uses every public name, with and without pydantic's plugin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ragflow_integrations import langchain

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = Path(__file__).with_name("consumer.py")
WRONG = """
from ragflow_integrations.langchain import ChatRAGFlow, RAGFlowRetriever
ChatRAGFlow(chat_id=1)
ChatRAGFlow(chat_id="c", citation_style="loud")
RAGFlowRetriever(dataset_ids=["d"], k="8")
RAGFlowRetriever(dataset_ids=["d"]).with_filters(team="sales")
"""


def check(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_consumer_uses_every_name() -> None:
    text = CONSUMER.read_text()
    assert [name for name in langchain.__all__ if name not in text] == []


@pytest.mark.parametrize("plugin", [True, False])
def test_mypy(tmp_path: Path, *, plugin: bool) -> None:
    config = tmp_path / "mypy.ini"
    config.write_text(f"[mypy]\nmypy_path = {ROOT / 'src'}\n" + ("plugins = pydantic.mypy\n" if plugin else ""))
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    strict = ("mypy", "--strict", "--follow-imports=silent", "--config-file", config, "--cache-dir", tmp_path / "cache")
    good = check(*strict, CONSUMER)
    assert good.returncode == 0, good.stdout
    bad = check(*strict, wrong)
    found = [int(line.split(":")[1]) for line in bad.stdout.splitlines() if "error:" in line]
    # By default the plugin leaves constructors untyped, for the sake of what pydantic converts.
    assert found == ([6] if plugin else [3, 4, 5, 6]), bad.stdout


def test_pyright(tmp_path: Path) -> None:
    settings = tmp_path / "pyrightconfig.json"
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    settings.write_text(
        json.dumps(
            {"include": [str(CONSUMER), str(wrong)], "extraPaths": [str(ROOT / "src"), str(ROOT)], "typeCheckingMode": "strict"}
        )
    )
    result = check("pyright", "--project", settings, "--pythonpath", sys.executable, "--outputjson")
    found = json.loads(result.stdout)["generalDiagnostics"]
    errors = [item for item in found if item["severity"] == "error"]
    assert [item for item in errors if item["file"] != str(wrong)] == []
    assert {item["range"]["start"]["line"] + 1 for item in errors} == {3, 4, 5, 6}
