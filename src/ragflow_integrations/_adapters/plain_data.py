"""Answers, chunks and citations as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.models import Answer, Chunk, Citation, JsonValue


def agent_metadata(answer: Answer) -> dict[str, JsonValue]:
    """Return what an agent's answer has beside its text, as JSON; None for what it has not.

    Keys: `input_request`, `structured`, `attachments`, `trace`.
    """
    form = answer.input_request
    return {
        "input_request": None if form is None else {"inputs": dict(form.inputs), "tips": form.tips},
        "structured": dict(answer.structured) or None,
        "attachments": [{"id": file.id, "name": file.name, "format": file.format} for file in answer.attachments] or None,
        "trace": [dict(event) for event in answer.trace] or None,
    }


def chunk_metadata(chunk: Chunk) -> dict[str, JsonValue]:
    """Return a chunk as flat JSON, under the same keys in both frameworks.

    Keys: `chunk_id`, `document_id`, `document_name`, `dataset_id`, `similarity`, `vector_similarity`, `term_similarity`,
    `positions`; and where known `image_id`, `url`, `doc_type`, `highlight`, `document_metadata`.
    """
    described: dict[str, JsonValue] = {
        "chunk_id": chunk.id,
        "document_id": chunk.document_id,
        "document_name": chunk.document_name,
        "dataset_id": chunk.dataset_id,
        "similarity": chunk.similarity,
        "vector_similarity": chunk.vector_similarity,
        "term_similarity": chunk.term_similarity,
        "positions": [list(box) for box in chunk.positions],
    }
    optional: dict[str, JsonValue] = {
        "image_id": chunk.image_id,
        "url": chunk.url,
        "doc_type": chunk.doc_type,
        "highlight": chunk.highlight,
        "document_metadata": dict(chunk.document_metadata),
    }
    return described | {key: value for key, value in optional.items() if value}


def citation_data(citation: Citation) -> dict[str, JsonValue]:
    """Return a citation as JSON: where it is in the answer, what it supports, and the chunk it points to."""
    return {
        "index": citation.index,
        "number": citation.number,
        "start": citation.start,
        "end": citation.end,
        "claim_start": citation.claim_start,
        "claim_end": citation.claim_end,
        **chunk_metadata(citation.chunk),
    }


def citation_spans(citations: Sequence[object]) -> list[tuple[int, int]]:
    """Return the marker spans of citations that `citation_data` wrote, for `strip_markers`."""
    described = [item for item in citations if isinstance(item, dict)]
    spans = [(item.get("start"), item.get("end")) for item in described]
    return [(start, end) for start, end in spans if isinstance(start, int) and isinstance(end, int)]
