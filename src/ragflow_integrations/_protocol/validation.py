"""Checks of what callers pass: wrong arguments are refused before anything is sent, by name and with the fix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ragflow_integrations.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.models import JsonValue


def text(name: str, value: object, *, example: str = "") -> str:
    """Check a string that must say something."""
    if not isinstance(value, str):
        raise InvalidArgumentError(name, f"must be a string{example and f' such as {example}'}, not {type(value).__name__}")
    if not value.strip():
        raise InvalidArgumentError(name, f"must not be empty{example and f'; give one such as {example}'}")
    return value


def ids(name: str, value: object) -> list[str]:
    """Check a non-empty sequence of ids."""
    return _texts(name, value, "id")


def texts(name: str, value: object, *, empty: bool = False) -> list[str]:
    """Check a sequence of strings, which may be empty if that means none."""
    return [] if empty and isinstance(value, list | tuple) and not value else _texts(name, value, "string")


def _texts(name: str, value: object, kind: str) -> list[str]:
    """One string alone is a mistake, since a string is a sequence too."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidArgumentError(name, f"must be a list of {kind}s, not {type(value).__name__}; write [{kind}] for one")
    found = [text(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if not found:
        raise InvalidArgumentError(name, f"must name at least one {kind}")
    return found


def positive(name: str, value: object) -> int:
    """Check a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidArgumentError(name, f"must be a whole number above 0, not {value!r}")
    return value


def number(name: str, value: object) -> float:
    """Check a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidArgumentError(name, f"must be a number, not {value!r}")
    return value


def fraction(name: str, value: object) -> float:
    """Check a number from 0 to 1."""
    if not 0 <= number(name, value) <= 1:
        raise InvalidArgumentError(name, f"must be a number from 0 to 1, not {value!r}")
    return number(name, value)


def flag(name: str, value: object) -> bool:
    """Check a truth value."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(name, f"must be True or False, not {value!r}")
    return value


def string(name: str, value: object) -> str:
    """Check a string that may be empty."""
    if not isinstance(value, str):
        raise InvalidArgumentError(name, f"must be a string, not {type(value).__name__}")
    return value


def described(description: object) -> dict[str, str]:
    """Check the description of something, if one is given, and put it as bodies have it."""
    return {} if description is None else {"description": string("description", description)}


def json_object(name: str, value: object) -> dict[str, JsonValue]:
    """Check a mapping with string keys, of values that JSON has."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgumentError(name, f"must be a mapping with string keys, not {type(value).__name__}")
    return {key: json_value(f"{name}[{key!r}]", item) for key, item in value.items()}


def json_value(name: str, value: object) -> JsonValue:
    """Check a value that JSON has, with all that is in it."""
    if isinstance(value, Mapping):
        return json_object(name, value)
    if isinstance(value, list | tuple):
        return [json_value(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    what = repr(value) if isinstance(value, float) else type(value).__name__
    raise InvalidArgumentError(name, f"must be a value that JSON has (text, number, bool, None, list, mapping), not {what}")


def exactly_one(**given: object) -> str:
    """Check that exactly one of some arguments is given; returns its name."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        wanted = " or ".join(f"`{name}`" for name in given)
        got = f"not {' and '.join(f'`{name}`' for name in names)}" if names else "none was given"
        raise InvalidArgumentError(next(iter(given)), f"is one of several: give exactly one of {wanted}; {got}")
    return names[0]


def known(name: str, given: Iterable[str], allowed: Sequence[str]) -> None:
    """Check that all keys are known."""
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise InvalidArgumentError(name, f"has unknown keys {unknown}; known are {sorted(allowed)}")


#: Settings of an LLM's generation, under the names that every call gives them.
GENERATION: dict[str, Callable[[str, object], float]] = {
    **dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), number),
    "max_tokens": positive,
}
