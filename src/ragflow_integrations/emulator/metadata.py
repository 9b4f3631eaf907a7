"""Metadata conditions: which documents a filter lets through, as each release compares.

The rules are those of the server's ``meta_filter`` and ``get_meta_by_kbs`` at each tag (source); ``docs/protocol.md`` has them
operator by operator. What a release gets wrong is wrong here too.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.eras import Combining, Comparison, StoredValues
from ragflow_integrations.emulator.replies import Refused, exception_reply
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
    """The values that a release compares for one field of a document."""
    if stored is StoredValues.TEXT:
        return [str(value)]
    items = value if isinstance(value, list) else [value]
    if stored is StoredValues.RAW:
        return list(items)
    if stored is StoredValues.LIST_TEXT:
        return [str(items)]
    return [str(item) for item in items if item is not None]


def _literal(value: Any) -> Any:
    """A Python literal, if a text is one."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError):
        return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _floats(operator: str, have: Any, want: Any) -> bool:
    """Up to 0.22.1: as numbers where both are, else as texts; ``contains`` and the like in lower case."""
    try:
        have, want = float(have), float(want)
    except (TypeError, ValueError):
        have, want = str(have), str(want)
    if operator in _ORDER:
        return _ORDER[operator](have, want)
    if operator in ("in", "not in"):  # not known yet
        return False
    if operator in ("contains", "not contains"):
        have, want = str(have).lower(), str(want).lower()
    return operator in _TEXT and _TEXT[operator](have, want)


def _raw(operator: str, have: Any, want: Any) -> bool:
    """0.23.1: as the values are; ``contains`` looks for the document's value in the condition's."""
    if operator in _ORDER:
        parsed = _literal(have)
        if isinstance(have, str) and parsed is not have:
            want = _literal(want)
        have = parsed
    have, want = _lower(have), _lower(want)
    if operator in _ORDER:
        return _ORDER[operator](have, want)
    if operator in ("contains", "not contains"):
        have, want = want, have
        return (have in want) is False if operator == "not contains" else want in have
    return operator in _TEXT and _TEXT[operator](have, want)


def _literals(operator: str, have: str, want: Any, comparison: Comparison) -> bool:
    """From 0.24.0: dates as texts, then as Python literals, else as texts in lower case."""
    if operator in _ORDER:
        if _DATE.fullmatch(str(want).strip()):
            return bool(_DATE.fullmatch(have.strip())) and _ORDER[operator](have.strip(), str(want).strip())
        if comparison is Comparison.BOTH_LITERALS:
            parsed = _literal(have), _literal(want)
            if isinstance(want, str) and all(new is not old for new, old in zip(parsed, (have, want), strict=True)):
                have, want = parsed
        else:
            parsed_have = _literal(have)
            if parsed_have is not have:  # the second is parsed only if the first was one
                have, want = parsed_have, _literal(want)
        return _ORDER[operator](_lower(have), _lower(want))
    have = have.lower()
    if isinstance(want, list) and comparison is not Comparison.LITERALS_EXACT_LISTS:
        want = [_lower(item) for item in want]
    return operator in _TEXT and _TEXT[operator](have, _lower(want))


def _matches(era: Era, operator: str, have: Any, want: Any) -> bool:
    comparison = era.metadata_comparison
    try:
        if comparison is Comparison.FLOATS:
            return _floats(operator, have, want)
        if comparison is Comparison.RAW:
            return _raw(operator, have, want)
        return _literals(operator, have, want, comparison)
    except TypeError:  # a number beside a text: the server lets the document out
        return False


def _documents(era: Era, condition: Mapping[str, Any], facts: Mapping[str, Mapping[str, list[Any]]]) -> set[str]:
    """The documents of which any value of the field fulfils one condition."""
    try:
        operator, name, want = str(condition["comparison_operator"]), condition["name"], condition["value"]
    except KeyError as error:
        raise Refused(exception_reply(error)) from error
    names = _NAMES if era.metadata_comparison in (Comparison.FLOATS, Comparison.RAW) else {**_NAMES, **_LATER_NAMES}
    operator = names.get(operator, operator)
    return {
        document_id
        for document_id, fields in facts.items()
        if any(_matches(era, operator, have, want) for have in fields.get(name, ()))
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
        store: Where they are.
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
        conditions = [one for one in conditions if one.get("name") in known]
    either = era.metadata_logic and condition.get("logic", "and") != "and"
    matching = _combined([_documents(era, one, facts) for one in conditions], era.metadata_combining, either=either)
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
