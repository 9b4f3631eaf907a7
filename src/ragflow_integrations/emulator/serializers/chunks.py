"""JSON of chunks: stored ones, and those that a search has found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.emulator.answering import Hit
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Chunk


def chunk_object(era: Era, chunk: Chunk) -> dict[str, Any]:
    """Return a chunk in the list of a document's chunks."""
    fields: dict[str, Any] = {
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
        fields["tag_kwd"] = []
    if era.chunk_has_type:
        fields["doc_type_kwd"] = "text"
    return fields


def _scores(hit: Hit) -> dict[str, float]:
    return {
        "similarity": hit.similarity,
        "vector_similarity": hit.vector_similarity,
        "term_similarity": hit.term_similarity,
    }


def reference_chunk(hit: Hit, era: Era, *, with_metadata: bool = False) -> dict[str, Any]:
    """Return a retrieved chunk as answers refer to it."""
    chunk = hit.chunk
    fields: dict[str, Any] = {
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
    return {key: fields[key] for key in era.chunk_keys}


def hit_object(hit: Hit, era: Era, *, words: Sequence[str]) -> dict[str, Any]:
    """Return a retrieved chunk as ``/retrieval`` answers it."""
    chunk = hit.chunk
    fields: dict[str, Any] = {
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
    return {key: fields[key] for key in era.hit_keys}


def raw_hit(hit: Hit, era: Era) -> dict[str, Any]:
    """Return a retrieved chunk under the index's own names, as an agent's retrieval node reports it."""
    chunk = hit.chunk
    fields: dict[str, Any] = {
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
    return fields | {key: extra[key] for key in extra if key in era.hit_keys}
