"""The calls on datasets, their documents and chunks, and retrieval, each written once (see `operations`)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import arguments, decoders, uploads, wire
from ragflow_integrations._protocol.compat import error_table
from ragflow_integrations._protocol.http import Download, Operation, ReadFiles, Request, Subject, Upload, path
from ragflow_integrations._protocol.listings import (
    Deletable,
    Page,
    Pages,
    check_filters,
    confirm,
    delete,
    empty_if,
    every,
    found,
    joined,
    listing,
    no_such,
    only,
    stated,
)
from ragflow_integrations.errors import (
    APIError,
    ChunkNotFoundError,
    DatasetNotFoundError,
    DocumentNotFoundError,
    InvalidArgumentError,
    InvalidRequestError,
    RAGFlowError,
    ServerError,
)
from ragflow_integrations.models import ParsingProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ragflow_integrations._protocol.http import File
    from ragflow_integrations.models import Chunk, Dataset, Document, JsonObject, JsonValue

# ---------------------------------------------------------------------------------------------------------------- datasets


def list_datasets(*, name: str | None = None, dataset_id: str | None = None) -> Pages[Dataset]:
    """List datasets, the newest first."""
    check_filters(name=name, dataset_id=dataset_id)
    pages = listing("/datasets", decoders.dataset, ("datasets",), {"name": name, "id": dataset_id})
    asked_for = only(pages, lambda dataset: dataset_id in (None, dataset.id) and name in (None, dataset.name))
    return empty_if(DatasetNotFoundError, asked_for)


def find_dataset(name: str) -> Operation[Dataset]:
    """Get a dataset by its exact name."""
    arguments.text("name", name)
    datasets = yield from every(list_datasets(name=name))
    one = next((dataset for dataset in datasets if dataset.name == name), None)
    return found(one, DatasetNotFoundError, no_such("dataset", name, "the name", "client.datasets.list()"))


def get_dataset(dataset_id: str) -> Operation[Dataset]:
    """Get a dataset."""
    arguments.text("dataset_id", dataset_id)
    one = next(iter((yield from every(list_datasets(dataset_id=dataset_id)))), None)
    return found(one, DatasetNotFoundError, no_such("dataset", dataset_id, "dataset_id", "client.datasets.list()"))


def _dataset_settings(**settings: str | None) -> dict[str, str]:
    check_filters(**settings)
    return dict(stated(settings))


def create_dataset(
    name: str, *, description: str | None = None, embedding_model: str | None = None, chunk_method: str | None = None
) -> Operation[Dataset]:
    """Create a dataset."""
    arguments.text("name", name)
    settings = _dataset_settings(name=name, embedding_model=embedding_model, chunk_method=chunk_method)
    body: dict[str, JsonValue] = {**settings, **arguments.described(description)}
    reply = yield Request("POST", "/datasets", json=body, subject=Subject("dataset", name, DatasetNotFoundError))
    return decoders.dataset(wire.mapping(reply, "data"))


def update_dataset(
    dataset_id: str, *, name: str | None = None, description: str | None = None, embedding_model: str | None = None
) -> Operation[Dataset]:
    """Change a dataset; what is not named stays."""
    settings = _dataset_settings(name=name, embedding_model=embedding_model)
    body: dict[str, JsonValue] = {**settings, **arguments.described(description)}
    if not body:
        raise InvalidArgumentError("name", "or another setting to change must be given")
    where = path("datasets", arguments.text("dataset_id", dataset_id))
    yield Request("PUT", where, json=body, subject=_dataset(dataset_id))
    changed = yield from get_dataset(dataset_id)
    model = (embedding_model, changed.embedding_model)
    confirm("dataset", name=(name, changed.name), description=(description, changed.description), embedding_model=model)
    return changed


def delete_datasets(dataset_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete datasets with their documents."""
    datasets = Deletable("/datasets", "dataset", DatasetNotFoundError, "dataset_ids", list_datasets())
    return delete(datasets, dataset_ids, delete_all=delete_all)


def _dataset(dataset_id: str) -> Subject:
    return Subject("dataset", dataset_id, DatasetNotFoundError)


# --------------------------------------------------------------------------------------------------------------- documents


def _documents(dataset_id: str) -> str:
    return path("datasets", arguments.text("dataset_id", dataset_id), "documents")


def upload_files(dataset_id: str, files: Sequence[File]) -> Operation[list[Document]]:
    """Read files and upload them; see `upload_documents`."""
    uploads = yield ReadFiles(files)
    return (yield from upload_documents(dataset_id, uploads))


