from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_contender_gives_the_right_text() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[2])
    assert run.returncode == 0, run.stderr
    assert "| ChatRAGFlow.stream |" in run.stdout
