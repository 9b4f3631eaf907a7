"""How chat assistants and their sessions look on the wire of each era."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.store import Dataset
from ragflow_integrations.emulator.variants import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations.emulator.era import Era
    from ragflow_integrations.emulator.store import Chat, Session, Store
from ragflow_integrations.emulator.dataset_shapes import raw_dataset
from ragflow_integrations.emulator.shapes import NICKNAME, OLD_NAMES, TENANT, times

_HISTORY_KEYS: Final = (
    "id",
    "content",
    "document_id",
    "document_name",
    "dataset_id",
    "image_id",
    "positions",
)


def _chat_owned(store: Store, chat: Chat) -> list[Dataset]:
    return [dataset for key in chat.dataset_ids if (dataset := store.get(Dataset, key))]


def _old_chat(store: Store, era: Era, chat: Chat, *, listed: bool) -> dict[str, Any]:
    config = chat.prompt_config
    names = {new: old for old, new in OLD_NAMES.items()}
    prompt = {names.get(name, name): value for name, value in config.items()}
    prompt |= {
        "similarity_threshold": chat.similarity_threshold,
        "keywords_similarity_weight": 1 - chat.vector_similarity_weight,
        "top_n": chat.top_n,
        "rerank_model": chat.rerank_id,
    }
    seen = {
        "id": chat.id,
        "name": chat.name,
        "avatar": chat.icon,
        "description": chat.description,
        "do_refer": "1",
        "language": "English",
        "llm": {"model_name": chat.llm_id, **chat.llm_setting},
        "prompt": prompt,
        "prompt_type": "simple",
        "status": "1",
        "tenant_id": TENANT,
    } | times(era, chat)
    if era.chat_has_metadata_filter:
        seen["meta_data_filter"] = chat.meta_data_filter
    if not listed:
        return seen | {"dataset_ids": chat.dataset_ids}
    datasets = [raw_dataset(store, era, dataset) for dataset in _chat_owned(store, chat)]
    return seen | {"datasets": datasets, "top_k": chat.top_k}


def chat_object(store: Store, era: Era, chat: Chat, *, listed: bool = False) -> dict[str, Any]:
    """A chat assistant.

    Args:
        store: Where its datasets are.
        era: The era.
        chat: The chat.
        listed: Whether it stands in a list, where it looks different in every era.

    Returns:
        The object.
    """
    if not era.new_chat_api:
        return _old_chat(store, era, chat, listed=listed)
    seen: dict[str, Any] = {
        "id": chat.id,
        "name": chat.name,
        "icon": chat.icon,
        "description": chat.description,
        "dataset_ids": chat.dataset_ids,
        "kb_names": [dataset.name for dataset in _chat_owned(store, chat)],
        "do_refer": "1",
        "language": "English",
        "llm_id": chat.llm_id,
        "llm_setting": chat.llm_setting,
        "prompt_config": chat.prompt_config,
        "prompt_type": "simple",
        "rerank_id": chat.rerank_id,
        "similarity_threshold": chat.similarity_threshold,
        "status": "1",
        "tenant_id": TENANT,
        "top_k": chat.top_k,
        "top_n": chat.top_n,
        "vector_similarity_weight": chat.vector_similarity_weight,
    } | times(era, chat)
    if listed:
        del seen["create_date"], seen["update_date"]
        return seen | {"nickname": NICKNAME, "tenant_avatar": None}
    return seen | {
        "meta_data_filter": chat.meta_data_filter,
        "tenant_llm_id": era.tenant_llm_id,
        "tenant_rerank_id": None,
    }


# Sessions


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
