"""The limits that this project has set itself, and why one is missed where it is."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.imports import Imports
    from benchmarks.scenarios import Outcome


@dataclass(frozen=True)
class Run:
    """All figures of a run."""

    outcomes: Mapping[str, Outcome]
    imports: Imports


@dataclass(frozen=True)
class Target:
    """A limit.

    Attributes:
        what: What is limited.
        limit: The limit.
        value: The figure; raises KeyError where a contender is missing.
        profiled: Scenario and contender to profile where it is missed.
        why: Why it is missed, if it is.
        least: Whether the limit is the least allowed instead of the most.
        unit: Unit of the figure.
    """

    what: str
    limit: float
    value: Callable[[Run], float]
    profiled: tuple[str, str] | None = None
    why: str = ""
    least: bool = False
    unit: str = ""

    def met(self, value: float) -> bool:
        """Whether a figure is within the limit."""
        return value >= self.limit if self.least else value <= self.limit


_PIECE = (
    "The sum of what is below it: the client alone takes about 6 µs for a piece that comes in an HTTP chunk of its own "
    "(urllib3 1.4, JSON 0.8, frames 0.7, decoder and assembler 1.0, the event object 0.3, the rest in the reader and the "
    "stream), and LangChain takes its 9 µs. The provider's name, which has to stand on each chunk, costs LangChain 1 µs more."
)
_PULLED = (
    "The floor makes one `ChatResponse` per piece and pulls it, about 4 µs; a target of 1.6 leaves 2.5 µs for everything else, "
    "and urllib3, JSON and the event object alone take that. The engine adds 1.3 µs to the client. Tracing costs nothing "
    "unless somebody listens."
)
_MEMORY = (
    "The decoder runs over bytes that lie in memory, and throws away what it makes: some 2 µs for 15 KB. To receive the same "
    "bytes costs several times that, whoever does it: see the bare socket, the second line of the table, and asyncio's. Of "
    "ours half is urllib3 and the socket, an eighth the decoder, the rest finding the frame, reading it as UTF-8 and comparing "
    "it with the one before. No event can be left undecoded: each may be the one that is shown."
)
_CHUNKS = (
    "A third are the 400 chunks made of the reference: fifteen fields of each are looked up under the names that releases "
    "give them. The rest is the event itself, which comes in parts, and its JSON."
)
_OPENING = (
    "All requests are sent at the same moment, and a request costs 0.4 ms of CPU in the client, 0.7 in LangChain and 0.9 in "
    "LlamaIndex (see the short answers), which the ideal does not know of: a thousand take up to a second. Then every event "
    "comes in a read of its own, and 100,000 of them in two seconds leave 20 µs for each, asyncio and the framework "
    "included. The profile is of 50 streams."
)
_DEFINITIONS = (
    "Where nothing else has loaded it, `dataclasses` takes a third of what is added; the rest are ten modules and the client."
)


def _cpu(scenario: str, key: str, to: str) -> Callable[[Run], float]:
    return lambda run: run.outcomes[scenario].ratio(key, to)


def _added(scenario: str, key: str, to: str, *, first: bool) -> Callable[[Run], float]:
    """Milliseconds that a contender adds to what a bare socket takes."""

    def value(run: Run) -> float:
        outcome = run.outcomes[scenario]
        times = outcome.scenario.order.times
        pairs = zip(outcome.results[key], outcome.results[to], strict=True)
        return statistics.median(
            (mine.first - other.first if first else (mine.wall - other.wall) / times) * 1000 for mine, other in pairs
        )

    return value


def _over_ideal(scenario: str, key: str) -> Callable[[Run], float]:
    return lambda run: run.outcomes[scenario].median(key, lambda result: result.wall) / run.outcomes[scenario].scenario.ideal


def _connections(run: Run) -> float:
    outcome = run.outcomes["first"]
    keys = ("core", "core-async", "lc", "lc-async", "li", "li-async")
    return float(max(max(outcome.connections[key]) for key in keys))


def _linear(key: str) -> Callable[[Run], float]:
    """How much more a byte costs in an answer twice as long, whose events have four times the bytes."""
    return lambda run: run.outcomes["cumulative"].median(key) / run.outcomes["half"].median(key) / 4


def _wrong(run: Run) -> float:
    return float(sum(outcome.wrong(key) for outcome in run.outcomes.values() for key in outcome.results))


def _faster(run: Run) -> float:
    return 1 / run.outcomes["searches"].ratio("core-async", "sdk-async", lambda result: result.wall)


TARGETS = (
    Target("texts and searches that are not right, of all contenders", 0, _wrong),
    Target("LangChain `.stream` / LangChain alone", 1.6, _cpu("deltas", "lc", "lc-floor"), ("deltas", "lc"), why=_PIECE),
    Target(
        "LangChain `.astream` / LangChain alone, pieces not merged",
        1.3,
        _cpu("deltas", "lc-apart-async", "lc-floor-async"),
        ("deltas", "lc-apart-async"),
        why=_PIECE,
    ),
    Target("LangChain `.astream` as it is / LangChain alone", 1.3, _cpu("deltas", "lc-async", "lc-floor-async")),
    Target(
        "LangChain `.stream`, stateless / langchain-openai, which is on the same route",
        0.17,
        _cpu("deltas", "lc-stateless", "lc-openai"),
        ("deltas", "lc-stateless"),
        why=_PIECE,
    ),
    Target("LlamaIndex `stream_chat` / LlamaIndex alone", 1.6, _cpu("deltas", "li", "li-floor"), ("deltas", "li"), why=_PULLED),
    Target(
        "LlamaIndex `astream_chat` / LlamaIndex alone, pieces not merged",
        1.3,
        _cpu("deltas", "li-apart-async", "li-floor-async"),
        ("deltas", "li-apart-async"),
        why=_PULLED,
    ),
    Target(
        "LlamaIndex `astream_chat` as it is / LlamaIndex alone",
        1.3,
        _cpu("deltas", "li-async", "li-floor-async"),
        ("deltas", "li-async"),
        why=_PULLED,
    ),
    Target(
        "cumulative, 5,000 events / JSON decoding alone",
        1.5,
        _cpu("cumulative", "core", "json"),
        ("cumulative", "core"),
        why=_MEMORY,
    ),
    Target("the same, async", 1.5, _cpu("cumulative", "core-async", "json"), ("cumulative", "core-async"), why=_MEMORY),
    Target("cumulative, cost of a byte, 76 MB / 19 MB", 1.15, _linear("core"), ("cumulative", "core")),
    Target(
        "reference of 500 KB, added to a bare socket",
        5,
        _added("reference", "core", "raw", first=False),
        ("reference", "core"),
        unit=" ms",
        why=_CHUNKS,
    ),
    Target("new connections in 200 answers on one client", 0, _connections),
    Target("100 streams, async: wall / ideal", 1.02, _over_ideal("hundred", "core-async"), why=_OPENING),
    Target(
        "1,000 streams, async: wall / ideal",
        1.2,
        _over_ideal("thousand", "core-async"),
        ("thousand", "core-async"),
        why=_OPENING,
    ),
    Target(
        "1,000 streams, LangChain: wall / ideal",
        1.2,
        _over_ideal("thousand", "lc-async"),
        ("thousand", "lc-async"),
        why=_OPENING,
    ),
    Target(
        "1,000 streams, LlamaIndex: wall / ideal",
        1.2,
        _over_ideal("thousand", "li-async"),
        ("thousand", "li-async"),
        why=_OPENING,
    ),
    Target(
        "first piece, added to a bare socket", 1.0, _added("first", "core", "raw", first=True), ("first", "core"), unit=" ms"
    ),
    Target(
        "first piece, added to a bare socket, async",
        0.6,
        _added("first", "core-async", "raw-async", first=True),
        ("first", "core-async"),
        unit=" ms",
    ),
    Target("searches, 64 in flight, async: as fast as ragflow-async-sdk, times", 3, _faster, least=True),
    Target("import of the core / requests", 1.3, lambda run: run.imports.ratio("**core**", "requests"), why=_DEFINITIONS),
    Target(
        "import of the LangChain half / langchain_core's chat model",
        1.05,
        lambda run: run.imports.ratio("**LangChain half**", "langchain_core chat model"),
        why=_DEFINITIONS,
    ),
    Target(
        "import of the LlamaIndex half / llama_index.core",
        1.05,
        lambda run: run.imports.ratio("**LlamaIndex half**", "llama_index.core"),
        why=_DEFINITIONS,
    ),
)
