"""Options that a server drops, or honours wrongly, when they come together.

`features` says what single options need; this table says what becomes of two. A pair is *resolved* (we do ourselves what the
server would drop), *checked* (the server's result is held against the option here) or *refused* with an
`UnsupportedByServerError`. A pair that is not in the table is sent as it is. `docs/servers.md` is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ragflow_integrations._protocol.compat.features import Feature
from ragflow_integrations.errors import UnsupportedByServerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Route = Literal["retrieval", "session", "stateless"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two options, and what becomes of them together.

    Attributes:
        option: Name of an option.
        other: Name of the other, or what it is beside, in words.
        route: Call concerned.
        servers: Releases concerned, in words.
        server_does: What the server does with them.
        outcome: What this package does.
        instead: For a refused pair, what to do; for a resolved one, what is done if it is not the reading of metadata.
    """

    option: str
    other: str
    route: Route
    servers: str
    server_does: str
    outcome: Literal["resolved", "checked", "refused"]
    instead: str = ""


PAIRS: Final[tuple[Pair, ...]] = (
    Pair("document_ids", "metadata_condition", "retrieval", "all", "drops the condition", "resolved"),
    Pair(
        "document_ids",
        "metadata_condition",
        "session",
        "all",
        "replaces the ids by the condition (0.23.0–0.25.0), or drops the condition",
        "resolved",
    ),
    Pair("document_ids", "metadata_condition", "stateless", "≥ 0.27.0", "drops the condition", "resolved"),
    Pair(
        "metadata_condition",
        'a second condition joined by "and"',
        "retrieval",
        "0.24.0–0.25.6",
        "forgets conditions that match nothing until one matches",
        "resolved",
    ),
    Pair(
        "use_kg",
        "document_ids",
        "retrieval",
        "all",
        "adds a passage made of the whole dataset",
        "refused",
        "Search without `use_kg` under a filter.",
    ),
    Pair(
        "use_kg",
        "metadata_condition",
        "retrieval",
        "all",
        "adds a passage made of the whole dataset",
        "refused",
        "Search without `use_kg` under a filter.",
    ),
    Pair(
        "similarity_threshold",
        "document_ids",
        "retrieval",
        "0.18.0–0.20.1, 0.25.0, 0.25.1",
        "drops the threshold",
        "checked",
    ),
    Pair(
        "similarity_threshold",
        "vector_similarity_weight=0",
        "retrieval",
        "≥ 0.24.0",
        "drops the threshold",
        "checked",
    ),
    Pair(
        "limit",
        "rerank_id",
        "retrieval",
        "0.25.0–0.25.6",
        "skips candidates between pages that are no part of 64",
        "resolved",
        "pages of 64 chunks are asked for",
    ),
)


def refuse_pairs(route: Route, names: Collection[str]) -> None:
    """Refuse options that exclude each other.

    Args:
        route: The call.
        names: The options given.

    Raises:
        UnsupportedByServerError: A pair of them is refused.
    """
    for pair in refused_pairs(route):
        if pair.option in names and pair.other in names:
            raise UnsupportedByServerError(
                f"`{pair.option}` beside `{pair.other}` is not honoured by any RAGFlow release: it {pair.server_does}. "
                f"{pair.instead}",
                feature=f"`{pair.option}` beside `{pair.other}`",
            )


def refused_pairs(route: Route) -> Iterable[Pair]:
    """Iterate over the pairs that a call refuses."""
    return (pair for pair in PAIRS if pair.outcome == "refused" and route == pair.route)


#: A metadata condition of a retrieval is sent from 0.25.2 on, whose results carry the metadata it is checked by; older releases
#: compare otherwise, or cannot be checked.
CONDITION_IN_RETRIEVAL: Final = Feature("one `metadata_condition` in a retrieval", (0, 25, 2))
#: Two conditions joined by "and" are sent from 0.26.0 on.
CONDITIONS_JOINED: Final = Feature(
    '`metadata_condition` of two conditions joined by "and" without a session', (0, 26, 0), instead="Ask in a session."
)
#: Datasets of tables (chunk method "table") are asked by SQL, within the documents named only from 0.27.0 on.
SQL_WITHIN_DOCUMENTS: Final = Feature("a filter on a dataset of tables", (0, 27, 0))
