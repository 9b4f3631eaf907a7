"""The table of "Faults", made from what the matrix expects; `python -m tests.faults --write` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.expected import ANSWER, ENDLESS, TABLE

if TYPE_CHECKING:
    from tests.faults.calls import Effect
    from tests.faults.expected import Expected

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
_COLUMNS: dict[str, tuple[Effect, bool]] = {
    "`ask`, `chat`": ("turn", False),
    "`stream`, `stream_chat`": ("turn", True),
    "`complete`, `invoke`": ("stateless", False),
    "`stream_complete`, LangChain’s `stream`": ("stateless", True),
    "`retrieve`, `list`": ("read", False),
}
_WORDS = {ANSWER: "the answer", ENDLESS: "text until you leave"}


def table() -> str:
    """Give the table as Markdown."""
    rows = [["", *_COLUMNS], ["---"] * (len(_COLUMNS) + 1)]
    rows += [[fault, *(_cell(expected, *column) for column in _COLUMNS.values())] for fault, expected in TABLE.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(expected: Expected, effect: Effect, streamed: bool) -> str:
    result = expected.of(streamed=streamed)
    if isinstance(result, str):
        return _WORDS[result]
    notes = []
    if streamed and expected.kept:
        notes.append("text kept")
    if expected.sends(effect) != 1:
        notes.append("tried again" if expected.sends(effect) else "nothing sent")
    return f"`{result.__name__}`" + "".join(f", {note}" for note in notes)


def write() -> None:
    """Write the table into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
