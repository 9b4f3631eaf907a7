"""Running a script in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

_HEAD = """
import asyncio, os, sys, threading
from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient
QUESTION = {"chat_id": "c", "session_id": "s"}
"""


def run(base_url: str, code: str, *flags: str) -> tuple[str, float]:
    """What a script said, and how long it took; that it fails, or says anything on the error stream, fails the test."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *flags, "-c", f"{_HEAD}\nURL, KEY = {base_url!r}, 'key'\n{textwrap.dedent(code)}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout, time.monotonic() - began
