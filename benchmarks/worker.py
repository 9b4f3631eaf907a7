"""A process that measures one contender: `python -m benchmarks.worker KEY BASE_URL`, orders and results as lines of JSON.

CPU time is that of the whole process, threads included; the machine may be busy, and wall time then tells little.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import io
import json
import pstats
import resource
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.answers import FOUND, Answer
from benchmarks.clients import CONTENDERS, Ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

    from benchmarks.answers import Markers
    from benchmarks.clients import AsyncClient, SyncClient

T = TypeVar("T")

_TOP = 12
_FILES = 16_384


@dataclass(frozen=True)
class Order:
    """What to measure.

    Attributes:
        what: `stream`, `retrieve`, or `profile` for a stream under cProfile.
        chat: Name of the answer.
        times: How many answers or searches.
        at_once: How many of them at the same time.
    """

    what: str
    chat: str = ""
    times: int = 1
    at_once: int = 1


@dataclass
class Result:
    """What was measured.

    Attributes:
        cpu: Seconds of CPU time.
        wall: Seconds.
        first: Median of the seconds until the first piece.
        pieces: Pieces of text given.
        wrong: Answers whose text is not right, or searches.
        memory: Bytes that the process grew by, at its largest.
        profile: Functions that take the most time.
    """

    cpu: float = 0.0
    wall: float = 0.0
    first: float = 0.0
    pieces: int = 0
    wrong: int = 0
    memory: int = 0
    profile: list[str] = field(default_factory=list)


@dataclass
class _Heard:
    """One answer as it came."""

    first: float
    pieces: list[str]


def _hear(pieces: Iterator[str]) -> _Heard:
    begin = time.perf_counter()
    first = next(pieces, "")
    return _Heard(time.perf_counter() - begin, [first, *pieces])


async def _ahear(pieces: AsyncIterator[str]) -> _Heard:
    begin = time.perf_counter()
    first = await anext(pieces, "")
    heard = _Heard(time.perf_counter() - begin, [first])
    async for piece in pieces:
        heard.pieces.append(piece)
    return heard


def _asks(order: Order) -> list[Ask]:
    # Sessions of their own: turns of one session wait for one another.
    return [Ask(order.chat, f"session-{at}") for at in range(order.times)]


class _SyncRunner:
    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def stream(self, order: Order) -> list[_Heard]:
        return self._all(lambda ask: _hear(self._client.stream(ask)), _asks(order), order.at_once)

    def retrieve(self, order: Order) -> list[int]:
        return self._all(lambda _: self._client.retrieve(), _asks(order), order.at_once)

    def close(self) -> None:
        pass

    @staticmethod
    def _all(call: Callable[[Ask], T], asks: list[Ask], at_once: int) -> list[T]:
        if at_once == 1:
            return [call(ask) for ask in asks]
        with ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(call, asks))


class _AsyncRunner:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.Runner()

    def stream(self, order: Order) -> list[_Heard]:
        return self._loop.run(self._all(lambda ask: _ahear(self._client.astream(ask)), _asks(order), order.at_once))

    def retrieve(self, order: Order) -> list[int]:
        return self._loop.run(self._all(lambda _: self._client.aretrieve(), _asks(order), order.at_once))

    def close(self) -> None:
        self._loop.run(self._client.aclose())
        self._loop.close()

    @staticmethod
    async def _all(call: Callable[[Ask], Awaitable[T]], asks: list[Ask], at_once: int) -> list[T]:
        left = iter(asks)

        async def some() -> list[T]:
            return [await call(ask) for ask in left]

        tasks: list[Coroutine[Any, Any, list[T]]] = [some() for _ in range(at_once)]
        return [result for results in await asyncio.gather(*tasks) for result in results]


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _measure(runner: _SyncRunner | _AsyncRunner, order: Order, right: str) -> Result:
    gc.collect()
    resident = _resident()
    cpu, wall = time.process_time(), time.perf_counter()
    heard = runner.stream(order) if order.what == "stream" else []
    found = runner.retrieve(order) if order.what == "retrieve" else []
    result = Result(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result.memory = max(0, peak - resident)
    result.first = statistics.median(answer.first for answer in heard) if heard else 0.0
    result.pieces = sum(len(answer.pieces) for answer in heard)
    result.wrong = sum("".join(answer.pieces) != right for answer in heard) + sum(count != FOUND for count in found)
    return result


def _profile(runner: _SyncRunner | _AsyncRunner, order: Order) -> Result:
    profile = cProfile.Profile()
    profile.runcall(runner.stream, order)
    out = io.StringIO()
    pstats.Stats(profile, stream=out).strip_dirs().sort_stats("tottime").print_stats(_TOP)
    lines = out.getvalue().splitlines()
    start = next(at for at, line in enumerate(lines) if "ncalls" in line)
    return Result(profile=[line for line in lines[start:] if line.strip()])


def _serve(runner: _SyncRunner | _AsyncRunner, client: Any, markers: Markers) -> None:
    for line in sys.stdin:
        order = Order(**json.loads(line))
        if order.chat and hasattr(client, "prepare"):
            client.prepare(order.chat)
        right = Answer.of(order.chat).text(markers) if order.chat else ""
        result = _profile(runner, order) if order.what == "profile" else _measure(runner, order, right)
        _say(asdict(result))


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main(key: str, base_url: str) -> None:
    """Load a contender, say its version or why it cannot be loaded, then take orders until the input ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most) if most > 0 else _FILES, most))
    contender = CONTENDERS[key]
    module, _, name = contender.place.partition(":")
    try:
        client: Any = getattr(import_module(f"benchmarks.clients.{module}"), name)(base_url)
        _say({"version": version(contender.package) if contender.package else ""})
    except ImportError as problem:
        _say({"missing": str(problem)})
        return
    runner = _AsyncRunner(client) if contender.asynchronous else _SyncRunner(client)
    _serve(runner, client, client.markers)
    runner.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