def upload_documents(dataset_id: str, files: Sequence[Upload]) -> Operation[list[Document]]:
    """Upload files; they are not parsed yet.

    Raises:
        DocumentUploadError: The server refused some; it has stored the others (docs/protocol.md, "Uploads").
    """
    request = Request("POST", _documents(dataset_id), files=tuple(files), subject=_dataset(dataset_id), may_be_partial=True)
    try:
        reply = yield request
    except APIError as error:
        if not error_table.refuses_files(error):
            raise
        raise (yield from uploads.refused(error, files, dataset_id, list_documents(dataset_id))) from None
    stored = [decoders.document(item) for item in wire.objects(reply.get("data"))]
    if wire.integer(reply, "code") or len(stored) < len(files):
        raise uploads.refused_in_part(reply, files, dataset_id, stored)
    return stored


def list_documents(
    dataset_id: str, *, name: str | None = None, keywords: str | None = None, document_id: str | None = None
) -> Pages[Document]:
    """List the documents of a dataset, the newest first."""
    check_filters(name=name, keywords=keywords, document_id=document_id)
    filters = {"name": name, "keywords": keywords, "id": document_id}
    pages = listing(_documents(dataset_id), decoders.document, ("docs", "documents"), filters, _dataset(dataset_id))
    asked_for = only(pages, lambda document: document_id in (None, document.id) and name in (None, document.name))
    return empty_if(DocumentNotFoundError, asked_for)


def get_document(dataset_id: str, document_id: str) -> Operation[Document]:
    """Get a document."""
    arguments.text("document_id", document_id)
    one = next(iter((yield from every(list_documents(dataset_id, document_id=document_id)))), None)
    where = f"client.documents.list({dataset_id!r})"
    return found(one, DocumentNotFoundError, no_such("document", document_id, "document_id", where))


def update_document(
    dataset_id: str, document_id: str, *, name: str | None = None, metadata: Mapping[str, JsonValue] | None = None
) -> Operation[Document]:
    """Change a document; what is not named stays."""
    check_filters(name=name)
    body: dict[str, JsonValue] = dict(stated({"name": name}))
    if metadata is not None:
        body["meta_fields"] = arguments.json_object("metadata", metadata)
    if not body:
        raise InvalidArgumentError("name", "or `metadata` must be given")
    where = _documents(dataset_id) + path(arguments.text("document_id", document_id))
    yield from _change(where, body, _document(document_id))
    changed = yield from get_document(dataset_id, document_id)
    confirm("document", name=(name, changed.name))
    return changed


def _change(where: str, body: JsonObject, subject: Subject) -> Operation[None]:
    """Change something with PATCH, or with PUT where that is the only verb (≤ 0.24)."""
    try:
        yield Request("PATCH", where, json=body, subject=subject)
    except error_table.EndpointMissing:
        yield Request("PUT", where, json=body, subject=subject)


def download_document(dataset_id: str, document_id: str) -> Operation[bytes]:
    """Get the file of a document."""
    document_path = _documents(dataset_id) + path(arguments.text("document_id", document_id))
    content: bytes = yield Download(Request("GET", document_path, repeat="always", subject=_document(document_id)))
    return content


