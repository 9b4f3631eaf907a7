"""Histories: messages of a framework as RAGFlow reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ragflow_integrations.citations import strip_markers
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import Message, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Roles by the names that the frameworks give them.
ROLES: Final[dict[str, Role]] = {
    **dict.fromkeys(("user", "human", "HumanMessageChunk"), "user"),
    **dict.fromkeys(("assistant", "ai", "AIMessageChunk", "chatbot", "model"), "assistant"),
    **dict.fromkeys(("system", "developer", "SystemMessageChunk"), "system"),
}


def role_of(name: str, role: str, hint: str = "") -> Role:
    """Return RAGFlow's name of a role.

    Args:
        name: Name of the message in errors.
        role: The framework's name.
        hint: What to do about a message of no such role.

    Raises:
        InvalidArgumentError: RAGFlow has no such role.
    """
    if role not in ROLES:
        raise InvalidArgumentError(
            name, f"is a {role!r} message; RAGFlow takes messages of the user and the assistant, and drops others{hint}"
        )
    return ROLES[role]


def message(role: Role, text: str, marker_spans: Iterable[tuple[int, int]] = ()) -> Message:
    """Write a message to send; the assistant's loses its citation markers, which no server reads.

    Args:
        role: Its role.
        text: Its text.
        marker_spans: Where markers are that cannot be told from text; the server's own are found without.
    """
    return Message(role=role, content=strip_markers(text, marker_spans) if role == "assistant" else text)


def check_ends_with_question(messages: Sequence[Message]) -> str:
    """Return the question that a history ends with.

    Raises:
        InvalidArgumentError: The last message is not the user's, or is empty.
    """
    if not messages or messages[-1].role != "user" or not messages[-1].content.strip():
        raise InvalidArgumentError("messages", "must end with a message of the user, the question, which must not be empty")
    return messages[-1].content


def prepend_system(messages: Sequence[Message], system: Sequence[str]) -> list[Message]:
    """Put the texts of system messages, which every server drops, in front of the first message of the user."""
    result = list(messages)
    first = next((index for index, item in enumerate(result) if item.role == "user"), None)
    if system and first is not None:
        result[first] = Message(role="user", content="\n\n".join([*system, result[first].content]))
    return result
