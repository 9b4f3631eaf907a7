"""The soak: `python -m tests.soak --requests 20000`. Fails if memory grows by more than 5 %, or if anything is left."""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import gc
import os
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ragflow_integrations import RAGFlowClient
from tests.soak.mix import Mix
from tests.soak.server import FAULTS
from tests.support.leaks import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS, _TASKS = 4, 8
_MOST_GROWTH = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began, threads, files = time.monotonic(), threading.active_count(), _files()
    with _server() as base_url, asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))  # the loop's own descriptors
        problems = _soak(base_url, runner, given.requests, given.seed)
        tasks = runner.run(_tasks())
    gc.collect()
    wait_until(lambda: threading.active_count() <= threads and _files() <= files)
    left = {"tasks": tasks, "threads": threading.active_count() - threads, "files and sockets": _files() - files}
    print(f"left at the end: {left}; {time.monotonic() - began:.0f} s")
    problems += [f"{count} {what} left" for what, count in left.items() if count > 0]
    sys.exit("FAILED: " + "; ".join(problems) if problems else 0)


@contextlib.contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.soak.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


def _soak(base_url: str, runner: asyncio.Runner, requests: int, seed: int) -> list[str]:
    client = RAGFlowClient(base_url, "key", timeout=1, max_retries=0)
    twin = client.as_async()
    mixes = [Mix(f"{seed}-{number}", client, twin) for number in range(_THREADS + _TASKS)]
    memory = []
    done = 0
    # The first tenth warms up: pools, caches, and the allocator's own reserves.
    for name, until in (("warm", requests // 10), ("middle", requests // 2), ("end", requests)):
        _run(mixes, runner, until - done)
        done = until
        gc.collect()
        memory.append(_memory())
        turns = len(client._settings.session_locks.queues)
        print(f"{name}: {done} requests, {memory[-1] / 2**20:.1f} MiB, {_files()} files, {threading.active_count()} threads")
        assert turns == 0, f"{turns} sessions are still taken"
    outcomes = sum((mix.outcomes for mix in mixes), collections.Counter[str]())
    asked = {name: count for name, count in sorted(outcomes.items()) if name.startswith("asked ")}
    print("faults injected:", sum(asked[f"asked {fault}"] for fault in FAULTS if f"asked {fault}" in asked), asked)
    print("outcomes:", {name: count for name, count in sorted(outcomes.items()) if name not in asked})
    client.close()
    runner.run(twin.aclose())
    growth = memory[-1] / memory[0] - 1
    print(f"growth after warming up: {growth:+.1%}; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} MiB")
    return [f"memory grew by {growth:.1%}"] if growth > _MOST_GROWTH else []


def _run(mixes: list[Mix], runner: asyncio.Runner, requests: int) -> None:
    """Spread requests over threads and tasks, and wait for all."""
    share = requests // len(mixes)
    with ThreadPoolExecutor(_THREADS) as threads:
        works = [threads.submit(_ask, mix, share) for mix in mixes[:_THREADS]]
        runner.run(_run_async(mixes[_THREADS:], share + requests % len(mixes) // _TASKS))
        for work in works:
            work.result()


def _ask(mix: Mix, share: int) -> None:
    for _ in range(share):
        mix.ask()


async def _run_async(mixes: list[Mix], share: int) -> None:
    async def work(mix: Mix) -> None:
        for _ in range(share):
            await mix.ask_async()

    await asyncio.gather(*(work(mix) for mix in mixes))


async def _tasks() -> int:
    await asyncio.sleep(0.1)  # transports that were closed say goodbye to their loop
    return len(asyncio.all_tasks()) - 1


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    main()