def delete_documents(dataset_id: str, document_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete documents with their chunks."""
    documents = Deletable(
        _documents(dataset_id),
        "document",
        DocumentNotFoundError,
        "document_ids",
        list_documents(dataset_id),
        _dataset(dataset_id),
    )
    return delete(documents, document_ids, delete_all=delete_all)


def parse_documents(dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    """Start parsing; the path exists in every release."""
    return _parsing("POST", dataset_id, document_ids)


def stop_parsing(dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    """Stop parsing."""
    return _parsing("DELETE", dataset_id, document_ids)


def _parsing(method: str, dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    where = path("datasets", arguments.text("dataset_id", dataset_id), "chunks")
    wanted = arguments.ids("document_ids", document_ids)
    named = Subject("document", joined(wanted), DocumentNotFoundError)
    body: dict[str, JsonValue] = {"document_ids": cast("JsonValue", wanted)}
    try:
        yield Request(method, where, json=body, subject=_dataset(dataset_id), part=named)
    except (DocumentNotFoundError, InvalidRequestError) as error:
        if len(wanted) > 1:
            yield from _tell_states(error, dataset_id, wanted)
        raise


def _tell_states(error: APIError, dataset_id: str, document_ids: Sequence[str]) -> Operation[None]:
    """Add to an error the states of the documents: releases start those in front of an unknown one, or all known ones."""
    try:
        documents = yield from _some_documents(dataset_id, document_ids)
    except RAGFlowError as problem:
        error.args = (f"{error} The states of the documents could not be looked up: {problem}",)
        return
    states = [f"{item.id} is {item.status}" for item in documents]
    known = [item.id for item in documents]
    states += [f"{key} is not in the dataset" for key in document_ids if key not in known]
    error.args = (f"{error} Now {', '.join(states)}.",)


#: States in which the server works on a document no more.
_SETTLED = ("DONE", "FAIL", "CANCEL")


def parsing_states(dataset_id: str, document_ids: Sequence[str]) -> Operation[ParsingProgress]:
    """Ask how far the parsing of documents is; the listing has the newest first, and is read as far as needed."""
    documents = yield from _some_documents(dataset_id, document_ids)
    missing = set(document_ids).difference(item.id for item in documents)
    if missing:
        raise DocumentNotFoundError(
            no_such("document", ", ".join(sorted(missing)), "document_ids", f"client.documents.list({dataset_id!r})")
        )
    return ParsingProgress(documents=tuple(documents), done=sum(item.status in _SETTLED for item in documents))


def _some_documents(dataset_id: str, document_ids: Sequence[str]) -> Operation[list[Document]]:
    """List those of some documents that exist."""
    missing = set(document_ids)
    documents: list[Document] = []
    pages = list_documents(dataset_id)
    for number in itertools.count(1):
        page = yield from pages(number)
        documents += [item for item in page.items if item.id in missing]
        missing.difference_update(item.id for item in page.items)
        if page.last or not missing:
            break
    return documents


# ------------------------------------------------------------------------------------------------------------------ chunks


def _chunks(dataset_id: str, document_id: str) -> str:
    return _documents(dataset_id) + path(arguments.text("document_id", document_id), "chunks")


def list_chunks(dataset_id: str, document_id: str, *, keywords: str | None = None, chunk_id: str | None = None) -> Pages[Chunk]:
    """List the chunks of a document."""
    check_filters(keywords=keywords)
    filters = {"keywords": keywords, "id": chunk_id}
    pages = listing(_chunks(dataset_id, document_id), decoders.chunk, ("chunks",), filters, _document(document_id))
    if chunk_id is not None:
        return only(pages, lambda chunk: chunk.id == chunk_id)
    return pages if keywords is None else _with_own_text(pages, list_chunks(dataset_id, document_id))


def _with_own_text(matching: Pages[Chunk], all_chunks: Pages[Chunk]) -> Pages[Chunk]:
    """Give chunks found by keywords their text: the server puts words in lower case with `<em>` around matches in its place."""
    texts: dict[str, Chunk] = {}

    def page(number: int) -> Operation[Page[Chunk]]:
        some = yield from matching(number)
        if some.items and not texts:
            texts.update({chunk.id: chunk for chunk in (yield from every(all_chunks))})
        return Page(tuple(texts.get(chunk.id, chunk) for chunk in some.items), some.last)

    return page


def get_chunk(dataset_id: str, document_id: str, chunk_id: str) -> Operation[Chunk]:
    """Get a chunk; asked for as a listing of one, which every release has."""
    arguments.text("chunk_id", chunk_id)
    pages = empty_if(ChunkNotFoundError, list_chunks(dataset_id, document_id, chunk_id=chunk_id))
    try:
        chunks = yield from every(pages)
    except ServerError as error:
        if not error_table.cannot_look_up_chunks(error):
            raise
        chunks = yield from every(list_chunks(dataset_id, document_id))
    one = next((chunk for chunk in chunks if chunk.id == chunk_id), None)
    where = f"client.chunks.list({dataset_id!r}, {document_id!r})"
    return found(one, ChunkNotFoundError, no_such("chunk", chunk_id, "chunk_id", where))


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
    where = _chunks(dataset_id, document_id) + path(arguments.text("chunk_id", chunk_id))
    check_filters(content=content)
    body: dict[str, JsonValue] = dict(stated({"content": content}))
    if important_keywords is not None:
        body["important_keywords"] = list(arguments.texts("important_keywords", important_keywords, empty=True))
    if available is not None:
        body["available"] = arguments.flag("available", available)
    if not body:
        raise InvalidArgumentError("content", "or another setting to change must be given")
    yield from _change(where, body, Subject("chunk", chunk_id, ChunkNotFoundError))
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
    where = _chunks(dataset_id, document_id)
    body: dict[str, JsonValue] = {"content": arguments.text("content", content)}
    for name, value in stated({"important_keywords": important_keywords, "questions": questions}):
        body[name] = cast("JsonValue", arguments.texts(name, value))
    reply = yield Request("POST", where, json=body, subject=_document(document_id))
    return decoders.chunk(wire.mapping(wire.mapping(reply, "data"), "chunk"))


def delete_chunks(dataset_id: str, document_id: str, chunk_ids: Iterable[str]) -> Operation[None]:
    """Delete chunks of a document."""
    chunks = Deletable(
        _chunks(dataset_id, document_id),
        "chunk",
        ChunkNotFoundError,
        "chunk_ids",
        list_chunks(dataset_id, document_id),
        _document(document_id),
        key="chunk_ids",
    )
    return delete(chunks, chunk_ids, delete_all=False)


def _document(document_id: str) -> Subject:
    return Subject("document", document_id, DocumentNotFoundError)
