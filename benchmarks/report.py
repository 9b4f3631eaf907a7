"""Figures → `RESULTS.md` and `results.svg`."""

from __future__ import annotations

import platform
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from benchmarks.clients import CONTENDERS
from benchmarks.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.imports import Imports
    from benchmarks.scenarios import Column, Found, Outcome
    from benchmarks.targets import Run, Target

_MEGA = 1024 * 1024
_PACKAGES = (
    "langchain-core",
    "llama-index-core",
    "requests",
    "urllib3",
    "aiohttp",
    "sseclient-py",
    "pydantic",
    "openai",
    "httpx",
)
_IMPORTS = (
    "The core loads most of its modules with the first client and the first question: see the line below it. The half of each "
    "framework is imported behind the framework itself, since how long LangChain's modules take depends on how deep in the "
    "stack their import begins: about 430 ms at the top, 530 ms below another module's import, which would be laid at our door."
)
_HEADINGS: dict[Column, str] = {
    "cpu": "CPU",
    "first": "first piece, ms",
    "wall": "wall, ms",
    "rate": "per second",
    "pieces": "pieces",
    "connections": "new connections",
    "memory": "memory, MB",
    "over ideal": "wall / ideal",
}

_INTRO = """# Benchmarks

Made by `make bench`. A scripted server in a process of its own sends bytes that were made beforehand, over loopback and without
TLS; each contender has a process of its own; they take turns in every round. **CPU** is the CPU time of that process;
"×" compares it with the first line of its mode, by round, and gives the median. Wall times tell little where the machine is
busy. Every text was compared with the one that was sent, every search counted: see "right".

"Alone" is a framework that is given its pieces from memory: nothing can be faster in it. The async clients merge what arrives
in one read, so a burst is a few pieces; "pieces not merged" is the same with that switched off, to compare piece with piece.
"""


