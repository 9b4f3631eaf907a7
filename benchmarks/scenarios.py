"""What is measured, and by whom. Contenders take turns within a round, so that a busy minute meets them all."""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from benchmarks.answers import Answer
from benchmarks.clients import CONTENDERS
from benchmarks.processes import ContenderMissingError, Worker, worker
from benchmarks.worker import Order, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.processes import ServerProcess

Column: TypeAlias = Literal["cpu", "first", "wall", "rate", "pieces", "connections", "memory", "over ideal"]

_WARM_UP = Answer(20)
_DELTAS = ("raw", "core", "sdk", "lc-floor", "lc", "lc-stateless", "lc-openai", "li-floor", "li", "li-openai")
_DELTAS_ASYNC = (
    *("raw-async", "core-async", "sdk-async"),
    *("lc-floor-async", "lc-async", "lc-apart-async", "lc-stateless-async", "lc-openai-async"),
    *("li-floor-async", "li-async", "li-apart-async", "li-openai-async"),
)
_CLIENTS = ("raw", "core", "sdk", "lc", "lc-openai", "li", "li-openai")
_CLIENTS_ASYNC = ("raw-async", "core-async", "sdk-async", "lc-async", "lc-openai-async", "li-async", "li-openai-async")


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
        key: Its name.
        title: Its heading.
        order: What each contender does in a round.
        contenders: Who takes part; the first of each mode is what the others are compared with.
        columns: What the table shows.
        unit: What CPU time is divided by, in words, and how many of it a round has.
        rounds: How often.
        ideal: Seconds that a round takes if nothing costs time.
    """

    key: str
    title: str
    order: Order
    contenders: tuple[str, ...]
    columns: tuple[Column, ...]
    unit: tuple[str, int]
    rounds: int
    ideal: float = 0.0

    def of(self, contenders: Sequence[str]) -> Scenario:
        """Give it with some of its contenders."""
        return replace(self, contenders=tuple(key for key in self.contenders if key in contenders))

    def small(self) -> Scenario:
        """Give it as one round of next to nothing, to see that it works."""
        order, answer = self.order, Answer.of(self.order.chat) if self.order.chat else None
        times = min(order.times, 4)
        if answer is not None:
            answer = replace(answer, pieces=min(answer.pieces, 60), chunks=min(answer.chunks, 8))
        return replace(
            self,
            order=replace(order, chat=answer.name if answer else "", times=times, at_once=min(order.at_once, times)),
            unit=(self.unit[0], times * (answer.pieces if answer and self.unit[0] == "event" else 1)),
            ideal=answer.pieces * answer.interval if answer else 0.0,
            rounds=1,
        )


def _stream(
    key: str,
    title: str,
    answer: Answer,
    contenders: Sequence[str],
    columns: Sequence[Column],
    rounds: int,
    *,
    times: int = 1,
    at_once: int = 1,
    per: Literal["event", "answer"] = "event",
) -> Scenario:
    return Scenario(
        key=key,
        title=title,
        order=Order("stream", answer.name, times, at_once),
        contenders=tuple(contenders),
        columns=tuple(columns),
        unit=(per, times * (answer.pieces if per == "event" else 1)),
        rounds=rounds,
        ideal=answer.pieces * answer.interval,
    )


def _search(key: str, title: str, times: int, at_once: int) -> Scenario:
    contenders = ("raw", "core", "sdk", "raw-async", "core-async", "sdk-async")
    columns: tuple[Column, ...] = ("cpu", "rate", "connections")
    return Scenario(key, title, Order("retrieve", "", times, at_once), contenders, columns, ("search", times), 3)


_CUMULATIVE = ("json", "raw", "core", "sdk", "lc", "li", "raw-async", "core-async", "sdk-async", "lc-async", "li-async")
_PACED = Answer(500, interval=0.002)
_SPOKEN = Answer(100, interval=0.02)

SCENARIOS = (
    _stream(
        "deltas", "2,000 deltas at once", Answer(2000), (*_DELTAS, *_DELTAS_ASYNC), ("cpu", "pieces", "connections"), rounds=5
    ),
    _stream("long", "10,000 deltas at once", Answer(10_000), (*_DELTAS, *_DELTAS_ASYNC), ("cpu", "pieces"), rounds=2),
    _stream("paced", "500 deltas, one every 2 ms", _PACED, (*_CLIENTS, *_CLIENTS_ASYNC), ("cpu", "pieces"), rounds=2),
    _stream(
        "cumulative",
        "Cumulative, 5,000 events, 30 KB of text, 76 MB of events",
        Answer(5000, "cumulative"),
        _CUMULATIVE,
        ("cpu", "pieces"),
        rounds=3,
    ),
    _stream(
        "half",
        "Cumulative, half as many events: a quarter of the bytes",
        Answer(2500, "cumulative"),
        _CUMULATIVE,
        ("cpu",),
        rounds=3,
    ),
    _stream(
        "reference",
        "5 deltas and a reference of 500 KB",
        Answer(5, chunks=400),
        (*_CLIENTS, *_CLIENTS_ASYNC),
        ("cpu", "wall"),
        rounds=3,
        times=10,
        per="answer",
    ),
    _stream(
        "first",
        "200 short answers in turn: time to the first piece",
        Answer(5),
        (*_CLIENTS, *_CLIENTS_ASYNC),
        ("cpu", "first", "connections"),
        rounds=3,
        times=200,
        per="answer",
    ),
    _stream(
        "hundred",
        "100 streams at once, 100 deltas each, one every 20 ms",
        _SPOKEN,
        ("raw", "core", "sdk", *_CLIENTS_ASYNC),
        ("cpu", "wall", "over ideal", "memory"),
        rounds=3,
        times=100,
        at_once=100,
    ),
    _stream(
        "thousand",
        "1,000 such streams at once",
        _SPOKEN,
        _CLIENTS_ASYNC,
        ("cpu", "wall", "over ideal", "memory"),
        rounds=3,
        times=1000,
        at_once=1000,
    ),
    _search("search", "Searches in turn, 8 chunks each", 300, 1),
    _search("searches", "Searches, 64 in flight", 1000, 64),
)


@dataclass
class Outcome:
    """What came of a scenario: results and new connections of each contender, by round."""

    scenario: Scenario
    results: dict[str, list[Result]] = field(default_factory=dict)
    connections: dict[str, list[int]] = field(default_factory=dict)

    def median(self, key: str, value: Callable[[Result], float] = lambda result: result.cpu) -> float:
        """Give the median over the rounds."""
        return statistics.median(value(result) for result in self.results[key])

    def ratio(self, key: str, to: str, value: Callable[[Result], float] = lambda result: result.cpu) -> float:
        """Give the median of the rounds' ratios."""
        pairs = zip(self.results[key], self.results[to], strict=True)
        return statistics.median(value(mine) / value(other) for mine, other in pairs)

    def wrong(self, key: str) -> int:
        """Give how many answers were not right."""
        return sum(result.wrong for result in self.results[key])


