"""How datasets, documents and chunks look on the wire of each era."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.store import Chunk, Dataset, Document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.emulator.answering import Hit
    from ragflow_integrations.emulator.era import Era
    from ragflow_integrations.emulator.store import Store
from ragflow_integrations.emulator.shapes import NICKNAME, TENANT, date, nulls, times


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
    """A dataset under the database's own names, as it stands in the chats of older eras."""
    documents = _documents(store, dataset)
    return _dataset_facts(era, dataset) | {
        "chunk_num": sum(document.chunk_count for document in documents),
        "doc_num": len(documents),
        "token_num": sum(document.token_count for document in documents),
        "embd_id": dataset.embedding_model,
        "parser_id": dataset.chunk_method,
    }


def dataset_object(store: Store, era: Era, dataset: Dataset, *, listed: bool = False, got: bool = False) -> dict[str, Any]:
    """A dataset.

    Args:
        store: Where its documents are.
        era: The era.
        dataset: The dataset.
        listed: Whether it stands in a list.
        got: Whether it answers a GET of one dataset.

    Returns:
        The object.
    """
    documents = _documents(store, dataset)
    seen = _dataset_facts(era, dataset) | {
        "chunk_count": sum(document.chunk_count for document in documents),
        "chunk_method": dataset.chunk_method,
        "document_count": len(documents),
        "embedding_model": dataset.embedding_model,
        "token_num": sum(document.token_count for document in documents),
    }
    if era.dataset_owner:
        seen["tenant_embd_id"] = None
    if era.dataset_owner and listed:
        seen |= {"nickname": NICKNAME, "tenant_avatar": None}
    if era.dataset_model_name and listed:
        seen["embedding_model_name"] = ""
    if got:
        seen |= {"connectors": [], "size": sum(document.size for document in documents)}
    return seen


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
    """A document.

    Args:
        store: Where its dataset is.
        era: The era.
        document: The document.
        beside_chunks: Whether it stands beside a list of its chunks instead of in a list of documents.

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


def uploaded_object(store: Store, era: Era, document: Document) -> dict[str, Any]:
    """A document in the reply to its upload."""
    seen = document_object(store, era, document) | document_object(store, era, document, beside_chunks=True)
    return {key: seen[key] for key in _UPLOADED if key in seen}


def chunk_object(era: Era, chunk: Chunk) -> dict[str, Any]:
    """A chunk in the list of a document's chunks."""
    seen: dict[str, Any] = {
        "id": chunk.id,
        "content": chunk.content,
        "document_id": chunk.document_id,
        "dataset_id": chunk.dataset_id,
        "docnm_kwd": chunk.document_name,
        "image_id": "",
        "important_keywords": chunk.important_keywords,
        "positions": chunk.positions,
        "questions": chunk.questions,
        "available": chunk.available,
    }
    if era.chunk_has_tags:
        seen["tag_kwd"] = []
    if era.chunk_has_type:
        seen["doc_type_kwd"] = "text"
    return seen


# Retrieved chunks


def _scores(hit: Hit) -> dict[str, float]:
    return {
        "similarity": hit.similarity,
        "vector_similarity": hit.vector_similarity,
        "term_similarity": hit.term_similarity,
    }


def reference_chunk(hit: Hit, era: Era, *, with_metadata: bool = False) -> dict[str, Any]:
    """A retrieved chunk as answers refer to it."""
    chunk = hit.chunk
    seen: dict[str, Any] = {
        "id": chunk.id,
        "content": chunk.content,
        "document_id": chunk.document_id,
        "document_name": chunk.document_name,
        "dataset_id": chunk.dataset_id,
        "image_id": "",
        "positions": chunk.positions,
        "url": None,
        "row_id": None,
        "doc_type": "",
        "document_metadata": dict(hit.metadata) or None if with_metadata else None,
    } | _scores(hit)
    return {key: seen[key] for key in era.chunk_keys}


def hit_object(hit: Hit, era: Era, *, words: Sequence[str]) -> dict[str, Any]:
    """A retrieved chunk as ``/retrieval`` answers it."""
    chunk = hit.chunk
    seen: dict[str, Any] = {
        "id": chunk.id,
        "content": chunk.content,
        "content_ltks": " ".join(words),
        "document_id": chunk.document_id,
        "document_keyword": chunk.document_name,
        "dataset_id": chunk.dataset_id,
        "important_keywords": chunk.important_keywords,
        "image_id": "",
        "positions": chunk.positions,
        "doc_type_kwd": "",
        "mom_id": "",
        "row_id": None,
        "tag_kwd": [],
    } | _scores(hit)
    return {key: seen[key] for key in era.hit_keys}


def raw_hit(hit: Hit, era: Era) -> dict[str, Any]:
    """A retrieved chunk under the index's own names, as an agent's retrieval node reports it."""
    chunk = hit.chunk
    seen: dict[str, Any] = {
        "chunk_id": chunk.id,
        "content_with_weight": chunk.content,
        "doc_id": chunk.document_id,
        "docnm_kwd": chunk.document_name,
        "kb_id": chunk.dataset_id,
        "important_kwd": chunk.important_keywords,
        "image_id": "",
        "positions": chunk.positions,
        "doc_type_kwd": "",
        "mom_id": "",
    } | _scores(hit)
    extra: dict[str, Any] = {"row_id": None, "tag_kwd": []}
    return seen | {key: extra[key] for key in extra if key in era.hit_keys}
