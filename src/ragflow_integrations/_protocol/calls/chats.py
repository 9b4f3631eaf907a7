"""Calls on chat assistants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import chat_settings, fields, models_from_json, validation
from ragflow_integrations._protocol.calls.paging import (
    Deletable,
    PageFetcher,
    check_filters,
    collect,
    confirm,
    delete,
    empty_on,
    listing,
    not_found_message,
    omit_none,
    only,
    require_found,
)
from ragflow_integrations._protocol.compat import features, server_version
from ragflow_integrations._protocol.steps import Operation, Request, Subject, path
from ragflow_integrations.errors import (
    ChatNotFoundError,
    InvalidArgumentError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragflow_integrations.models import Chat, JsonValue, LLMSettings, PromptSettings


def chat_subject(chat_id: str) -> Subject:
    return Subject("chat assistant", chat_id, ChatNotFoundError)


def _optional_ids(name: str, ids: Sequence[str]) -> JsonValue:
    """Check ids of which there may be none."""
    return [] if isinstance(ids, list | tuple) and not ids else list(validation.ids(name, ids))


def create_chat(
    name: str,
    *,
    dataset_ids: Sequence[str] = (),
    description: str | None = None,
    llm: LLMSettings | None = None,
    prompt: PromptSettings | None = None,
) -> Operation[Chat]:
    """Create a chat assistant."""
    body: dict[str, JsonValue] = {
        "name": validation.text("name", name),
        "dataset_ids": _optional_ids("dataset_ids", dataset_ids),
        **chat_settings.body(llm, prompt),
        **validation.described(description),
    }
    reply = yield Request("POST", "/chats", json=body, subject=Subject("chat assistant", name))
    return models_from_json.chat(fields.mapping(reply, "data"))


def update_chat(
    profile: server_version.ServerProfile,
    chat_id: str,
    *,
    name: str | None = None,
    dataset_ids: Sequence[str] | None = None,
    description: str | None = None,
    llm: LLMSettings | None = None,
    prompt: PromptSettings | None = None,
) -> Operation[Chat]:
    """Change a chat assistant; what is not named stays."""
    validation.text("chat_id", chat_id)
    check_filters(name=name)
    body = chat_settings.body(llm, prompt) | dict(omit_none({"name": name})) | validation.described(description)
    if dataset_ids is not None:
        body["dataset_ids"] = _optional_ids("dataset_ids", dataset_ids)
    if not body:
        raise InvalidArgumentError("name", "or another setting to change must be given")
    current = yield from get_chat(chat_id)
    if (yield from server_version.supports_feature(profile, features.CHATS_PATCHED)):
        method = "PATCH"
    else:
        kept: dict[str, JsonValue] = (
            {"dataset_ids": list(current.dataset_ids)} if current.dataset_ids else {}
        )  # none is refused
        # 0.22–0.24 detach the datasets of an assistant whose update does not name them.
        method, body = "PUT", chat_settings.old_body({**kept, "name": current.name, **body})
    yield Request(method, path("chats", chat_id), json=body, subject=chat_subject(chat_id))
    changed = yield from get_chat(chat_id)
    confirm(
        "chat assistant",
        name=(name, changed.name),
        description=(description, changed.description),
        dataset_ids=(dataset_ids, changed.dataset_ids),
    )
    return changed


def list_chats(*, name: str | None = None, chat_id: str | None = None) -> PageFetcher[Chat]:
    """List chat assistants, the newest first."""
    check_filters(name=name, chat_id=chat_id)
    wanted = chat_id or name
    subject = Subject("chat assistant", wanted, ChatNotFoundError) if wanted else None
    pages = listing("/chats", models_from_json.chat, ("chats",), {"name": name, "id": chat_id}, subject)
    asked_for = only(pages, lambda chat: chat_id in (None, chat.id) and name in (None, chat.name))
    return empty_on(ChatNotFoundError, asked_for)


def get_chat(chat_id: str) -> Operation[Chat]:
    """Get a chat assistant; asked for as a listing of one, which every release has."""
    validation.text("chat_id", chat_id)
    one = next(iter((yield from collect(list_chats(chat_id=chat_id)))), None)
    return require_found(one, ChatNotFoundError, not_found_message("chat assistant", chat_id, "chat_id", "client.chats.list()"))


def find_chat(name: str) -> Operation[Chat]:
    """Get a chat assistant by its exact name."""
    validation.text("name", name)
    chats = yield from collect(list_chats(name=name))
    one = next((chat for chat in chats if chat.name == name), None)
    return require_found(one, ChatNotFoundError, not_found_message("chat assistant", name, "the name", "client.chats.list()"))


def delete_chats(chat_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete chat assistants and their sessions."""
    chats = Deletable("/chats", "chat assistant", ChatNotFoundError, "chat_ids", list_chats())
    return delete(chats, chat_ids, delete_all=delete_all)
