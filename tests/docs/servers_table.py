"""The table of "Servers and versions", made from the code that decides; run this module to write it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ragflow_integrations._protocol.compat import features
from ragflow_integrations._protocol.compat.server_version import Known
from tests.support.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations._protocol.compat.features import Feature

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
ALWAYS = (
    "chat assistants, sessions, datasets, documents, chunks, retrieval",
    "questions in a session and without, whole and streamed, cited",
    "`document_ids` and `variables` in a session",
    "related questions, health, server information",
)


def limits() -> Iterable[Feature]:
    yield features.AGENTS
    yield from features.AGENT_FEATURES.values()
    yield features.MESSAGES
    yield from features.SESSION_FEATURES.values()
    yield features.EFFORT_LEVELS
    yield from features.STATELESS_FEATURES.values()
    yield from features.RETRIEVAL_FEATURES.values()


def table() -> str:
    rows = [["", *RELEASES], ["---", *(":-:" for _ in RELEASES)]]
    rows += [[what, *("yes" for _ in RELEASES)] for what in ALWAYS]
    rows += [[feature.what, *(_answer(feature, era) for era in RELEASES)] for feature in limits()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _answer(feature: Feature, era: str) -> str:
    return "yes" if Known().told(era).supports(feature) else "–"


def write() -> None:
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    write()
