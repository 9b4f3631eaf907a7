from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_contender_gives_the_right_text(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "deltas", "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=Path(__file__).parents[2])
    assert run.returncode == 0, run.stderr
    results = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| texts and searches that are not right, of all contenders | ≤ 0 | 0 | met |" in results
