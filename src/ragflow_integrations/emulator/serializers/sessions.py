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


def _messages_with_references(era: Era, session: Session) -> list[dict[str, Any]]:
    messages = [dict(message) for message in session.messages]
    references = [_history_chunks(reference) for reference in session.references]
    if era.history is History.BY_INDEX:
        places = [(at, at) for at, message in enumerate(messages) if at and message["role"] == "assistant"]
    else:
        assistant = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
        answers = [at for at in assistant if at]
        if era.history is History.ALIGNED and assistant[:1] == [0]:
            messages[0]["reference"] = []
        chosen = assistant if era.history is History.SHIFTED else answers
        places = [(at, number) for number, at in enumerate(chosen)]
    for at, number in places:
        if number < len(references):
            messages[at]["reference"] = references[number]
    return messages


def session_object(era: Era, session: Session, *, avatar: bool = False, created: bool = False) -> dict[str, Any]:
    """A chat session.

    Args:
        era: The era.
        session: The session.
        avatar: Whether the assistant's picture stands in it, as in the reply to a GET of one session.
        created: Whether it answers the creation, when older servers add no references to its messages.

    Returns:
        The object.
    """
    seen: dict[str, Any] = {
        "id": session.id,
        "chat_id": session.owner_id,
        "name": session.name,
        "user_id": session.user_id,
    } | times(era, session)
    if era.history is History.TOP_LEVEL:
        seen |= {"messages": session.messages, "reference": session.references}
        return seen | {"avatar": ""} if avatar else seen
    return seen | {"messages": session.messages if created else _messages_with_references(era, session)}
