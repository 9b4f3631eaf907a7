"""What a model is sent: the assistant's prompt with its variables, what was found, and the conversation so far."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ragflow_integrations.emulator.answering import Hit

_KNOWLEDGE: Final = "knowledge"
_PLACE: Final = re.compile(r"\{(\w+)\}")
_REFERRING: Final = re.compile(r"\b(?:it|its|they|them|their|this|that|these|those|there|he|she|his|her)\b", re.IGNORECASE)


def missing_variable(config: Mapping[str, Any], values: Mapping[str, Any]) -> KeyError | None:
    """Return the error of a question that leaves out a variable which the assistant's prompt must have.

    Args:
        config: The assistant's ``prompt_config``.
        values: The fields of the request.

    Returns:
        What the server raises; None if nothing is missing.
    """
    for parameter in config.get("parameters") or []:
        key = parameter.get("key")
        if key != _KNOWLEDGE and key not in values and not parameter.get("optional"):
            return KeyError(f"Miss parameter: {key}")
    return None


def knowledge(hits: Sequence[Hit]) -> str:
    """Return the retrieved chunks, numbered as the model cites them."""
    return "\n\n------\n\n".join(f"ID: {index}\n{hit.chunk.content}" for index, hit in enumerate(hits))


def fill(config: Mapping[str, Any], values: Mapping[str, Any], hits: Sequence[Hit]) -> str:
    """Return the assistant's prompt with the retrieved chunks and the variables of the question filled in.

    A variable that may be left out, and was, is a blank.
    """
    filled = {**values, _KNOWLEDGE: f"\n------\n{knowledge(hits)}"}
    optional = {parameter.get("key") for parameter in config.get("parameters") or []}

    def value(place: re.Match[str]) -> str:
        name = place[1]
        if name in filled:
            return str(filled[name])
        return " " if name in optional else place[0]

    return _PLACE.sub(value, str(config.get("system", "")))


def conversation(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages that the model receives: without those of the assistant before the user's first."""
    kept = [message for message in messages if message.get("role") != "system"]
    first = next((index for index, message in enumerate(kept) if message.get("role") != "assistant"), len(kept))
    return [{"role": message["role"], "content": message["content"]} for message in kept[first:]]


def standalone(question: str, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the search text of a follow-up question: one that refers to something gets the question before it.

    The server has a model rewrite the question instead (``refine_multiturn``).
    """
    earlier = [str(message.get("content")) for message in messages if message.get("role") == "user"]
    return f"{earlier[-1]} {question}" if earlier and _REFERRING.search(question) else question
