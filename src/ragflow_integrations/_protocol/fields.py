"""JSON of the wire: parsing, and reading fields of objects whose shape varies between servers.

The readers never fail: a field that is missing or of another type reads as the default, so that an unforeseen server still
gives an answer. What must be there is checked where it is needed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic_core import from_json

from ragflow_integrations.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragflow_integrations.models import JsonObject, JsonValue


def parse(text: bytes | str) -> dict[str, JsonValue]:
    """Parse a JSON object; bare `NaN`, which servers ≤ 0.25.6 send, is accepted.

    Raises:
        ProtocolError: It is no JSON, or no object.
    """
    try:
        value: JsonValue = from_json(text)
    except ValueError as error:
        raise ProtocolError(f"The server sent malformed JSON: {error}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"The server sent JSON that is no object: {type(value).__name__}")
    return value


def text(data: JsonObject, *names: str) -> str:
    """Read the first of the names that holds a non-empty string; the first element where it holds a list of them."""
    for name in names:
        value = data.get(name)
        if isinstance(value, list) and value:
            value = value[0]  # knowledge-graph chunks have a list of dataset ids
        if isinstance(value, str) and value:
            return value
    return ""


def text_or_none(data: JsonObject, *names: str) -> str | None:
    """Like `text`, with None for an absent or empty string."""
    return text(data, *names) or None


def number(data: JsonObject, *names: str) -> float | None:
    """Read the first of the names that holds a finite number (or a string of one)."""
    for name in names:
        value = data.get(name)
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float | str):
            try:
                finite = math.isfinite(parsed := float(value))
            except (ValueError, OverflowError):  # no number, or a whole one beyond all floats
                continue
            if finite:
                return parsed if isinstance(value, str) else value
    return None


def integer(data: JsonObject, *names: str) -> int | None:
    """Like `number`, cut to a whole one."""
    value = number(data, *names)
    return None if value is None else int(value)


def seconds(data: JsonObject, *names: str) -> float | None:
    """Read a time: RAGFlow's `*_time` are milliseconds, `created_at` are seconds."""
    value = number(data, *names)
    milliseconds_from = 1e11  # the year 5138 in seconds, 1973 in milliseconds
    return value / 1000 if value is not None and value > milliseconds_from else value


def mapping(data: JsonObject, *names: str) -> JsonObject:
    """Read the first of the names that holds an object."""
    for name in names:
        value = data.get(name)
        if isinstance(value, dict):
            return value
    return {}


def objects(value: JsonValue) -> Iterator[JsonObject]:
    """Iterate over the objects of a list, or the values of an object (agents key their references)."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in values:
        if isinstance(item, dict):
            yield item


def strings(data: JsonObject, *names: str) -> tuple[str, ...]:
    """Read the first of the names that holds a list, as its strings."""
    for name in names:
        value = data.get(name)
        if isinstance(value, list):
            return tuple(item for item in value if isinstance(item, str))
    return ()
