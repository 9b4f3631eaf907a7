"""Routes of the sessions of chats, and of the messages in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.chats import owned_chat
from ragflow_integrations.emulator.defaults import TENANT
from ragflow_integrations.emulator.deletions import delete_by_ids, ids_to_delete
from ragflow_integrations.emulator.responses import Refused, exception_reply, ok, refuse
from ragflow_integrations.emulator.serializers.sessions import session_object
from ragflow_integrations.emulator.store import Chat, Session

if TYPE_CHECKING:
    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call

_NAME_LIMIT: Final = 255


def new_session(call: Call, chat: Chat, *, name: str = "New session", user_id: str = "") -> Session:
    """Make and store a session that begins with the chat's opener."""
    opener = {"role": "assistant", "content": chat.prompt_config.get("prologue", "")}
    owner = user_id if call.era.session_keeps_user_id else TENANT
    if call.era.new_chat_api and not owner:
        owner = TENANT
    session = Session(owner_id=chat.id, name=name[:_NAME_LIMIT], user_id=owner, messages=[opener])
    call.store.put(session)
    return session


async def create_session(call: Call) -> Response:
    """Answer ``POST /chats/{chat_id}/sessions``."""
    if call.era.session_needs_body and not (await call.request.body()).strip():
        raise Refused(exception_reply(TypeError("'NoneType' object does not support item assignment")))
    body = await call.body()
    chat = owned_chat(call, "You do not own the assistant.")
    name = str(body.get("name", "New session") or "")
    if not name.strip():
        raise refuse(102, "`name` can not be empty" if call.era.new_chat_api else "`name` can not be empty.")
    session = new_session(call, chat, name=name, user_id=str(body.get("user_id") or ""))
    return ok(session_object(call.era, session, created=True), call.success_message)


async def list_sessions(call: Call) -> Response:
    """Answer ``GET /chats/{chat_id}/sessions``."""
    chat = owned_chat(call, f"You don't own the assistant {call.arg('chat_id')}.")
    sessions = find(
        call.store.all(Session, parent=chat.id),
        id=call.query("id"),
        name=call.query("name"),
        user_id=call.query("user_id"),
    )
    return ok([session_object(call.era, session) for session in call.page(sessions)], call.success_message)


def _session(call: Call) -> Session:
    chat = owned_chat(call, "You do not own the session")
    session = call.store.get(Session, call.arg("session_id"))
    if session is None:
        raise refuse(102, "Session not found!" if call.era.new_chat_api else "Session does not exist")
    if session.owner_id != chat.id:
        raise refuse(102, "Session does not belong to this chat!")
    return session


async def get_session(call: Call) -> Response:
    """Answer ``GET /chats/{chat_id}/sessions/{session_id}``."""
    return ok(session_object(call.era, _session(call), avatar=True), "success")


async def update_session(call: Call) -> Response:
    """Answer ``PUT`` and ``PATCH /chats/{chat_id}/sessions/{session_id}``: only the name can change."""
    session = _session(call)
    body = await call.body()
    for frozen in ("messages", "reference"):
        if frozen in body:
            raise refuse(102, f"`{frozen}` cannot be changed" if call.era.new_chat_api else f"`{frozen}` can not be change")
    if "name" in body:
        if not str(body["name"] or "").strip():
            raise refuse(102, "`name` can not be empty")
        session.name = str(body["name"])[:_NAME_LIMIT]
    call.store.touch(session)
    return ok(session_object(call.era, session), "success") if call.era.new_chat_api else ok()


async def delete_sessions(call: Call) -> Response:
    """Answer ``DELETE /chats/{chat_id}/sessions``."""
    era = call.era
    chat = owned_chat(call, "You don't own the chat")
    body = await (call.validated_body() if era.new_chat_api else call.body())
    owned = {session.id: session for session in call.store.all(Session, parent=chat.id)}
    ids = list(dict.fromkeys(ids_to_delete(call, body, list(owned))))
    if not ids and era.new_chat_api:
        return ok({}, "success")
    partial = delete_by_ids(call, ids, owned, kind="sessions", unknown_message=era.unknown_session_deleted)
    if partial is not None:
        return partial
    return ok(True, "success") if era.new_chat_api else ok()


async def delete_message(call: Call) -> Response:
    """Answer ``DELETE …/messages/{message_id}``: takes the question, its answer and the answer's reference away."""
    session = _session(call)
    message_id = call.arg("message_id")
    answers = [message for message in session.messages if message["role"] == "assistant" and message.get("id")]
    for index, message in enumerate(answers):
        if message["id"] == message_id and index < len(session.references):
            del session.references[index]
    session.messages = [message for message in session.messages if message.get("id") != message_id]
    call.store.touch(session)
    return ok(session_object(call.era, session), "success")


async def rate_message(call: Call) -> Response:
    """Answer ``PUT …/messages/{message_id}/feedback``."""
    session = _session(call)
    body = await call.body()
    for message in session.messages:
        if message["role"] == "assistant" and message.get("id") == call.arg("message_id"):
            message["thumbup"] = bool(body.get("thumbup"))
            message.pop("feedback", None)
            if not message["thumbup"] and body.get("feedback"):
                message["feedback"] = body["feedback"]
    call.store.touch(session)
    return ok(session_object(call.era, session), "success")