def markdown(run: Run, found: Found, profiles: Mapping[str, list[str]], plot: str) -> str:
    """Write the report."""
    parts = [_INTRO, _machine(found), f"![CPU time per delta]({plot})", "## Targets", _targets(run)]
    for target in TARGETS:
        value = _value(target, run)
        if value is not None and not target.met(value):
            parts.append(_missed(target, value, profiles.get(target.what, [])))
    parts += [f"## {outcome.scenario.title}\n\n{_table(outcome)}" for outcome in run.outcomes.values()]
    if run.imports.costs:
        parts.append(f"## Imports, over a bare Python\n\n{_IMPORTS}\n\n{_imports(run.imports)}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _value(target: Target, run: Run) -> float | None:
    """Give a target's figure, None where a contender did not take part."""
    try:
        return target.value(run)
    except KeyError:
        return None


def missed(run: Run) -> list[Target]:
    """Give the targets that are missed."""
    return [target for target in TARGETS if (value := _value(target, run)) is not None and not target.met(value)]


def _machine(found: Found) -> str:
    versions = [f"{name} {text}" for name in _PACKAGES if (text := _version(name))]
    versions += [f"{name} {text}" for name, text in sorted(found.versions.items())]
    lines = [f"Python {platform.python_version()}; {', '.join(versions)}."]
    lines += [f"Not measured: {CONTENDERS[key].label}, which cannot be loaded ({why})." for key, why in found.missing.items()]
    if "ragflow-sdk" in found.versions:
        lines.append("Releases of ragflow-sdk after 0.22 need Python 3.13; the one above is the newest for this Python.")
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _targets(run: Run) -> str:
    rows = []
    for target in TARGETS:
        value = _value(target, run)
        if value is not None:
            limit = f"{'≥' if target.least else '≤'} {target.limit:g}{target.unit}"
            rows.append((target.what, limit, f"{value:.3g}{target.unit}", "met" if target.met(value) else "**missed**"))
    return _rows(("what", "target", "measured", ""), rows)


def _missed(target: Target, value: float, profile: list[str]) -> str:
    text = f"### Missed: {target.what}: {value:.3g}{target.unit}, target {target.limit:g}{target.unit}\n\n{target.why}"
    if profile:
        text += "\n\n```text\n" + "\n".join(profile) + "\n```"
    return text.strip()


def _table(outcome: Outcome) -> str:
    scenario = outcome.scenario
    rows = []
    first: dict[bool, str] = {}
    for key in outcome.results:
        mode = CONTENDERS[key].asynchronous
        base = first.setdefault(mode, key)
        cells = [_cell(outcome, key, column) for column in scenario.columns]
        wrong = outcome.wrong(key)
        rows.append((CONTENDERS[key].label, f"{outcome.ratio(key, base):.2f}", *cells, f"{wrong} wrong" if wrong else "yes"))
    headings = [f"CPU, µs per {scenario.unit[0]}" if column == "cpu" else _HEADINGS[column] for column in scenario.columns]
    return _rows(("", "×", *headings, "right"), rows)


def _cell(outcome: Outcome, key: str, column: Column) -> str:
    scenario, order = outcome.scenario, outcome.scenario.order
    rounds = order.times if order.at_once == 1 else 1
    match column:
        case "cpu":
            return f"{outcome.median(key) / scenario.unit[1] * 1e6:,.1f}"
        case "first":
            return f"{outcome.median(key, lambda result: result.first) * 1000:,.2f}"
        case "wall":
            return f"{outcome.median(key, lambda result: result.wall) / rounds * 1000:,.1f}"
        case "rate":
            return f"{order.times / outcome.median(key, lambda result: result.wall):,.0f}"
        case "pieces":
            return f"{outcome.median(key, lambda result: result.pieces):,.0f}"
        case "connections":
            return f"{sum(outcome.connections[key]) / len(outcome.connections[key]):g}"
        case "memory":
            return f"{outcome.results[key][0].memory / _MEGA:,.0f}"
        case "over ideal":
            return f"{outcome.median(key, lambda result: result.wall) / scenario.ideal:.2f}"


def _imports(imports: Imports) -> str:
    rows = [(name, f"{imports.seconds(name) * 1000:,.0f}", f"{imports.memory(name) / _MEGA:,.0f}") for name in imports.costs]
    return _rows(("", "CPU, ms", "memory, MB"), rows)


def _rows(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    headings = list(headings)
    lines = [headings, ["---", *("---:" for _ in headings[1:])], *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- plot ------------------------------------------------------------------------------------------------------------------

_BAR, _GAP, _LEFT, _WIDTH, _RIGHT = 18, 6, 300, 420, 70
_COLOURS = {"floor": "#9aa5b1", "ours": "#2f6fde", "peer": "#d9822b"}
_GROUPS = {
    "Sync": ("raw", "core", "sdk", "lc-floor", "lc", "lc-openai", "li-floor", "li", "li-openai"),
    "Async": (
        *("raw-async", "core-async", "sdk-async"),
        *("lc-floor-async", "lc-async", "lc-apart-async", "lc-openai-async"),
        *("li-floor-async", "li-async", "li-apart-async", "li-openai-async"),
    ),
}


def svg(outcome: Outcome) -> str:
    """Draw CPU time per delta as bars."""
    values = {key: outcome.median(key) / outcome.scenario.unit[1] * 1e6 for key in outcome.results}
    longest = max(values.values())
    shapes: list[str] = []
    y = 36
    for heading, keys in _GROUPS.items():
        shapes.append(f'<text x="12" y="{y + 14}" font-weight="bold">{heading}</text>')
        y += _BAR + _GAP
        for key in keys:
            if key in values:
                shapes += _bar(key, values[key], longest, y)
                y += _BAR + _GAP
        y += _GAP
    legend = "".join(
        f'<rect x="{_LEFT + at * 130}" y="12" width="12" height="12" fill="{_COLOURS[kind]}"/>'
        f'<text x="{_LEFT + 18 + at * 130}" y="22">{label}</text>'
        for at, (kind, label) in enumerate((("floor", "floor"), ("ours", "this project"), ("peer", "others")))
    )
    width = _LEFT + _WIDTH + _RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" '
        'font-family="sans-serif" font-size="13">\n'
        f"<title>CPU time per delta, {escape(outcome.scenario.title)}</title>\n"
        f'<rect width="{width}" height="{y}" fill="#ffffff"/>\n'
        f'<text x="12" y="22" font-weight="bold">µs CPU per delta</text>{legend}\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def _bar(key: str, value: float, longest: float, y: int) -> list[str]:
    label = CONTENDERS[key].label
    kind = "ours" if "**" in label or "apart" in key else "floor" if "raw" in key or "floor" in key else "peer"
    length = max(1, round(value / longest * _WIDTH))
    return [
        f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(label.replace("**", ""))}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{length}" height="{_BAR}" fill="{_COLOURS[kind]}"/>',
        f'<text x="{_LEFT + length + 6}" y="{y + 14}">{value:.1f}</text>',
    ]
