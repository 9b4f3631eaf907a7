"""Routes of chats and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator import checks
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.defaults import CHAT_MODEL, LLM_SETTING, TENANT, default_prompt_config
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.replies import Refused, crashed, ok, refuse
from ragflow_integrations.emulator.serializers.chats import chat_object, old_prompt
from ragflow_integrations.emulator.serializers.sessions import session_object
from ragflow_integrations.emulator.store import Chat, Dataset, Document, Session

if TYPE_CHECKING:
    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call

_PLAIN_FIELDS = (
    "name",
    "description",
    "icon",
    "dataset_ids",
    "llm_id",
    "llm_setting",
    "prompt_config",
    "similarity_threshold",
    "vector_similarity_weight",
    "top_n",
    "top_k",
    "rerank_id",
    "meta_data_filter",
)
_NAME_LIMIT = 255
_KNOWN_MODELS = ("fake-chat", CHAT_MODEL.partition("@")[0])


def known_model(name: str) -> bool:
    """Whether a model can be asked for: the emulator's own, and that of the recordings."""
    return name.partition("@")[0].partition("___")[0] in _KNOWN_MODELS


# Chats


def foreign_chat(call: Call, old_message: str) -> Refused:
    """The refusal of a chat that is unknown or somebody else's."""
    if call.era.new_chat_api:
        return refuse(109, call.era.not_authorized, data=False)
    return refuse(102, old_message)


def _check_datasets(call: Call, dataset_ids: list[str]) -> None:
    finish_parsing(call.backend)
    datasets = [dataset for key in dataset_ids if (dataset := call.store.get(Dataset, key))]
    for key in dataset_ids:
        if call.store.get(Dataset, key) is None:
            raise refuse(102, f"You don't own the dataset {key}")
        if not any(document.chunk_count for document in call.store.all(Document, parent=key)):
            raise refuse(102, f"The dataset {key} doesn't own parsed file")
    checks.same_embedding_models(call, datasets)


