"""Metadata conditions as each release compares them; the rows are those of docs/protocol.md, "Metadata operators"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator.eras import era_of
from ragflow_integrations.emulator.metadata import matching_documents
from ragflow_integrations.emulator.store import Dataset, Document, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA: dict[str, dict[str, Any]] = {
    "sales": {"team": "Sales", "year": 2020, "day": "2024-05-01"},
    "hr": {"team": "hr", "year": 2024, "day": "soon"},
    "both": {"team": ["Sales", "hr"]},
    "blank": {"team": ""},
    "none": {},
}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store()
    store.put(Dataset(id="d", name="d"))
    for name, metadata in METADATA.items():
        store.put(Document(id=name, dataset_id="d", name=f"{name}.txt", meta_fields=metadata))
    yield store
    store.close()


def condition(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"name": name, "comparison_operator": operator, "value": value}


def matching(
    store: Store, version: str, *conditions: dict[str, Any], logic: str = "and", in_retrieval: bool = True
) -> set[str]:
    given = {"logic": logic, "conditions": list(conditions)}
    return set(matching_documents(store, era_of(version), ["d"], given, in_retrieval=in_retrieval))


@pytest.mark.parametrize(
    ("version", "operator", "value", "expected"),
    [
        ("0.20.5", "is", "sales", set()),  # texts keep their case
        ("0.20.5", "is", "Sales", {"sales"}),  # a list is one text
        ("0.20.5", "contains", "sales", {"sales", "both"}),
        ("0.20.5", "in", ["Sales"], set()),  # unknown
        ("0.23.1", "is", "SALES", {"sales", "both"}),
        ("0.23.1", "contains", "the sales team", {"sales", "both", "blank"}),  # reversed
        ("0.23.1", "contains", "ale", {"blank"}),
        ("0.23.1", "in", ["sales"], {"sales", "both"}),
        ("0.23.1", "in", ["Sales"], set()),  # items must be in lower case
        ("0.24.0", "is", "sales", set()),  # compared with the text of a list
        ("0.24.0", "is", "['Sales']", {"sales"}),
        ("0.24.0", "not is", "sales", {"sales", "hr", "both", "blank"}),
        ("0.24.0", "contains", "sales", {"sales", "both"}),
        ("0.25.3", "is", "sales", {"sales", "both"}),
        ("0.25.3", "not is", "sales", {"hr", "both", "blank"}),
        ("0.25.3", "in", ["SALES"], {"sales", "both"}),
        ("0.25.3", "start with", "s", {"sales", "both"}),
        ("0.25.3", "end with", "R", {"hr", "both"}),
        ("0.25.3", "empty", "", {"blank"}),
        ("0.25.3", "not empty", "", {"sales", "hr", "both"}),
        ("0.25.3", "nonsense", "x", set()),
        ("0.27.0", "not in", ["hr"], {"sales", "both", "blank"}),
        ("0.27.0", "not contains", "r", {"sales", "both", "blank"}),
    ],
)
def test_texts(store: Store, version: str, operator: str, value: Any, expected: set[str]) -> None:
    assert matching(store, version, condition("team", operator, value)) == expected


@pytest.mark.parametrize(
    ("version", "compared", "expected"),
    [
        ("0.20.5", ("year", ">", "2021"), {"hr"}),
        ("0.23.1", ("year", "=", 2020), {"sales"}),
        ("0.23.1", ("year", "=", "2020"), set()),  # the type counts
        ("0.23.1", ("year", ">=", 2020), set()),  # this spelling is unknown
        ("0.25.3", ("year", ">=", 2020), {"sales", "hr"}),
        ("0.25.3", ("year", ">=", "2021"), {"hr"}),
        ("0.27.0", ("year", "=", "2020"), {"sales"}),
        ("0.27.0", ("year", "=", 2020), set()),  # a JSON number equals nothing
        ("0.27.0", ("year", "≠", 2020), {"sales", "hr"}),
        ("0.27.0", ("year", "<", "2021"), {"sales"}),
        ("0.25.3", ("day", "≠", "2024-05-02"), {"sales"}),  # only dates take part
        ("0.25.3", ("day", ">", "2024-04-30"), {"sales"}),
    ],
)
def test_numbers_and_dates(store: Store, version: str, compared: tuple[str, str, Any], expected: set[str]) -> None:
    assert matching(store, version, condition(*compared)) == expected


def test_completions_of_0_24_compare_other_values(store: Store) -> None:
    assert matching(store, "0.24.0", condition("team", "is", "sales"), in_retrieval=False) == {"sales", "both"}


SALES, NOTHING, UNKNOWN = condition("team", "is", "Sales"), condition("team", "is", "x"), condition("zzz", "is", "x")


@pytest.mark.parametrize(
    ("version", "logic", "conditions", "expected"),
    [
        ("0.20.5", "and", [NOTHING, SALES], set()),
        ("0.20.5", "and", [UNKNOWN, SALES], {"sales"}),  # a field that no document has is skipped
        ("0.20.5", "or", [SALES, condition("year", "=", "2024")], set()),  # `logic` is not read
        ("0.23.1", "and", [UNKNOWN, SALES], {"sales", "both"}),
        ("0.23.1", "or", [NOTHING, SALES], set()),  # ends at the first that matches nothing
        ("0.25.6", "and", [NOTHING, SALES], {"sales", "both"}),  # ragflow#15360
        ("0.25.6", "and", [UNKNOWN, NOTHING, SALES], {"sales", "both"}),
        ("0.25.6", "and", [SALES, NOTHING], set()),
        ("0.25.6", "or", [NOTHING, SALES], {"sales", "both"}),
        ("0.26.4", "and", [NOTHING, SALES], set()),
        ("0.27.0", "AND", [NOTHING, SALES], {"sales", "both"}),  # anything but "and" is "or"
    ],
)
def test_logic(store: Store, version: str, logic: str, conditions: list[dict[str, Any]], expected: set[str]) -> None:
    assert matching(store, version, *conditions, logic=logic) == expected
