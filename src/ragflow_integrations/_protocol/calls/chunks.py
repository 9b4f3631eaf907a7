"""Calls on chunks of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import fields, models_from_json, validation
from ragflow_integrations._protocol.calls.documents import change, document_subject, documents_path
from ragflow_integrations._protocol.calls.paging import (
    Deletable,
    Page,
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
from ragflow_integrations._protocol.compat import error_table
from ragflow_integrations._protocol.steps import Operation, Request, Subject, path
from ragflow_integrations.errors import (
    ChunkNotFoundError,
    InvalidArgumentError,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragflow_integrations.models import Chunk, JsonValue


def _chunks(dataset_id: str, document_id: str) -> str:
    return documents_path(dataset_id) + path(validation.text("document_id", document_id), "chunks")


def list_chunks(
    dataset_id: str, document_id: str, *, keywords: str | None = None, chunk_id: str | None = None
) -> PageFetcher[Chunk]:
    """List the chunks of a document."""
    check_filters(keywords=keywords)
    filters = {"keywords": keywords, "id": chunk_id}
    pages = listing(
        _chunks(dataset_id, document_id), models_from_json.chunk, ("chunks",), filters, document_subject(document_id)
    )
    if chunk_id is not None:
        return only(pages, lambda chunk: chunk.id == chunk_id)
    return pages if keywords is None else _with_own_text(pages, list_chunks(dataset_id, document_id))


def _with_own_text(matching: PageFetcher[Chunk], all_chunks: PageFetcher[Chunk]) -> PageFetcher[Chunk]:
    """Give chunks found by keywords their text: the server puts words in lower case with `<em>` around matches in its place."""
    texts: dict[str, Chunk] = {}

    def page(number: int) -> Operation[Page[Chunk]]:
        some = yield from matching(number)
        if some.items and not texts:
            texts.update({chunk.id: chunk for chunk in (yield from collect(all_chunks))})
        return Page(tuple(texts.get(chunk.id, chunk) for chunk in some.items), some.last)

    return page


def get_chunk(dataset_id: str, document_id: str, chunk_id: str) -> Operation[Chunk]:
    """Get a chunk; asked for as a listing of one, which every release has."""
    validation.text("chunk_id", chunk_id)
    pages = empty_on(ChunkNotFoundError, list_chunks(dataset_id, document_id, chunk_id=chunk_id))
    try:
        chunks = yield from collect(pages)
    except ServerError as error:
        if not error_table.cannot_look_up_chunks(error):
            raise
        chunks = yield from collect(list_chunks(dataset_id, document_id))
    one = next((chunk for chunk in chunks if chunk.id == chunk_id), None)
    listing = f"client.chunks.list({dataset_id!r}, {document_id!r})"
    return require_found(one, ChunkNotFoundError, not_found_message("chunk", chunk_id, "chunk_id", listing))


def update_chunk(
    dataset_id: str,
    document_id: str,
    chunk_id: str,
    *,
    content: str | None = None,
    important_keywords: Sequence[str] | None = None,
    available: bool | None = None,
) -> Operation[Chunk]:
    """Change a chunk; what is not named stays."""
    url_path = _chunks(dataset_id, document_id) + path(validation.text("chunk_id", chunk_id))
    check_filters(content=content)
    body: dict[str, JsonValue] = dict(omit_none({"content": content}))
    if important_keywords is not None:
        body["important_keywords"] = list(validation.texts("important_keywords", important_keywords, empty=True))
    if available is not None:
        body["available"] = validation.flag("available", available)
    if not body:
        raise InvalidArgumentError("content", "or another setting to change must be given")
    yield from change(url_path, body, Subject("chunk", chunk_id, ChunkNotFoundError))
    changed = yield from get_chunk(dataset_id, document_id, chunk_id)
    confirm("chunk", content=(content, changed.content))
    return changed


def create_chunk(
    dataset_id: str,
    document_id: str,
    content: str,
    *,
    important_keywords: Sequence[str] | None = None,
    questions: Sequence[str] | None = None,
) -> Operation[Chunk]:
    """Add a chunk to a document."""
    url_path = _chunks(dataset_id, document_id)
    body: dict[str, JsonValue] = {"content": validation.text("content", content)}
    for name, value in omit_none({"important_keywords": important_keywords, "questions": questions}):
        body[name] = cast("JsonValue", validation.texts(name, value))
    reply = yield Request("POST", url_path, json=body, subject=document_subject(document_id))
    return models_from_json.chunk(fields.mapping(fields.mapping(reply, "data"), "chunk"))


def delete_chunks(dataset_id: str, document_id: str, chunk_ids: Iterable[str]) -> Operation[None]:
    """Delete chunks of a document."""
    chunks = Deletable(
        _chunks(dataset_id, document_id),
        "chunk",
        ChunkNotFoundError,
        "chunk_ids",
        list_chunks(dataset_id, document_id),
        document_subject(document_id),
        key="chunk_ids",
    )
    return delete(chunks, chunk_ids, delete_all=False)
