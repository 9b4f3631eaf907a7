"""Calls on documents of datasets."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import fields, models_from_json, validation
from ragflow_integrations._protocol.calls import uploads
from ragflow_integrations._protocol.calls.datasets import dataset_subject
from ragflow_integrations._protocol.calls.paging import (
    Deletable,
    PageFetcher,
    check_filters,
    collect,
    confirm,
    delete,
    empty_on,
    joined,
    listing,
    not_found_message,
    omit_none,
    only,
    require_found,
)
from ragflow_integrations._protocol.compat import error_table
from ragflow_integrations._protocol.steps import Download, Operation, ReadFiles, Request, Subject, Upload, path
from ragflow_integrations.errors import (
    APIError,
    DocumentNotFoundError,
    InvalidArgumentError,
    InvalidRequestError,
    RAGFlowError,
)
from ragflow_integrations.models import ParsingProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ragflow_integrations.models import Document, File, JsonObject, JsonValue


def documents_path(dataset_id: str) -> str:
    return path("datasets", validation.text("dataset_id", dataset_id), "documents")


def upload_files(dataset_id: str, files: Sequence[File]) -> Operation[list[Document]]:
    """Read files and upload them; see `upload_documents`."""
    contents: list[Upload] = yield ReadFiles(files)
    return (yield from upload_documents(dataset_id, contents))


def upload_documents(dataset_id: str, files: Sequence[Upload]) -> Operation[list[Document]]:
    """Upload files; they are not parsed yet.

    Raises:
        DocumentUploadError: The server refused some; it has stored the others (docs/protocol.md, "Uploads").
    """
    request = Request(
        "POST", documents_path(dataset_id), files=tuple(files), subject=dataset_subject(dataset_id), may_be_partial=True
    )
    try:
        reply = yield request
    except APIError as error:
        if not error_table.refuses_files(error):
            raise
        raise (yield from uploads.refused(error, files, dataset_id, list_documents(dataset_id))) from None
    stored = [models_from_json.document(item) for item in fields.objects(reply.get("data"))]
    if fields.integer(reply, "code") or len(stored) < len(files):
        raise uploads.refused_in_part(reply, files, dataset_id, stored)
    return stored


def list_documents(
    dataset_id: str, *, name: str | None = None, keywords: str | None = None, document_id: str | None = None
) -> PageFetcher[Document]:
    """List the documents of a dataset, the newest first."""
    check_filters(name=name, keywords=keywords, document_id=document_id)
    filters = {"name": name, "keywords": keywords, "id": document_id}
    pages = listing(
        documents_path(dataset_id), models_from_json.document, ("docs", "documents"), filters, dataset_subject(dataset_id)
    )
    asked_for = only(pages, lambda document: document_id in (None, document.id) and name in (None, document.name))
    return empty_on(DocumentNotFoundError, asked_for)


def get_document(dataset_id: str, document_id: str) -> Operation[Document]:
    """Get a document."""
    validation.text("document_id", document_id)
    one = next(iter((yield from collect(list_documents(dataset_id, document_id=document_id)))), None)
    listing = f"client.documents.list({dataset_id!r})"
    return require_found(one, DocumentNotFoundError, not_found_message("document", document_id, "document_id", listing))


def update_document(
    dataset_id: str, document_id: str, *, name: str | None = None, metadata: Mapping[str, JsonValue] | None = None
) -> Operation[Document]:
    """Change a document; what is not named stays."""
    check_filters(name=name)
    body: dict[str, JsonValue] = dict(omit_none({"name": name}))
    if metadata is not None:
        body["meta_fields"] = validation.json_object("metadata", metadata)
    if not body:
        raise InvalidArgumentError("name", "or `metadata` must be given")
    url_path = documents_path(dataset_id) + path(validation.text("document_id", document_id))
    yield from change(url_path, body, document_subject(document_id))
    changed = yield from get_document(dataset_id, document_id)
    confirm("document", name=(name, changed.name))
    return changed


def change(where: str, body: JsonObject, subject: Subject) -> Operation[None]:
    """Change something with PATCH, or with PUT where that is the only verb (≤ 0.24)."""
    try:
        yield Request("PATCH", where, json=body, subject=subject)
    except error_table.EndpointNotFound:
        yield Request("PUT", where, json=body, subject=subject)


def download_document(dataset_id: str, document_id: str) -> Operation[bytes]:
    """Get the file of a document."""
    document_path = documents_path(dataset_id) + path(validation.text("document_id", document_id))
    content: bytes = yield Download(Request("GET", document_path, retry="idempotent", subject=document_subject(document_id)))
    return content


def delete_documents(dataset_id: str, document_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete documents with their chunks."""
    documents = Deletable(
        documents_path(dataset_id),
        "document",
        DocumentNotFoundError,
        "document_ids",
        list_documents(dataset_id),
        dataset_subject(dataset_id),
    )
    return delete(documents, document_ids, delete_all=delete_all)


def parse_documents(dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    """Start parsing; the path exists in every release."""
    return _parsing("POST", dataset_id, document_ids)


def stop_parsing(dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    """Stop parsing."""
    return _parsing("DELETE", dataset_id, document_ids)


def _parsing(method: str, dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    url_path = path("datasets", validation.text("dataset_id", dataset_id), "chunks")
    wanted = validation.ids("document_ids", document_ids)
    named = Subject("document", joined(wanted), DocumentNotFoundError)
    body: dict[str, JsonValue] = {"document_ids": cast("JsonValue", wanted)}
    try:
        yield Request(method, url_path, json=body, subject=dataset_subject(dataset_id), part=named)
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
            not_found_message("document", ", ".join(sorted(missing)), "document_ids", f"client.documents.list({dataset_id!r})")
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


def document_subject(document_id: str) -> Subject:
    return Subject("document", document_id, DocumentNotFoundError)
