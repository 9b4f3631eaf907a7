"""The processes of a run, seen from the one that runs it: the server, and one worker per contender."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.worker import Order, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_PATIENCE = 300.0  # seconds; nothing takes half as long


class ContenderMissingError(Exception):
    """A contender cannot be loaded."""


class BrokenOffError(Exception):
    """A process ended before its time."""


@contextmanager
def _python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    # One line answers one order, so nothing lies in the buffer that `select` does not see.
    ready, _, _ = select.select([process.stdout], [], [], _PATIENCE)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise BrokenOffError(" ".join(str(part) for part in process.args[1:]) if isinstance(process.args, list) else "")
    return json.loads(line)


class ServerProcess:
    """The server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def connections(self) -> int:
        """Give how many connections were made to it, without those of this question and its like."""
        self._asked = getattr(self, "_asked", 0) + 1
        with urllib.request.urlopen(f"{self.base_url}/connections") as reply:  # noqa: S310 - our own address
            return int(json.load(reply)) - self._asked


@contextmanager
def server() -> Iterator[ServerProcess]:
    """Run the server."""
    with _python("-m", "benchmarks.server") as process:
        yield ServerProcess(f"http://127.0.0.1:{_line(process)}")


class Worker:
    """A contender's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def meet(self) -> str:
        """Wait until it has loaded its client; give the client's version.

        Raises:
            ContenderMissingError: It cannot load it.
        """
        hello = _line(self._process)
        if "missing" in hello:
            raise ContenderMissingError(hello["missing"])
        return str(hello["version"])

    def run(self, order: Order) -> Result:
        """Have something measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return Result(**_line(self._process))


@contextmanager
def worker(key: str, base_url: str) -> Iterator[Worker]:
    """Run a contender's process."""
    with _python("-m", "benchmarks.worker", key, base_url) as process:
        yield Worker(process)


def evaluate(source: str, environment: Mapping[str, str]) -> Any:
    """Run a program in a fresh process; give the JSON that it writes."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - ours
    if done.returncode:
        raise ContenderMissingError(done.stderr.strip().rpartition("\n")[2])
    return json.loads(done.stdout)