@dataclass
class Found:
    """What a run found out about the contenders: versions, and why some are missing."""

    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def run(scenario: Scenario, server: ServerProcess, found: Found) -> Outcome:
    """Run a scenario, its contenders taking turns."""
    outcome = Outcome(scenario)
    with ExitStack() as stack:
        # All are started before the first is waited for: they load at the same time.
        started = {key: stack.enter_context(worker(key, server.base_url)) for key in scenario.contenders}
        workers: dict[str, Worker] = {}
        for key, process in started.items():
            try:
                loaded = process.meet()
            except ContenderMissingError as problem:
                found.missing[key] = str(problem)
                continue
            workers[key] = process
            if package := CONTENDERS[key].package:
                found.versions[package] = loaded
            warm_up = replace(scenario.order, times=1, at_once=1, chat=scenario.order.chat and _WARM_UP.name)
            workers[key].run(warm_up)
        for at in range(scenario.rounds):
            sys.stderr.write(f"{scenario.title}: round {at + 1} of {scenario.rounds}\n")
            for key, process in workers.items():
                before = server.connections()
                outcome.results.setdefault(key, []).append(process.run(scenario.order))
                outcome.connections.setdefault(key, []).append(server.connections() - before)
    return outcome


def profile(scenario: Scenario, key: str, server: ServerProcess) -> list[str]:
    """Profile a contender in a scenario; give the functions that take the most time."""
    order = replace(scenario.order, what="profile", times=min(scenario.order.times, 50))
    with worker(key, server.base_url) as process:
        process.meet()
        process.run(replace(order, what="stream", chat=_WARM_UP.name, times=1, at_once=1))
        return process.run(replace(order, at_once=min(order.at_once, order.times))).profile
