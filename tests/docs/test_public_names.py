"""A public name changes on purpose only."""

from __future__ import annotations

import sys

import pytest

from tests.docs import public_names


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="other versions of Python print signatures of the standard library anew"
)
def test_public_names_are_those_written_down() -> None:
    pytest.importorskip("ragflow_integrations.langchain")
    pytest.importorskip("ragflow_integrations.llamaindex")
    assert public_names.listing() == public_names.PAGE.read_text(encoding="utf-8"), "run: python -m tests.docs.public_names"
