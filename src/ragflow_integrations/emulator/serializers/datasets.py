"""JSON of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.defaults import NICKNAME, TENANT
from ragflow_integrations.emulator.serializers.times import times
from ragflow_integrations.emulator.store import Dataset, Document

if TYPE_CHECKING:
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Store


def nulls(era: Era) -> dict[str, None]:
    """Return the fields that the era sends as null."""
    return {f"{task}_task_{part}": None for task in era.dataset_tasks for part in ("finish_at", "id")}


def _documents(store: Store, dataset: Dataset) -> list[Document]:
    return store.all(Document, parent=dataset.id)


def _dataset_facts(era: Era, dataset: Dataset) -> dict[str, Any]:
    return (
        {
            "id": dataset.id,
            "name": dataset.name,
            "avatar": dataset.avatar,
            "created_by": TENANT,
            "description": dataset.description,
            "language": "English",
            "pagerank": 0,
            "parser_config": dataset.parser_config,
            "permission": dataset.permission,
            "similarity_threshold": 0.2,
            "status": "1",
            "tenant_id": TENANT,
            "vector_similarity_weight": 0.3,
        }
        | times(era, dataset)
        | nulls(era)
        | ({"pipeline_id": None} if era.dataset_tasks else {})
    )


def raw_dataset(store: Store, era: Era, dataset: Dataset) -> dict[str, Any]:
    """Return a dataset under the database's own names, as the chats of older eras hold it."""
    documents = _documents(store, dataset)
    return _dataset_facts(era, dataset) | {
        "chunk_num": sum(document.chunk_count for document in documents),
        "doc_num": len(documents),
        "token_num": sum(document.token_count for document in documents),
        "embd_id": dataset.embedding_model,
        "parser_id": dataset.chunk_method,
    }


def dataset_object(store: Store, era: Era, dataset: Dataset, *, listed: bool = False, alone: bool = False) -> dict[str, Any]:
    """Return a dataset.

    Args:
        store: The store of its documents.
        era: The era.
        dataset: The dataset.
        listed: Whether it is an item of a list.
        alone: Whether it answers a GET of one dataset.

    Returns:
        The object.
    """
    documents = _documents(store, dataset)
    fields = _dataset_facts(era, dataset) | {
        "chunk_count": sum(document.chunk_count for document in documents),
        "chunk_method": dataset.chunk_method,
        "document_count": len(documents),
        "embedding_model": dataset.embedding_model,
        "token_num": sum(document.token_count for document in documents),
    }
    if era.dataset_owner:
        fields["tenant_embd_id"] = None
    if era.dataset_owner and listed:
        fields |= {"nickname": NICKNAME, "tenant_avatar": None}
    if era.dataset_model_name and listed:
        fields["embedding_model_name"] = ""
    if alone:
        fields |= {"connectors": [], "size": sum(document.size for document in documents)}
    return fields
