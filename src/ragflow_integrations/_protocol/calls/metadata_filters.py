"""Metadata conditions: checked, held against the metadata of documents, and written for the server.

A condition has one meaning here, whatever the release. Releases differ in nearly every operator (`docs/protocol.md`, "Metadata
conditions"), so a condition is sent only to a release that means the same, with every value as text; for the others the
documents' metadata are read and compared by `Group.matches`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from ragflow_integrations.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ragflow_integrations.models import JsonObject, JsonValue

Logic: TypeAlias = Literal["and", "or"]
Scalar: TypeAlias = "str | float | bool"

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d{1,300})?(?:[eE][-+]?\d{1,3})?")
#: Every spelling of an operator → the server's own; the server does not know all of them on every release.
OPERATORS: Final[dict[str, str]] = {
    **{name: name for name in ("contains", "not contains", "in", "not in", "start with", "end with", "empty", "not empty")},
    "is": "is",
    "=": "is",
    "==": "is",
    "not is": "not is",
    "is not": "not is",
    "≠": "not is",
    "!=": "not is",
    ">": ">",
    "<": "<",
    "≥": "≥",
    ">=": "≥",
    "≤": "≤",
    "<=": "≤",
}
#: Operators as vector stores spell them → the server's.
DOLLAR_OPERATORS: Final[dict[str, str]] = {
    "$eq": "is",
    "$ne": "not is",
    "$gt": ">",
    "$gte": "≥",
    "$lt": "<",
    "$lte": "≤",
    "$in": "in",
    "$nin": "not in",
    "$contains": "contains",
}
_ORDERING: Final = (">", "<", "≥", "≤")
_LISTS: Final = ("in", "not in")
_WITHOUT_VALUE: Final = ("empty", "not empty")
_MOST_LEVELS: Final = 8


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a document's metadata.

    Attributes:
        name: Field of the metadata.
        operator: The server's own spelling.
        value: A text, number or truth value; a tuple of them for `in` and `not in`; None for `empty` and `not empty`.
    """

    name: str
    operator: str
    value: Scalar | tuple[Scalar, ...] | None

    def matches(self, metadata: JsonObject) -> bool:
        """Return whether any value of the field fulfils the condition; a document without the field never does."""
        stored = metadata.get(self.name)
        values = stored if isinstance(stored, list) else [stored]
        return any(self._holds(str(value)) for value in values if value is not None)

    def _holds(self, text: str) -> bool:
        if self.operator in _WITHOUT_VALUE:
            return (text == "") is (self.operator == "empty")
        if isinstance(self.value, tuple):
            return (text.lower() in {str(item).lower() for item in self.value}) is (self.operator == "in")
        wanted = str(self.value)
        if self.operator in _TEXT_TESTS:
            return _TEXT_TESTS[self.operator](text.lower(), wanted.lower())
        return _compare(self.operator, text.strip(), wanted.strip())

    @property
    def exact_on_server(self) -> bool:
        """Whether the server lets no other document through: it orders a text and a number as texts, which is not done here."""
        return self.operator not in _ORDERING or _DATE.fullmatch(str(self.value).strip()) is not None

    @property
    def found_by_server(self) -> bool:
        """Whether the server lets all documents through that are let through here: it orders texts otherwise up to 0.26.4."""
        return self.exact_on_server or _number(str(self.value).strip()) is not None

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the condition as it was given."""
        value: JsonValue = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"name": self.name, "comparison_operator": self.operator, "value": "" if value is None else value}

    def for_server(self) -> dict[str, JsonValue]:
        """Return the condition as every release from 0.24.0 on understands it: values as text, those of lists in lower case."""
        value: JsonValue = "" if self.value is None else str(self.value)
        if isinstance(self.value, tuple):
            value = [str(item).lower() for item in self.value]
        return {"name": self.name, "comparison_operator": self.operator, "value": value}


_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, wanted: wanted in text,
    "not contains": lambda text, wanted: wanted not in text,
    "start with": str.startswith,
    "end with": str.endswith,
}


def _compare(operator: str, text: str, wanted: str) -> bool:
    """Compare dates with dates, numbers with numbers, and texts in lower case; unlike kinds are only unequal."""
    if _DATE.fullmatch(wanted):  # as the server: other values take no part, also in "not is"
        return bool(_DATE.fullmatch(text)) and _ordered(operator, text, wanted)
    numbers = [_number(text), _number(wanted)]
    if numbers[0] is not None and numbers[1] is not None:
        return _ordered(operator, numbers[0], numbers[1])
    if numbers == [None, None]:
        return _ordered(operator, text.lower(), wanted.lower())
    return operator == "not is"


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _ordered(operator: str, value: str | float, wanted: str | float) -> bool:
    """Compare two values of one kind."""
    if operator in ("is", "not is"):
        return (value == wanted) is (operator == "is")
    less: bool = value < wanted  # type: ignore[operator]  # both are texts, or both are numbers
    if operator == "<":
        return less
    if operator == "≥":
        return not less
    return (value != wanted and not less) if operator == ">" else (less or value == wanted)


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all ("and") or any ("or") must hold.

    Attributes:
        logic: How they are joined.
        items: Conditions and groups, at least one.
    """

    logic: Logic
    items: tuple[Condition | Group, ...]

    def matches(self, metadata: JsonObject) -> bool:
        """Return whether the metadata of a document fulfil the conditions."""
        results = (item.matches(metadata) for item in self.items)
        return all(results) if self.logic == "and" else any(results)

    @property
    def joined_by_and(self) -> bool:
        """Whether several conditions must all hold."""
        return self.logic == "and" and len(self.items) > 1

    @property
    def exact_on_server(self) -> bool:
        """Whether the server, from 0.26.0 on, lets no other document through."""
        return all(isinstance(item, Condition) and item.exact_on_server for item in self.items)

    @property
    def found_by_server(self) -> bool:
        """Whether the server, from 0.26.0 on, lets all documents through that are let through here."""
        return all(isinstance(item, Condition) and item.found_by_server for item in self.items)

    def fields(self) -> Iterator[str]:
        """Iterate over the names of the fields compared."""
        for item in self.items:
            if isinstance(item, Group):
                yield from item.fields()
            else:
                yield item.name

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the group as `metadata_condition` takes it."""
        return {"logic": self.logic, "conditions": [item.to_dict() for item in self.items]}

    def for_server(self) -> dict[str, JsonValue]:
        """Return the group as the server reads it; it must not be nested."""
        return {"logic": self.logic, "conditions": [item.for_server() for item in self.items if isinstance(item, Condition)]}


def parse(argument: str, value: object, *, level: int = 1) -> Group:
    """Check a metadata condition.

    Args:
        argument: Name of the argument, for messages.
        value: `{"logic": "and" | "or", "conditions": [{"name", "comparison_operator", "value"}, …]}`; a condition may be such a
            group itself.
        level: How deep the group is nested.

    Returns:
        The conditions.

    Raises:
        InvalidArgumentError: It has another shape, no condition, or an operator that does not exist.

    Example:
        >>> group = parse("f", {"conditions": [{"name": "year", "comparison_operator": ">=", "value": 2020}]})
        >>> group.matches({"year": "2024"}), group.matches({"year": 2019}), group.matches({})
        (True, False, False)
    """
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(argument, f"must be a mapping such as {_EXAMPLE}, not {type(value).__name__}")
    unknown = sorted(str(key) for key in value if key not in ("logic", "conditions"))
    if unknown or "conditions" not in value:
        problem = f"has the keys {unknown}" if unknown else "has no `conditions`"
        raise InvalidArgumentError(argument, f"{problem}; write {_EXAMPLE}")
    logic = value.get("logic", "and")
    if logic not in ("and", "or"):
        raise InvalidArgumentError(f"{argument}['logic']", f'must be "and" or "or", not {logic!r}')
    conditions = value["conditions"]
    if not isinstance(conditions, list | tuple) or not conditions:
        raise InvalidArgumentError(f"{argument}['conditions']", "must be a list of at least one condition")
    if level > _MOST_LEVELS:
        raise InvalidArgumentError(argument, f"is nested more than {_MOST_LEVELS} levels deep")
    items = [_item(f"{argument}['conditions'][{index}]", item, level) for index, item in enumerate(conditions)]
    return Group("or" if logic == "or" else "and", tuple(items))


_EXAMPLE: Final = '{"logic": "and", "conditions": [{"name": "team", "comparison_operator": "is", "value": "sales"}]}'


def _item(argument: str, value: object, level: int) -> Condition | Group:
    if isinstance(value, Mapping) and "conditions" in value:
        return parse(argument, value, level=level + 1)
    keys = set(value) if isinstance(value, Mapping) else set()
    if not isinstance(value, Mapping) or keys | {"value"} != {"name", "comparison_operator", "value"}:
        raise InvalidArgumentError(argument, "must be a mapping with `name`, `comparison_operator`, `value`, and no other key")
    operator = value["comparison_operator"]
    if operator not in OPERATORS:
        problem = f"is {operator!r}; operators are {', '.join(OPERATORS)}"
        raise InvalidArgumentError(f"{argument}['comparison_operator']", problem)
    return _condition(argument, value["name"], OPERATORS[operator], value.get("value"))


def _condition(argument: str, name: object, operator: str, value: object) -> Condition:
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgumentError(argument, "must name a field of the metadata, a string that is not empty")
    if operator in _WITHOUT_VALUE:
        return Condition(name, operator, None)
    if operator in _LISTS:
        if not isinstance(value, list | tuple) or not value:
            raise InvalidArgumentError(argument, f"needs a list of at least one value for {operator!r}, not {value!r}")
        return Condition(name, operator, tuple(_scalar(argument, item) for item in value))
    if isinstance(value, list | tuple):
        raise InvalidArgumentError(argument, f"has a list for {operator!r}; use 'in' or 'not in'")
    return Condition(name, operator, _scalar(argument, value))


def _scalar(argument: str, value: object) -> Scalar:
    if isinstance(value, bool | int | str) or (isinstance(value, float) and value - value == 0):  # neither infinite nor NaN
        return value
    raise InvalidArgumentError(argument, f"needs a text, a number or a truth value, not {value!r}")


def from_mapping(argument: str, metadata: Mapping[str, object]) -> Group:
    """Make conditions of what a document's metadata must be.

    Args:
        argument: Name of the argument, for messages.
        metadata: Field → a value that it must have, a list of values of which it must have one, or comparisons such as
            `{"$gte": 2020, "$lt": 2024}` or `{"contains": "draft"}`.

    Returns:
        The conditions, all of which must hold.

    Raises:
        InvalidArgumentError: It is empty, or a value or an operator is none.
    """
    if not isinstance(metadata, Mapping) or not metadata:
        raise InvalidArgumentError(argument, 'must name at least one field and its value, such as {"team": "sales"}')
    conditions: list[Condition] = []
    for name, value in metadata.items():
        place = f"{argument}[{name!r}]"
        if isinstance(value, Mapping):
            operators = {**OPERATORS, **DOLLAR_OPERATORS}
            unknown = [operator for operator in value if operator not in operators]
            if unknown or not value:
                known = ", ".join(operators)
                raise InvalidArgumentError(place, f"has unknown comparisons {unknown}; there are {known}")
            conditions += [_condition(place, name, operators[operator], wanted) for operator, wanted in value.items()]
        else:
            conditions.append(_condition(place, name, "in" if isinstance(value, list | tuple) else "is", value))
    return Group("and", tuple(conditions))


def both(first: Group | None, second: Group | None) -> Group | None:
    """Join two conditions so that both must hold; None is no condition."""
    if first is None or second is None:
        return first or second
    parts = [group.items if group.logic == "and" or len(group.items) == 1 else (group,) for group in (first, second)]
    return Group("and", (*parts[0], *parts[1]))
