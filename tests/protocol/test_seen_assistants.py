"""What listings show of assistants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations._protocol.compat.seen_assistants import SeenAssistant, SeenAssistants
from ragflow_integrations._protocol.http import Request

if TYPE_CHECKING:
    from ragflow_integrations.models import JsonObject

LISTING = Request("GET", "/chats")


def listing(*chats: JsonObject) -> JsonObject:
    return {"code": 0, "data": {"chats": [dict(chat) for chat in chats]}}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ({}, SeenAssistant(researches=False, cites=True, max_chunks=6)),
        ({"reasoning": True}, SeenAssistant(researches=True, cites=True, max_chunks=None)),
        ({"reasoning": "0"}, SeenAssistant(researches=False, cites=True, max_chunks=None)),
        ({"quote": False}, SeenAssistant(researches=False, cites=False, max_chunks=6)),
        ({"use_kg": True}, SeenAssistant(researches=False, cites=True, max_chunks=None)),
    ],
)
def test_settings_that_matter(prompt: dict[str, Any], expected: SeenAssistant) -> None:
    seen = SeenAssistants()
    seen.observe(LISTING, listing({"id": "a", "top_n": 6, "prompt_config": prompt}))
    assert seen.get("a") == expected
    assert seen.get("b") is None


def test_other_replies_show_nothing() -> None:
    seen = SeenAssistants()
    seen.observe(Request("POST", "/chats"), listing({"id": "a"}))
    seen.observe(Request("GET", "/chats/a/sessions"), listing({"id": "a"}))
    seen.observe(LISTING, None)
    assert seen.get("a") is None


def test_only_so_many_are_remembered() -> None:
    seen = SeenAssistants()
    seen.observe(LISTING, listing({"id": "first"}))
    seen.observe(LISTING, listing(*[{"id": f"{number}"} for number in range(999)]))
    seen.observe(LISTING, listing({"id": "first"}, {"id": "last"}))
    assert seen.get("0") is None
    assert None not in (seen.get("first"), seen.get("1"), seen.get("last"))
