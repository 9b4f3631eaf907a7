"""Deep research: what an assistant whose "Reasoning" switch is on, or a body with ``reasoning``, adds to a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.eras import DeepResearch
from ragflow_integrations.emulator.model import Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.model import ModelRequest

TAGS = ("<retrieving>", "</retrieving>")


def applies(era: Era, config: Mapping[str, Any], requested: Any, *, native: bool, searches: bool) -> bool:
    """Return whether a turn does deep research.

    Args:
        era: The era.
        config: The assistant's ``prompt_config``.
        requested: ``reasoning`` of the body; None if it has none.
        native: Whether the route is the native one.
        searches: Whether the turn searches datasets.
    """
    switched_on = config.get("reasoning")
    if era.deep_research is DeepResearch.AGENTIC:
        level = switched_on if requested is None else requested
        return native and bool(level) and str(level).strip() != "0"
    by_request = requested if native and era.research_by_request else None
    keys = [parameter.get("key") for parameter in config.get("parameters") or []]
    return searches and "knowledge" in keys and bool(switched_on or by_request)


def cuts(era: Era) -> bool:
    """Return whether a reply that does not stream is only the first event."""
    return era.deep_research in (DeepResearch.FLAGS, DeepResearch.TAGS)


def log(request: ModelRequest) -> list[str]:
    """Return the progress messages of the search."""
    return [
        f"Searching by `{request.question}`...<br/>",
        f"Retrieval {len(request.hits)} results in 20.4ms<br/>",
        "Checking the sufficiency for retrieved information.<br/>",
        f"Yes, the retrieved information is sufficient for '{request.question}'.<br/>",
    ]


def inline(request: ModelRequest) -> Iterator[Token]:
    """Yield the search as reasoning in front of the answer, as up to 0.23.1."""
    for line in log(request):
        yield Token(line, thinking=True)


def events(era: Era, request: ModelRequest) -> Iterator[tuple[str, dict[str, bool]]]:
    """Yield the texts and flags of the events in front of the answer, from 0.24 on; the first is sent twice."""
    opened, closed = TAGS if era.deep_research is DeepResearch.TAGS else ("", "")
    flagged = era.deep_research is not DeepResearch.TAGS
    for _ in range(1 if era.deep_research is DeepResearch.AGENTIC else 2):
        yield opened, {"start_to_think": True} if flagged else {}
    for line in [] if era.deep_research is DeepResearch.AGENTIC else log(request):
        yield line, {}
    yield closed, {"end_to_think": True} if flagged else {}
