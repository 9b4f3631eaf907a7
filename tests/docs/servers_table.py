"""The table of "Servers and versions", made from the code that decides; run this module to write it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ragflow_integrations._protocol.compat import features
from ragflow_integrations._protocol.compat.pairs import CONDITIONS_JOINED, PAIRS
from ragflow_integrations._protocol.compat.server_version import VersionRange
from tests.docs.differences import DIFFERENCES
from tests.support.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations._protocol.compat.features import Feature

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
PAIRS_BEGIN, PAIRS_END = "<!-- pairs: begin -->\n", "<!-- pairs: end -->\n"
DIFFERENCES_BEGIN, DIFFERENCES_END = "<!-- differences: begin -->\n", "<!-- differences: end -->\n"
OUTCOMES = {
    "resolved": "the documents' metadata are read here and their ids sent",
    "checked": "the results are held against the option here",
    "refused": "`UnsupportedByServerError`",
}
ROUTES = {"retrieval": "retrieval", "session": "questions in a session", "stateless": "questions without a session"}
ALWAYS = (
    "chat assistants, sessions, datasets, documents, chunks, retrieval",
    "questions in a session and without, whole and streamed, cited",
    "`document_ids`, `metadata_condition` and `variables` in a session",
    "`document_ids` and `metadata_condition` in a retrieval",
    "related questions, health, server information",
)


def limits() -> Iterable[Feature]:
    yield features.AGENTS
    yield from features.AGENT_FEATURES.values()
    yield features.MESSAGES
    yield from features.SESSION_FEATURES.values()
    yield features.EFFORT_LEVELS
    yield features.ZERO_SETTINGS
    yield from features.STATELESS_FEATURES.values()
    yield CONDITIONS_JOINED
    yield from features.RETRIEVAL_FEATURES.values()


def table() -> str:
    rows = [["", *RELEASES], ["---", *(":-:" for _ in RELEASES)]]
    rows += [[what, *("yes" for _ in RELEASES)] for what in ALWAYS]
    rows += [[feature.what, *(_answer(feature, era) for era in RELEASES)] for feature in limits()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def pairs_table() -> str:
    rows = [["option", "beside", "in", "releases", "what the server does", "what becomes of it"], ["---"] * 6]
    for pair in PAIRS:
        becomes = pair.instead if pair.outcome == "resolved" and pair.instead else OUTCOMES[pair.outcome]
        option, other = (f"`{name}`" if " " not in name else name for name in (pair.option, pair.other))
        rows.append([option, other, ROUTES[pair.route], pair.servers, pair.server_does, becomes])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def differences_table() -> str:
    rows = [["release", "what it does", "what you see"], ["---"] * 3, *(row[:3] for row in DIFFERENCES)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _answer(feature: Feature, era: str) -> str:
    return "yes" if VersionRange().with_reported(era).supports(feature) else "–"


def write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for begin, end, written in (
        (BEGIN, END, table()),
        (PAIRS_BEGIN, PAIRS_END, pairs_table()),
        (DIFFERENCES_BEGIN, DIFFERENCES_END, differences_table()),
    ):
        before, rest = page.split(begin)
        page = before + begin + written + end + rest.split(end)[1]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write()