def _settings(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The settings that a body gives, old bodies translated. Newer servers ignore ``llm`` and ``prompt`` silently."""
    given = {name: body[name] for name in _PLAIN_FIELDS if name in body}
    if call.era.new_chat_api:
        return given
    if "avatar" in body:
        given["icon"] = body["avatar"]
    if llm := dict(body.get("llm") or {}):
        model = llm.pop("model_name", CHAT_MODEL)
        if not known_model(model) or (call.era.rejects_factory_suffix and "@" in model):
            raise refuse(102, f"`model_name` {model} doesn't exist")
        given |= {"llm_id": model, "llm_setting": llm}
    if prompt := body.get("prompt"):
        given["prompt_config"] = given.get("prompt_config", {}) | old_prompt(prompt)
        # The server stores the weight of the keywords as that of the vectors.
        renamed = {"keywords_similarity_weight": "vector_similarity_weight", "rerank_model": "rerank_id"}
        for old in ("similarity_threshold", "keywords_similarity_weight", "top_n", "top_k", "rerank_model"):
            if old in prompt:
                given[renamed.get(old, old)] = prompt[old]
    return given


def _check_settings(call: Call, given: dict[str, Any], *, chat: Chat | None = None) -> None:
    era = call.era
    if "name" in given:
        name = str(given["name"] or "").strip()
        if not name:
            raise refuse(102, era.name_required)
        if any(other.name == name and other is not chat for other in _others(call, chat)):
            raise refuse(102, era.duplicate_chat if chat is None else "Duplicated chat name in updating chat.")
    _check_datasets(call, given.get("dataset_ids") or [])
    if (model := given.get("llm_id")) and not known_model(model):
        raise refuse(102, f"`llm_id` {model} doesn't exist")
    if rerank := given.get("rerank_id"):
        checks.rerank_model(call, str(rerank))


def _others(call: Call, chat: Chat | None) -> list[Chat]:
    return [other for other in call.store.all(Chat) if chat is None or other.id != chat.id]


async def create(call: Call) -> Response:
    """``POST /chats``."""
    body = await call.body()
    era = call.era
    given = _settings(call, {"name": None} | body)
    _check_settings(call, given)
    given["prompt_config"] = default_prompt_config(era) | given.get("prompt_config", {})
    defaults: dict[str, Any] = {"llm_id": CHAT_MODEL}
    if not era.new_chat_api:
        defaults |= {"llm_setting": dict(LLM_SETTING), "similarity_threshold": 0.2}
    chat = Chat(**(defaults | given))
    call.store.put(chat)
    if era.chat_needs_dataset_ids and "dataset_ids" not in body:
        raise Refused(crashed(KeyError("dataset_ids")))  # when the chat is there already
    return ok(chat_object(call.store, era, chat), "success" if era.new_chat_api else None)


async def list_chats(call: Call) -> Response:
    """``GET /chats``."""
    era = call.era
    found = find(call.store.all(Chat), id=call.query("id"), name=call.query("name"))
    call.check_page_size(call.number("page_size", 1))
    if era.new_chat_api:
        if words := call.query("keywords"):
            found = [chat for chat in found if words.lower() in chat.name.lower()]
        size = len(found) or 1 if era.chats_unpaged and not call.query("page_size") else 30
        page = [chat_object(call.store, era, chat, listed=True) for chat in call.page(found, size=size)]
        return ok({"chats": page, "total": len(found)}, "success")
    if not found and (call.query("id") or call.query("name")):
        raise refuse(102, "The chat doesn't exist")
    return ok([chat_object(call.store, era, chat, listed=True) for chat in call.page(found)])


def _chat(call: Call, old_message: str) -> Chat:
    chat = call.store.get(Chat, call.arg("chat_id"))
    if chat is None:
        raise foreign_chat(call, old_message)
    return chat


async def get(call: Call) -> Response:
    """``GET /chats/{chat_id}``."""
    return ok(chat_object(call.store, call.era, _chat(call, "")), "success")


async def _update(call: Call, *, merge: bool) -> Response:
    era = call.era
    chat = _chat(call, "You do not own the chat")
    given = _settings(call, await call.body())
    _check_settings(call, given, chat=chat)
    if era.put_detaches_datasets:
        given = {"dataset_ids": []} | given
    for name in ("prompt_config", "llm_setting"):
        if name in given and (merge or not era.new_chat_api):
            given[name] = getattr(chat, name) | given[name]
    for name, value in given.items():
        setattr(chat, name, value)
    call.store.touch(chat)
    return ok(chat_object(call.store, era, chat), "success") if era.new_chat_api else ok()


async def replace(call: Call) -> Response:
    """``PUT /chats/{chat_id}``: replaces what is given; older servers merge the settings."""
    return await _update(call, merge=False)


async def patch(call: Call) -> Response:
    """``PATCH /chats/{chat_id}``: merges the settings."""
    return await _update(call, merge=True)


async def delete(call: Call) -> Response:
    """``DELETE /chats/{chat_id}``."""
    call.store.delete(_chat(call, ""))
    return ok(True, "success")


def _asked_ids(call: Call, body: dict[str, Any], everything: list[str]) -> list[str]:
    """The ids to delete; without any, older servers delete everything and newer ones nothing."""
    if ids := body.get("ids"):
        return list(dict.fromkeys(ids))
    return everything if call.era.empty_ids_delete_all or body.get("delete_all") else []


async def delete_many(call: Call) -> Response:
    """``DELETE /chats``."""
    era = call.era
    ids = _asked_ids(call, await call.body(), [chat.id for chat in call.store.all(Chat)])
    message = "success" if era.new_chat_api else None
    if not ids and era.new_chat_api:
        return ok({}, message)
    found = [chat for key in ids if (chat := call.store.get(Chat, key))]
    errors = [era.unknown_chat_deleted.format(id=key) for key in ids if call.store.get(Chat, key) is None]
    if errors and not era.partial_deletes:
        found = found[: next(number for number, key in enumerate(ids) if call.store.get(Chat, key) is None)]
    for chat in found:
        call.store.delete(chat)
    if errors and (not found or not era.partial_deletes):
        raise refuse(102, errors[0])
    if errors:
        partly = f"Partially deleted {len(found)} chats with {len(errors)} errors" if era.new_chat_api else None
        return ok({"success_count": len(found), "errors": errors}, partly)
    return ok({"success_count": len(found)}, message) if era.new_chat_api else ok()


# Sessions


def new_session(call: Call, chat: Chat, *, name: str = "New session", user_id: str = "") -> Session:
    """Make and store a session that begins with the chat's opener."""
    opener = {"role": "assistant", "content": chat.prompt_config.get("prologue", "")}
    owner = user_id if call.era.session_keeps_user_id else TENANT
    if call.era.new_chat_api and not owner:
        owner = TENANT
    session = Session(owner_id=chat.id, name=name[:_NAME_LIMIT], user_id=owner, messages=[opener])
    call.store.put(session)
    return session


def _succeeded(call: Call) -> str | None:
    return "success" if call.era.new_chat_api else None


async def create_session(call: Call) -> Response:
    """``POST /chats/{chat_id}/sessions``."""
    if call.era.session_needs_body and not (await call.request.body()).strip():
        raise Refused(crashed(TypeError("'NoneType' object does not support item assignment")))
    body = await call.body()
    chat = _chat(call, "You do not own the assistant.")
    name = str(body.get("name", "New session") or "")
    if not name.strip():
        raise refuse(102, "`name` can not be empty" if call.era.new_chat_api else "`name` can not be empty.")
    session = new_session(call, chat, name=name, user_id=str(body.get("user_id") or ""))
    return ok(session_object(call.era, session, created=True), _succeeded(call))


async def list_sessions(call: Call) -> Response:
    """``GET /chats/{chat_id}/sessions``."""
    chat = _chat(call, f"You don't own the assistant {call.arg('chat_id')}.")
    found = find(
        call.store.all(Session, parent=chat.id),
        id=call.query("id"),
        name=call.query("name"),
        user_id=call.query("user_id"),
    )
    return ok([session_object(call.era, session) for session in call.page(found)], _succeeded(call))


def _session(call: Call) -> Session:
    chat = _chat(call, "You do not own the session")
    session = call.store.get(Session, call.arg("session_id"))
    if session is None:
        raise refuse(102, "Session not found!" if call.era.new_chat_api else "Session does not exist")
    if session.owner_id != chat.id:
        raise refuse(102, "Session does not belong to this chat!")
    return session


async def get_session(call: Call) -> Response:
    """``GET /chats/{chat_id}/sessions/{session_id}``."""
    return ok(session_object(call.era, _session(call), avatar=True), "success")


async def update_session(call: Call) -> Response:
    """``PUT`` and ``PATCH /chats/{chat_id}/sessions/{session_id}``: only the name can change."""
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
    """``DELETE /chats/{chat_id}/sessions``."""
    era = call.era
    chat = _chat(call, "You don't own the chat")
    body = await (call.validated_body() if era.new_chat_api else call.body())
    ids = _asked_ids(call, body, [session.id for session in call.store.all(Session, parent=chat.id)])
    if not ids and era.new_chat_api:
        return ok({}, "success")
    found = [session for key in ids if (session := call.store.get(Session, key, parent=chat.id))]
    unknown = [key for key in ids if key not in {session.id for session in found}]
    if unknown and not era.partial_deletes:
        for session in found[: ids.index(unknown[0])]:
            call.store.delete(session)
        raise refuse(102, "The chat doesn't own the session")
    for session in found:
        call.store.delete(session)
    errors = [f"The chat doesn't own the session {key}" for key in unknown]
    if errors and not found:
        raise refuse(102, errors[0])
    if errors:
        partly = f"Partially deleted {len(found)} sessions with {len(errors)} errors"
        return ok({"success_count": len(found), "errors": errors}, partly if era.new_chat_api else None)
    return ok(True, "success") if era.new_chat_api else ok()


async def delete_message(call: Call) -> Response:
    """``DELETE …/messages/{message_id}``: takes the question, its answer and the answer's reference away."""
    session = _session(call)
    key = call.arg("message_id")
    answered = [message for message in session.messages if message["role"] == "assistant" and message.get("id")]
    for number, message in enumerate(answered):
        if message["id"] == key and number < len(session.references):
            del session.references[number]
    session.messages = [message for message in session.messages if message.get("id") != key]
    call.store.touch(session)
    return ok(session_object(call.era, session), "success")


async def rate_message(call: Call) -> Response:
    """``PUT …/messages/{message_id}/feedback``."""
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
