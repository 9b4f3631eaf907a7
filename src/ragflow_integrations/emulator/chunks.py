"""Routes of chunks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ragflow_integrations.emulator.answering import highlight
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.datasets import owned_dataset
from ragflow_integrations.emulator.deletions import ids_to_delete
from ragflow_integrations.emulator.documents import owned_document
from ragflow_integrations.emulator.ingestion import chunk_id, finish_parsing
from ragflow_integrations.emulator.responses import Refused, exception_reply, ok, refuse
from ragflow_integrations.emulator.serializers.chunks import chunk_object
from ragflow_integrations.emulator.serializers.documents import document_object
from ragflow_integrations.emulator.store import Chunk

if TYPE_CHECKING:
    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call


async def list_chunks(call: Call) -> Response:
    """Answer ``GET …/documents/{document_id}/chunks``."""
    finish_parsing(call.backend)
    document = owned_document(call, owned_dataset(call))
    # Added chunks come first, as in the recordings (07_chunk_list).
    chunks = sorted(call.store.all(Chunk, parent=document.id), key=lambda chunk: not chunk.added_by_hand)
    chunks = find(chunks, id=call.query("id"))
    if call.query("id") and chunks and call.era.chunk_alone_needs_image:
        raise Refused(exception_reply(KeyError("img_id")))
    if words := call.query("keywords"):
        chunks = [chunk for chunk in chunks if words.lower() in chunk.content.lower()]
    if (requested_id := call.query("id")) and not chunks:
        code, message = call.era.unknown_chunk
        raise refuse(code, message.format(dataset=document.dataset_id, chunk=requested_id))
    page = [chunk_object(call.era, chunk) for chunk in call.page(chunks, newest_first=False)]
    if words:  # the search engine's highlight replaces the text (seen 0.22.1, 0.24.0)
        page = [fields | {"content": highlight(str(fields["content"]).lower(), words)} for fields in page]
    document_fields = document_object(call.store, call.era, document, beside_chunks=True)
    return ok({"chunks": page, "doc": document_fields, "total": len(chunks)})


def _chunk(call: Call) -> Chunk:
    document = owned_document(call, owned_dataset(call))
    chunk = call.store.get(Chunk, call.arg("chunk_id"), parent=document.id)
    if chunk is None:
        raise refuse(102, f"Can't find this chunk {call.arg('chunk_id')}")
    return chunk


async def get_chunk(call: Call) -> Response:
    """Answer ``GET …/chunks/{chunk_id}``."""
    return ok(chunk_object(call.era, _chunk(call)))


async def add_chunk(call: Call) -> Response:
    """Answer ``POST …/documents/{document_id}/chunks``."""
    document = owned_document(call, owned_dataset(call))
    body = await call.body()
    content = str(body.get("content") or "")
    if not content.strip():
        raise refuse(102, "`content` is required")
    chunk = Chunk(
        id=chunk_id(document.id, content),
        dataset_id=document.dataset_id,
        document_id=document.id,
        document_name=document.name,
        content=content,
        important_keywords=list(body.get("important_keywords") or []),
        questions=list(body.get("questions") or []),
        added_by_hand=True,
    )
    call.store.put_chunk(chunk)
    document.chunk_count += 1
    call.store.touch(document)
    fields = {
        "id": chunk.id,
        "content": content,
        "create_time": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(chunk.created / 1000)),
        "create_timestamp": chunk.created / 1000,
        "dataset_id": chunk.dataset_id,
        "document_id": chunk.document_id,
        "important_keywords": chunk.important_keywords,
        "questions": chunk.questions,
    }
    return ok({"chunk": fields | ({"doc_type_kwd": "text"} if call.era.chunk_has_type else {})})


async def update_chunk(call: Call) -> Response:
    """Answer ``PUT`` and ``PATCH …/chunks/{chunk_id}``."""
    chunk = _chunk(call)
    body = await call.body()
    for name in ("content", "important_keywords", "questions", "available"):
        if name in body:
            setattr(chunk, name, body[name])
    call.store.put_chunk(chunk)
    return ok()


async def delete_chunks(call: Call) -> Response:
    """Answer ``DELETE …/documents/{document_id}/chunks``."""
    document = owned_document(call, owned_dataset(call))
    body = await call.body()
    everything = [chunk.id for chunk in call.store.all(Chunk, parent=document.id)]
    ids = ids_to_delete(call, body, everything, field="chunk_ids")
    chunks = [chunk for key in ids if (chunk := call.store.get(Chunk, key, parent=document.id))]
    for chunk in chunks:
        call.store.delete(chunk)
    document.chunk_count -= len(chunks)
    call.store.touch(document)
    if len(chunks) < len(ids):
        raise refuse(102, f"rm_chunk deleted chunks {len(chunks)}, expect {len(ids)}")
    return ok()
