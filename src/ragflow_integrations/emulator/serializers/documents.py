"""JSON of documents."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.defaults import NICKNAME, TENANT
from ragflow_integrations.emulator.serializers.times import date, times
from ragflow_integrations.emulator.store import Dataset, Document

if TYPE_CHECKING:
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Store

_UPLOADED: Final = (
    "id",
    "dataset_id",
    "name",
    "location",
    "created_by",
    "chunk_method",
    "parser_config",
    "run",
    "size",
    "source_type",
    "thumbnail",
    "type",
    "suffix",
    "pipeline_id",
    "content_hash",
)


def _optional_facts(era: Era, document: Document) -> dict[str, Any]:
    return {
        "process_duation": document.process_seconds,
        "process_duration": document.process_seconds,
        "suffix": PurePath(document.name).suffix.removeprefix("."),
        "meta_fields": document.meta_fields,
        "pipeline_id": None,
        "pipeline_name": None,
        "title": None,
        "nickname": NICKNAME,
        "content_hash": document.content_hash,
        "process_begin_at": date(era, document.process_begin) if document.process_begin else None,
    }


def document_object(store: Store, era: Era, document: Document, *, beside_chunks: bool = False) -> dict[str, Any]:
    """Return a document.

    Args:
        store: The store of its dataset.
        era: The era.
        document: The document.
        beside_chunks: Whether it accompanies a list of its chunks; else it is an item of a list of documents.

    Returns:
        The object.
    """
    dataset = store.get(Dataset, document.dataset_id)
    optional = _optional_facts(era, document)
    keys = era.chunk_document_keys if beside_chunks else era.document_keys
    return (
        {
            "id": document.id,
            "dataset_id": document.dataset_id,
            "name": document.name,
            "location": document.name,
            "created_by": TENANT,
            "chunk_method": dataset.chunk_method if dataset else "naive",
            "parser_config": dataset.parser_config if dataset else {},
            "chunk_count": document.chunk_count,
            "token_count": document.token_count,
            "process_begin_at": optional["process_begin_at"],
            "progress": document.progress,
            "progress_msg": document.progress_msg,
            "run": document.run,
            "size": document.size,
            "source_type": "local",
            "status": "1" if document.enabled else "0",
            "thumbnail": "",
            "type": "doc",
        }
        | times(era, document)
        | {key: optional[key] for key in keys}
    )


def uploaded_object(store: Store, era: Era, document: Document) -> dict[str, Any]:
    """Return a document in the reply to its upload."""
    fields = document_object(store, era, document) | document_object(store, era, document, beside_chunks=True)
    return {key: fields[key] for key in _UPLOADED if key in fields}
