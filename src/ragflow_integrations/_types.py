"""Words and limits that calls take: apart from the models, so that naming them does not load all that a server may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ragflow_integrations.errors import InvalidArgumentError

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = Mapping[str, "JsonValue"]
CitationStyle: TypeAlias = Literal["bracket", "raw", "none"]
Role: TypeAlias = Literal["user", "assistant", "system"]
ReasoningEffort: TypeAlias = Literal["off", "low", "medium", "high", "ultra"]


#: Seconds, some thirty years: more than the system's clocks take is no limit any more.
_LONGEST = 1e9


@dataclass(frozen=True, slots=True)
class Timeout:
    """Limits in seconds.

    Attributes:
        connect: For the connection to be made.
        read: The longest silence allowed, not the length of an answer: a server that retries its LLM sends nothing for minutes.
    """

    connect: float = 10.0
    read: float = 600.0

    def __post_init__(self) -> None:
        for name in ("connect", "read"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
                raise InvalidArgumentError("timeout", f"needs a positive number of seconds for {name}, not {value!r}")
