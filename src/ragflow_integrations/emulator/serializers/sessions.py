"""JSON of chat sessions, with the references of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.eras import History
from ragflow_integrations.emulator.serializers.times import times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Session

_HISTORY_KEYS: Final = (
    "id",
    "content",
    "document_id",
    "document_name",
    "dataset_id",
    "image_id",
    "positions",
)


def _history_chunks(reference: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{key: chunk[key] for key in _HISTORY_KEYS} for chunk in reference.get("chunks", [])]


def _by_index(assistant: list[int]) -> list[tuple[int, int]]:
    """Pair each message with the reference of its own index, which loses most references."""
    return [(index, index) for index in assistant if index]


def _of_answers(assistant: list[int]) -> list[tuple[int, int]]:
    """Pair the assistant's messages behind its opener with the references in their order."""
    return [(index, number) for number, index in enumerate(index for index in assistant if index)]


def _of_all(assistant: list[int]) -> list[tuple[int, int]]:
    """Pair all messages of the assistant with the references: the opener has the first answer's."""
    return [(index, number) for number, index in enumerate(assistant)]


_PAIRINGS: Final = {
    History.BY_INDEX: _by_index,
    History.ANSWERS: _of_answers,
    History.ALIGNED: _of_answers,
    History.SHIFTED: _of_all,
}
"""From the indices of the assistant's messages to pairs of a message's index and a reference's."""


def _messages_with_references(era: Era, session: Session) -> list[dict[str, Any]]:
    messages = [dict(message) for message in session.messages]
    references = [_history_chunks(reference) for reference in session.references]
    assistant = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if era.history is History.ALIGNED and assistant[:1] == [0]:
        messages[0]["reference"] = []
    for index, number in _PAIRINGS[era.history](assistant):
        if number < len(references):
            messages[index]["reference"] = references[number]
    return messages


def session_object(era: Era, session: Session, *, avatar: bool = False, created: bool = False) -> dict[str, Any]:
    """Return a chat session.

    Args:
        era: The era.
        session: The session.
        avatar: Whether it has the assistant's picture, as in the reply to a GET of one session.
        created: Whether it answers the creation, when older servers add no references to its messages.

    Returns:
        The object.
    """
    fields: dict[str, Any] = {
        "id": session.id,
        "chat_id": session.owner_id,
        "name": session.name,
        "user_id": session.user_id,
    } | times(era, session)
    if era.history is History.TOP_LEVEL:
        fields |= {"messages": session.messages, "reference": session.references}
        return fields | {"avatar": ""} if avatar else fields
    return fields | {"messages": session.messages if created else _messages_with_references(era, session)}
