"""Metadata conditions: which documents a filter lets through, as each release compares.

The rules are those of the server's ``meta_filter`` and ``get_meta_by_kbs`` at each tag (source); ``docs/protocol.md`` has them
operator by operator. What a release gets wrong is wrong here too.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.eras import Combining, Comparison, StoredValues
from ragflow_integrations.emulator.responses import Refused, exception_reply
from ragflow_integrations.emulator.store import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Store

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda have, want: have == want,
    "≠": lambda have, want: have != want,
    ">": lambda have, want: have > want,
    "<": lambda have, want: have < want,
    "≥": lambda have, want: have >= want,
    "≤": lambda have, want: have <= want,
}
_TEXT: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "contains": lambda have, want: want in str(have),
    "not contains": lambda have, want: want not in str(have),
    "in": lambda have, want: have in want,
    "not in": lambda have, want: have not in want,
    "start with": lambda have, want: str(have).lower().startswith(str(want).lower()),
    "end with": lambda have, want: str(have).lower().endswith(str(want).lower()),
    "empty": lambda have, _: not have,
    "not empty": lambda have, _: bool(have),
}
_NAMES: Final = {"is": "=", "not is": "≠"}
_LATER_NAMES: Final = {">=": "≥", "<=": "≤", "!=": "≠"}


def _values(value: Any, stored: StoredValues) -> list[Any]:
    """Return the values that a release compares for one field of a document."""
    if stored is StoredValues.TEXT:
        return [str(value)]
    items = value if isinstance(value, list) else [value]
    if stored is StoredValues.RAW:
        return list(items)
    if stored is StoredValues.LIST_TEXT:
        return [str(items)]
    return [str(item) for item in items if item is not None]


def _literal(value: Any) -> Any:
    """Return the Python literal that a text is; else the value itself."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError):
        return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _floats(operator: str, actual: Any, expected: Any) -> bool:
    """Compare as up to 0.22.1: as numbers if both are, else as texts; ``contains`` and the like in lower case."""
    try:
        actual, expected = float(actual), float(expected)
    except (TypeError, ValueError):
        actual, expected = str(actual), str(expected)
    if operator in _ORDER:
        return _ORDER[operator](actual, expected)
    if operator in ("in", "not in"):  # not known yet
        return False
    if operator in ("contains", "not contains"):
        actual, expected = str(actual).lower(), str(expected).lower()
    return operator in _TEXT and _TEXT[operator](actual, expected)


def _raw(operator: str, actual: Any, expected: Any) -> bool:
    """Compare as 0.23.1: the values as they are; ``contains`` searches the condition's value for the document's."""
    if operator in _ORDER:
        parsed = _literal(actual)
        if isinstance(actual, str) and parsed is not actual:
            expected = _literal(expected)
        actual = parsed
    actual, expected = _lower(actual), _lower(expected)
    if operator in _ORDER:
        return _ORDER[operator](actual, expected)
    if operator in ("contains", "not contains"):
        actual, expected = expected, actual
        return (actual in expected) is False if operator == "not contains" else expected in actual
    return operator in _TEXT and _TEXT[operator](actual, expected)


def _literals(operator: str, actual: str, expected: Any, comparison: Comparison) -> bool:
    """Compare as from 0.24.0: dates as texts, then Python literals, else texts in lower case."""
    if operator in _ORDER:
        if _DATE.fullmatch(str(expected).strip()):
            return bool(_DATE.fullmatch(actual.strip())) and _ORDER[operator](actual.strip(), str(expected).strip())
        if comparison is Comparison.BOTH_LITERALS:
            parsed = _literal(actual), _literal(expected)
            if isinstance(expected, str) and all(new is not old for new, old in zip(parsed, (actual, expected), strict=True)):
                actual, expected = parsed
        else:
            parsed_actual = _literal(actual)
            if parsed_actual is not actual:  # the second is parsed only if the first was one
                actual, expected = parsed_actual, _literal(expected)
        return _ORDER[operator](_lower(actual), _lower(expected))
    actual = actual.lower()
    if isinstance(expected, list) and comparison is not Comparison.LITERALS_EXACT_LISTS:
        expected = [_lower(item) for item in expected]
    return operator in _TEXT and _TEXT[operator](actual, _lower(expected))


def _matches(era: Era, operator: str, actual: Any, expected: Any) -> bool:
    comparison = era.metadata_comparison
    try:
        if comparison is Comparison.FLOATS:
            return _floats(operator, actual, expected)
        if comparison is Comparison.RAW:
            return _raw(operator, actual, expected)
        return _literals(operator, actual, expected, comparison)
    except TypeError:  # a number beside a text: the server leaves the document out
        return False


def _documents(era: Era, condition: Mapping[str, Any], facts: Mapping[str, Mapping[str, list[Any]]]) -> set[str]:
    """Return the documents of which any value of the field fulfils the condition."""
    try:
        operator, name, expected = str(condition["comparison_operator"]), condition["name"], condition["value"]
    except KeyError as error:
        raise Refused(exception_reply(error)) from error
    names = _NAMES if era.metadata_comparison in (Comparison.FLOATS, Comparison.RAW) else {**_NAMES, **_LATER_NAMES}
    operator = names.get(operator, operator)
    return {
        document_id
        for document_id, fields in facts.items()
        if any(_matches(era, operator, actual, expected) for actual in fields.get(name, ()))
    }


def _facts(store: Store, dataset_ids: Iterable[str], stored: StoredValues) -> dict[str, dict[str, list[Any]]]:
    """Return the values that are compared, by document id and field."""
    return {
        document.id: {name: _values(value, stored) for name, value in document.meta_fields.items()}
        for key in dataset_ids
        for document in store.all(Document, parent=key)
    }


def matching_documents(
    store: Store, era: Era, dataset_ids: Iterable[str], condition: Mapping[str, Any], *, in_retrieval: bool = False
) -> list[str]:
    """Find the documents that a release lets through a metadata condition.

    Args:
        store: The store of the documents.
        era: The release.
        dataset_ids: The datasets to look in.
        condition: ``{"logic": "and" | "or", "conditions": [{"name", "comparison_operator", "value"}]}``.
        in_retrieval: Whether ``/retrieval`` asks; 0.24.0 compares other values there.

    Returns:
        Their ids.
    """
    facts = _facts(store, dataset_ids, (era.retrieval_metadata_values if in_retrieval else None) or era.metadata_values)
    conditions = list(condition.get("conditions") or [])
    if era.metadata_combining is Combining.ENDS_AT_NOTHING:
        known = {name for fields in facts.values() for name in fields}
        conditions = [item for item in conditions if item.get("name") in known]
    either = era.metadata_logic and condition.get("logic", "and") != "and"
    matching = _combined([_documents(era, item, facts) for item in conditions], era.metadata_combining, either=either)
    return [key for key in facts if key in matching]


def _combined(results: list[set[str]], combining: Combining, *, either: bool) -> set[str]:
    """Join the results of the conditions."""
    joined: set[str] | None = None
    for result in results:
        if joined is None or (combining is Combining.FORGETS_LEADING_NOTHING and not joined):
            joined = result
            if not joined and combining is Combining.ENDS_AT_NOTHING:
                break
        else:
            joined = joined | result if either else joined & result
            if not joined and not either:
                break
    return joined or set()
