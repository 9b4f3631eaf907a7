"""The long run: `python -m tests.fuzz --seconds 300`, with atheris on every target in turn, then a search for growth.

Each target runs in a process of its own, since libFuzzer ends the one it runs in. What it finds is put into the corpus, where
pytest replays it; what is not to be kept must be deleted there.
"""

from __future__ import annotations

import argparse
import importlib
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CORPUS = Path(__file__).with_name("corpus")
_TARGETS = ("stream", "markers", "replies")
_LONGEST = 8192


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="in all")
    parser.add_argument("--target", choices=_TARGETS, help="only this one, in this process")
    parser.add_argument("--seed", type=int, default=0, help="of the search for growth")
    given = parser.parse_args()
    if given.target:
        _fuzz(given.target, given.seconds)
        return
    share = max(1, given.seconds // (len(_TARGETS) + 1))
    failed = [target for target in _TARGETS if not _run(target, share)]
    if not _search_for_growth(share, given.seed):
        failed.append("growth")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def _run(target: str, seconds: int) -> bool:
    command = [sys.executable, "-m", "tests.fuzz", "--target", target, "--seconds", str(seconds)]
    began = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    covered = re.findall(r"\bcov: (\d+)", done.stderr)
    print(
        f"{target}: {executed[1] if executed else '?'} executions in {time.monotonic() - began:.0f} s, "
        f"{covered[-1] if covered else '?'} branches: {'nothing found' if not done.returncode else 'FAILED'}",
        flush=True,
    )
    if done.returncode:
        print((done.stdout + done.stderr)[-6000:])
    return not done.returncode


def _fuzz(target: str, seconds: int) -> None:
    atheris = importlib.import_module("atheris")  # by name: only the environment of `make fuzz` has it
    with atheris.instrument_imports(include=["ragflow_integrations"]):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
    seeds = importlib.import_module("tests.fuzz.seeds")
    with tempfile.TemporaryDirectory() as temporary:
        fresh, begin, words = (Path(temporary) / name for name in ("fresh", "begin", "words"))
        fresh.mkdir()
        begin.mkdir()
        for at, body in enumerate(seeds.inputs(target)):
            (begin / str(at)).write_bytes(bytes((at % 251, at % 7, at % 5)) + body[:_LONGEST])
        words.write_text(
            "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in seeds.WORDS if len(word) < 60)
        )
        options = {
            "max_total_time": seconds,
            "max_len": _LONGEST,
            "dict": words,
            "timeout": 20,
            "rss_limit_mb": 1024,
            "print_final_stats": 1,
            "artifact_prefix": f"{_CORPUS / target}/",
        }
        given = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup([sys.argv[0], *given, str(fresh), str(_CORPUS / target), str(begin)], targets[target])
        atheris.Fuzz()


def _search_for_growth(seconds: int, seed: int) -> bool:
    """Repeat random patterns, and see whether the work grows faster than what is read."""
    growth = importlib.import_module("tests.fuzz.growth")
    seeds = importlib.import_module("tests.fuzz.seeds")
    chance = random.Random(seed)
    words = [word.decode() for word in seeds.WORDS if len(word) < 60 and word.isascii()]
    until, tried, found = time.monotonic() + seconds, 0, []
    while time.monotonic() < until:
        pattern = "".join(chance.choice(words) for _ in range(chance.choice((1, 1, 2, 2, 3))))
        for machine in growth.MACHINES:
            tried += 1
            if said := growth.too_fast(machine, pattern):
                found.append(said)
                print(said, flush=True)
    print(f"growth: {tried} patterns in {seconds} s: {f'{len(found)} FAILED' if found else 'nothing found'}")
    return not found


if __name__ == "__main__":
    main()
