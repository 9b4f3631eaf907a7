"""The messages that are sent as the history of a stateless question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragflow_integrations._protocol.answers.builder import MAX_CHUNKS
from ragflow_integrations.citations import strip_markers, strip_numbers
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations.models import JsonValue, Reference


def history(messages: Iterable[Message | Mapping[str, str]]) -> list[JsonValue]:
    """Check a history to send, and write it as the server reads it.

    Raises:
        InvalidArgumentError: It is empty, does not end with the user, or has messages that every server drops.
    """
    if isinstance(messages, str | Mapping) or not hasattr(messages, "__iter__"):
        raise InvalidArgumentError("messages", "must be a list of messages; write [{'role': 'user', 'content': …}] for one")
    written: list[JsonValue] = []
    for index, item in enumerate(messages):
        role, content = (item.role, item.content) if isinstance(item, Message) else _fields(index, item)
        reference = item.reference if isinstance(item, Message) else None
        if role == "system":
            raise InvalidArgumentError(
                f"messages[{index}]",
                "is a system message, which RAGFlow drops; put it into the assistant's prompt or a user message",
            )
        if role not in ("user", "assistant"):
            raise InvalidArgumentError(f"messages[{index}]", f"has the role {role!r}; roles are 'user' and 'assistant'")
        written.append({"role": role, "content": _unmarked(content, reference) if role == "assistant" else content})
    last = written[-1] if written else None
    if not isinstance(last, dict) or last["role"] != "user":
        raise InvalidArgumentError("messages", "must end with a message of the user, the question")
    return written


def _unmarked(content: str, reference: Reference | None) -> str:
    """Return the text of an assistant turn without markers, whatever their style: an LLM would copy them.

    ≥ 0.25 take a copied `[1]` for a citation of the chunk at index 1 (`CITATION_MARKER_PATTERN` in dialog_service.py).
    """
    if reference is None:
        return strip_numbers(strip_markers(content), MAX_CHUNKS, glued=False)
    return strip_numbers(strip_markers(content), len(reference.chunks))


def _fields(index: int, item: Mapping[str, str]) -> tuple[str, str]:
    name = f"messages[{index}]"
    if not isinstance(item, Mapping):
        raise InvalidArgumentError(name, f"must be a Message or a mapping with role and content, not {type(item).__name__}")
    role, content = item.get("role"), item.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        raise InvalidArgumentError(name, "needs a string under 'role' and one under 'content'")
    return role, content
