"""Metadata conditions: which documents a filter lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.store import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ragflow_integrations.emulator.store import Store


def _comparable(value: Any) -> tuple[int, Any]:
    """A key that orders numbers as numbers, and texts as texts in lower case."""
    try:
        return 0, float(value)
    except (TypeError, ValueError):
        return 1, str(value).lower()


def _items(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else str(value).split(",")
    return [str(part).strip().lower() for part in parts]


_TESTS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "contains": lambda have, want: str(want).lower() in str(have).lower(),
    "not contains": lambda have, want: str(want).lower() not in str(have).lower(),
    "in": lambda have, want: str(have).lower() in _items(want),
    "not in": lambda have, want: str(have).lower() not in _items(want),
    "start with": lambda have, want: str(have).lower().startswith(str(want).lower()),
    "end with": lambda have, want: str(have).lower().endswith(str(want).lower()),
    "=": lambda have, want: _comparable(have) == _comparable(want),
    "≠": lambda have, want: _comparable(have) != _comparable(want),
    ">": lambda have, want: _comparable(have) > _comparable(want),
    "<": lambda have, want: _comparable(have) < _comparable(want),
    "≥": lambda have, want: _comparable(have) >= _comparable(want),
    "≤": lambda have, want: _comparable(have) <= _comparable(want),
    "empty": lambda have, _: not have,
    "not empty": lambda have, _: bool(have),
}
_SYNONYMS: Final = {"is": "=", "==": "=", "not is": "≠", "is not": "≠", "!=": "≠", ">=": "≥", "<=": "≤"}


def _holds(condition: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    operator = str(condition.get("comparison_operator", "="))
    test = _TESTS.get(_SYNONYMS.get(operator, operator))
    name = condition.get("name", "")
    if test is None or (name not in facts and operator != "empty"):
        return False
    value = facts.get(name)
    wanted = condition.get("value", "")
    return any(test(item, wanted) for item in value) if isinstance(value, list) else test(value, wanted)


def matching_documents(store: Store, dataset_ids: Iterable[str], condition: Mapping[str, Any]) -> list[str]:
    """Find the documents that fulfil a metadata condition.

    Args:
        store: Where they are.
        dataset_ids: The datasets to look in.
        condition: ``{"logic": "and" | "or", "conditions": [{"name", "comparison_operator", "value"}]}``.

    Returns:
        Their ids.
    """
    together = any if condition.get("logic") == "or" else all
    conditions = condition.get("conditions") or []
    return [
        document.id
        for key in dataset_ids
        for document in store.all(Document, parent=key)
        if together(_holds(one, document.meta_fields) for one in conditions)
    ]
