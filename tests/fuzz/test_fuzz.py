"""The targets, for a moment: cases once found, and recordings spoiled at random."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
CASES = [(target, path.name) for target in TARGETS for path in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize(("target", "name"), CASES)
def test_cases_once_found(target: str, name: str) -> None:
    TARGETS[target]((CORPUS / target / name).read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=100, deadline=None)
@given(kind=st.binary(min_size=3, max_size=3), at=st.integers(0, 10_000), seed=st.integers(0, 2**32))
def test_spoiled_recordings(target: str, kind: bytes, at: int, seed: int) -> None:
    inputs = seeds.inputs(target)
    TARGETS[target](kind + seeds.mutated(inputs[at % len(inputs)], random.Random(seed)))


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=100, deadline=None)
@given(
    kind=st.binary(min_size=3, max_size=3), words=st.lists(st.sampled_from(seeds.WORDS) | st.binary(max_size=8), max_size=40)
)
def test_words_that_mean_something(target: str, kind: bytes, words: list[bytes]) -> None:
    TARGETS[target](kind + b"".join(words))
