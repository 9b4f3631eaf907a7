"""JSON of chat assistants, and the older names of their prompt settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.defaults import NICKNAME, TENANT
from ragflow_integrations.emulator.serializers.datasets import raw_dataset
from ragflow_integrations.emulator.serializers.times import times
from ragflow_integrations.emulator.store import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Chat, Store

OLD_NAMES: Final = {
    "prompt": "system",
    "opener": "prologue",
    "variables": "parameters",
    "show_quote": "quote",
    "empty_response": "empty_response",
    "refine_multiturn": "refine_multiturn",
    "tts": "tts",
    "reasoning": "reasoning",
}


def old_prompt(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the ``prompt`` object of older bodies to a ``prompt_config``."""
    return {new: body[old] for old, new in OLD_NAMES.items() if old in body}


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
    fields = {
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
        fields["meta_data_filter"] = chat.meta_data_filter
    if not listed:
        return fields | {"dataset_ids": chat.dataset_ids}
    datasets = [raw_dataset(store, era, dataset) for dataset in _chat_owned(store, chat)]
    return fields | {"datasets": datasets, "top_k": chat.top_k}


def chat_object(store: Store, era: Era, chat: Chat, *, listed: bool = False) -> dict[str, Any]:
    """Return a chat assistant.

    Args:
        store: The store of its datasets.
        era: The era.
        chat: The chat.
        listed: Whether it is an item of a list, which has other fields in every era.

    Returns:
        The object.
    """
    if not era.new_chat_api:
        return _old_chat(store, era, chat, listed=listed)
    fields: dict[str, Any] = {
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
        del fields["create_date"], fields["update_date"]
        return fields | {"nickname": NICKNAME, "tenant_avatar": None}
    return fields | {
        "meta_data_filter": chat.meta_data_filter,
        "tenant_llm_id": era.tenant_llm_id,
        "tenant_rerank_id": None,
    }
