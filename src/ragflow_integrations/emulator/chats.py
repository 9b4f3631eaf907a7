"""Routes of chats and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator import checks
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.defaults import CHAT_MODEL, LLM_SETTING, default_prompt_config
from ragflow_integrations.emulator.deletions import delete_by_ids, ids_to_delete
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.responses import Refused, exception_reply, ok, refuse
from ragflow_integrations.emulator.serializers.chats import chat_object, old_prompt
from ragflow_integrations.emulator.store import Chat, Dataset, Document

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
_KNOWN_MODELS = ("fake-chat", CHAT_MODEL.partition("@")[0])


def known_model(name: str) -> bool:
    """Return whether a model exists: the emulator's own, and that of the recordings."""
    return name.partition("@")[0].partition("___")[0] in _KNOWN_MODELS


def foreign_chat(call: Call, old_message: str) -> Refused:
    """Return the refusal of a chat that is unknown or somebody else's."""
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
    """Return the settings in a body, older names translated. Newer servers ignore ``llm`` and ``prompt`` silently."""
    settings = {name: body[name] for name in _PLAIN_FIELDS if name in body}
    if call.era.new_chat_api:
        return settings
    if "avatar" in body:
        settings["icon"] = body["avatar"]
    if llm := dict(body.get("llm") or {}):
        model = llm.pop("model_name", CHAT_MODEL)
        if not known_model(model) or (call.era.rejects_factory_suffix and "@" in model):
            raise refuse(102, f"`model_name` {model} doesn't exist")
        settings |= {"llm_id": model, "llm_setting": llm}
    if prompt := body.get("prompt"):
        settings["prompt_config"] = settings.get("prompt_config", {}) | old_prompt(prompt)
        # The server stores the weight of the keywords as that of the vectors.
        renamed = {"keywords_similarity_weight": "vector_similarity_weight", "rerank_model": "rerank_id"}
        for old in ("similarity_threshold", "keywords_similarity_weight", "top_n", "top_k", "rerank_model"):
            if old in prompt:
                settings[renamed.get(old, old)] = prompt[old]
    return settings


def _check_settings(call: Call, settings: dict[str, Any], *, chat: Chat | None = None) -> None:
    era = call.era
    if "name" in settings:
        name = str(settings["name"] or "").strip()
        if not name:
            raise refuse(102, era.name_required)
        if any(other.name == name and other is not chat for other in _others(call, chat)):
            raise refuse(102, era.duplicate_chat if chat is None else "Duplicated chat name in updating chat.")
    _check_datasets(call, settings.get("dataset_ids") or [])
    if (model := settings.get("llm_id")) and not known_model(model):
        raise refuse(102, f"`llm_id` {model} doesn't exist")
    if rerank := settings.get("rerank_id"):
        checks.rerank_model(call, str(rerank))


def _others(call: Call, chat: Chat | None) -> list[Chat]:
    return [other for other in call.store.all(Chat) if chat is None or other.id != chat.id]


async def create(call: Call) -> Response:
    """Answer ``POST /chats``."""
    body = await call.body()
    era = call.era
    settings = _settings(call, {"name": None} | body)
    _check_settings(call, settings)
    settings["prompt_config"] = default_prompt_config(era) | settings.get("prompt_config", {})
    defaults: dict[str, Any] = {"llm_id": CHAT_MODEL}
    if not era.new_chat_api:
        defaults |= {"llm_setting": dict(LLM_SETTING), "similarity_threshold": 0.2}
    chat = Chat(**(defaults | settings))
    call.store.put(chat)
    if era.chat_needs_dataset_ids and "dataset_ids" not in body:
        raise Refused(exception_reply(KeyError("dataset_ids")))  # when the chat is there already
    return ok(chat_object(call.store, era, chat), call.success_message)


async def list_chats(call: Call) -> Response:
    """Answer ``GET /chats``."""
    era = call.era
    chats = find(call.store.all(Chat), id=call.query("id"), name=call.query("name"))
    call.check_page_size(call.number("page_size", 1))
    if era.new_chat_api:
        if words := call.query("keywords"):
            chats = [chat for chat in chats if words.lower() in chat.name.lower()]
        size = len(chats) or 1 if era.chats_unpaged and not call.query("page_size") else 30
        page = [chat_object(call.store, era, chat, listed=True) for chat in call.page(chats, size=size)]
        return ok({"chats": page, "total": len(chats)}, "success")
    if not chats and (call.query("id") or call.query("name")):
        raise refuse(102, "The chat doesn't exist")
    return ok([chat_object(call.store, era, chat, listed=True) for chat in call.page(chats)])


def owned_chat(call: Call, old_message: str) -> Chat:
    """Return the chat that the path names; raise the refusal if there is none."""
    chat = call.store.get(Chat, call.arg("chat_id"))
    if chat is None:
        raise foreign_chat(call, old_message)
    return chat


async def get(call: Call) -> Response:
    """Answer ``GET /chats/{chat_id}``."""
    return ok(chat_object(call.store, call.era, owned_chat(call, "")), "success")


async def _update(call: Call, *, merge: bool) -> Response:
    era = call.era
    chat = owned_chat(call, "You do not own the chat")
    settings = _settings(call, await call.body())
    _check_settings(call, settings, chat=chat)
    if era.put_detaches_datasets:
        settings = {"dataset_ids": []} | settings
    for name in ("prompt_config", "llm_setting"):
        if name in settings and (merge or not era.new_chat_api):
            settings[name] = getattr(chat, name) | settings[name]
    for name, value in settings.items():
        setattr(chat, name, value)
    call.store.touch(chat)
    return ok(chat_object(call.store, era, chat), "success") if era.new_chat_api else ok()


async def replace(call: Call) -> Response:
    """Answer ``PUT /chats/{chat_id}``: replaces what is given; older servers merge the settings."""
    return await _update(call, merge=False)


async def patch(call: Call) -> Response:
    """Answer ``PATCH /chats/{chat_id}``: merges the settings."""
    return await _update(call, merge=True)


async def delete(call: Call) -> Response:
    """Answer ``DELETE /chats/{chat_id}``."""
    call.store.delete(owned_chat(call, ""))
    return ok(True, "success")


async def delete_many(call: Call) -> Response:
    """Answer ``DELETE /chats``."""
    era = call.era
    owned = {chat.id: chat for chat in call.store.all(Chat)}
    ids = list(dict.fromkeys(ids_to_delete(call, await call.body(), list(owned))))
    if not ids and era.new_chat_api:
        return ok({}, call.success_message)
    partial = delete_by_ids(call, ids, owned, kind="chats", unknown_message=era.unknown_chat_deleted)
    if partial is not None:
        return partial
    return ok({"success_count": len(ids)}, call.success_message) if era.new_chat_api else ok()
