"""Calls on sessions of chat assistants, and on their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields, models_from_json, validation
from ragflow_integrations._protocol.calls.chats import chat_subject
from ragflow_integrations._protocol.calls.paging import (
    Deletable,
    Page,
    PageFetcher,
    check_filters,
    collect,
    confirm,
    delete,
    listing,
    not_found_message,
    only,
    require_found,
)
from ragflow_integrations._protocol.compat import error_table, features, server_version
from ragflow_integrations._protocol.steps import Operation, Request, Subject, path
from ragflow_integrations.errors import (
    APIError,
    NotFoundError,
    SessionNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations.models import JsonValue, Session


def _sessions(chat_id: str) -> str:
    return path("chats", validation.text("chat_id", chat_id), "sessions")


def create_session(chat_id: str, name: str = "New session") -> Operation[Session]:
    """Create a session of a chat assistant."""
    reply = yield Request(
        "POST", _sessions(chat_id), json={"name": validation.text("name", name)}, subject=chat_subject(chat_id)
    )
    return models_from_json.session(fields.mapping(reply, "data"))


def list_sessions(chat_id: str, *, name: str | None = None, session_id: str | None = None) -> PageFetcher[Session]:
    """List the sessions of a chat assistant, the newest first."""
    check_filters(name=name)
    filters = {"name": name, "id": session_id}
    listed = listing(_sessions(chat_id), models_from_json.session, ("sessions",), filters, chat_subject(chat_id))
    pages = only(listed, lambda session: session_id in (None, session.id) and name in (None, session.name))

    def page(number: int) -> Operation[Page[Session]]:
        try:
            return (yield from pages(number))
        except APIError as error:
            error_table.refuse_if_sessions_unreadable(error)
            raise

    return page


def get_session(chat_id: str, session_id: str) -> Operation[Session]:
    """Get a session with its messages; asked for as a listing of one, which every release has."""
    validation.text("session_id", session_id)
    sessions = yield from collect(list_sessions(chat_id, session_id=session_id))
    one = next((session for session in sessions if session.id == session_id), None)
    listing = f"client.sessions.list({chat_id!r})"
    return require_found(one, SessionNotFoundError, not_found_message("session", session_id, "session_id and chat_id", listing))


def delete_sessions(chat_id: str, session_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete sessions of a chat assistant."""
    owner = chat_subject(chat_id)
    sessions = Deletable(_sessions(chat_id), "session", SessionNotFoundError, "session_ids", list_sessions(chat_id), owner)
    return delete(sessions, session_ids, delete_all=delete_all)


def update_session(chat_id: str, session_id: str, *, name: str) -> Operation[Session]:
    """Rename a session; PUT is an alias of PATCH where that is the verb (≥ 0.25.1)."""
    url_path = _session(chat_id, session_id)
    body: dict[str, JsonValue] = {"name": validation.text("name", name)}
    yield Request("PUT", url_path, json=body, subject=chat_subject(chat_id), part=session_subject(session_id))
    changed = yield from get_session(chat_id, session_id)
    confirm("session", name=(name, changed.name))
    return changed


def _session(chat_id: str, session_id: str) -> str:
    return _sessions(chat_id) + path(validation.text("session_id", session_id))


def session_subject(session_id: str) -> Subject:
    """Return a session as messages name it."""
    return Subject("session", session_id, SessionNotFoundError)


def delete_message(profile: server_version.ServerProfile, chat_id: str, session_id: str, message_id: str) -> Operation[None]:
    """Delete a turn: question and answer, which share the id."""
    url_path = _session(chat_id, session_id) + path("messages", validation.text("message_id", message_id))
    yield from server_version.require(profile, features.MESSAGES)
    yield from _check_message(chat_id, session_id, message_id)
    yield Request("DELETE", url_path, subject=chat_subject(chat_id), part=session_subject(session_id))


def _check_message(chat_id: str, session_id: str, message_id: str) -> Operation[None]:
    """Make sure that a message exists: the server accepts changes of any id, and does nothing then.

    Raises:
        NotFoundError: The session has no message with this id.
    """
    session = yield from get_session(chat_id, session_id)
    if message_id not in [message.id for message in session.messages]:
        listing = f"client.sessions.get({chat_id!r}, {session_id!r}).messages"
        raise NotFoundError(not_found_message("message", message_id, "message_id", listing))


def rate_message(
    profile: server_version.ServerProfile, chat_id: str, session_id: str, message_id: str, *, helpful: bool, comment: str | None
) -> Operation[None]:
    """Rate an answer."""
    url_path = _session(chat_id, session_id) + path("messages", validation.text("message_id", message_id), "feedback")
    body: dict[str, JsonValue] = {"thumbup": validation.flag("helpful", helpful)}
    if comment is not None:
        body["feedback"] = validation.string("comment", comment)
    yield from server_version.require(profile, features.MESSAGES)
    yield from _check_message(chat_id, session_id, message_id)
    yield Request("PUT", url_path, json=body, subject=chat_subject(chat_id), part=session_subject(session_id))
