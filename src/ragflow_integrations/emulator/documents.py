"""Routes of documents."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.responses import Response

from ragflow_integrations.emulator import checks
from ragflow_integrations.emulator import files as uploaded_files
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.datasets import owned_dataset
from ragflow_integrations.emulator.deletions import ids_to_delete
from ragflow_integrations.emulator.eras import DocumentDelete
from ragflow_integrations.emulator.ingestion import add_file, finish_parsing
from ragflow_integrations.emulator.responses import Refused, exception_reply, ok, refuse
from ragflow_integrations.emulator.serializers.documents import document_object, uploaded_object
from ragflow_integrations.emulator.store import Chunk, Dataset, Document

if TYPE_CHECKING:
    from ragflow_integrations.emulator.calls import Call


def owned_document(call: Call, dataset: Dataset) -> Document:
    """Return the document that the path names; raise the refusal if there is none."""
    document = call.store.get(Document, call.arg("document_id"), parent=dataset.id)
    if document is None:
        raise refuse(102, f"You don't own the document {call.arg('document_id')}.")
    return document


async def upload(call: Call) -> Response:
    """Answer ``POST /datasets/{dataset_id}/documents``: multipart, any number of parts named ``file``."""
    unknown = "Can't find the dataset with ID {id}!"
    if call.era.upload_unknown_dataset_raises and call.store.get(Dataset, call.arg("dataset_id")) is None:
        raise Refused(exception_reply(LookupError(unknown.format(id=call.arg("dataset_id")))))
    dataset = owned_dataset(call, unknown)
    files = await _sent_files(call)
    if uploaded_files.too_long(call.era, [name for name, _ in files]):
        raise refuse(101, "File name must be 255 bytes or less.")
    refused = {name: reason for name, content in files if (reason := uploaded_files.refusal(call.era, name, content))}
    added = [add_file(call.store, dataset, name, content) for name, content in files if name not in refused]
    stored = [uploaded_object(call.store, call.era, document) for document in added]
    if refused:  # the others are stored all the same [0.27.0-upload_partial]
        stored_documents = {"data": stored} if call.era.uploads_name_stored else {}
        raise refuse(500, "\n".join(f"{name}: {reason}" for name, reason in refused.items()), **stored_documents)
    return ok(stored)


async def _sent_files(call: Call) -> list[tuple[str, bytes]]:
    """Return the names and contents of the uploaded files; raise the refusal of a form without any."""
    async with call.request.form() as form:
        files = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
        if not files:
            raise refuse(101, "No file part!")
        if any(not file.filename for file in files):
            raise refuse(101, "No file selected!")
        # The form parser of the server turns `%22`, as clients write a quote, back.
        return [(str(file.filename).replace("%22", '"'), await file.read()) for file in files]


async def list_documents(call: Call) -> Response:
    """Answer ``GET /datasets/{dataset_id}/documents``."""
    dataset = owned_dataset(call, "You don't own the dataset {id}. ")
    documents = call.store.all(Document, parent=dataset.id)
    for name in ("id", "name"):
        value = call.query(name)
        if value and not find(documents, **{name: value}):
            raise refuse(102, f"You don't own the document {value}.")
        documents = find(documents, **{name: value})
    if words := call.query("keywords"):
        documents = [document for document in documents if words.lower() in document.name.lower()]
    if runs := call.request.query_params.getlist("run"):
        documents = [document for document in documents if document.run in runs]
    page = [document_object(call.store, call.era, document) for document in call.page(documents)]
    finish_parsing(call.backend)  # only now, so that whoever waits sees it run at least once
    return ok({"docs": page, "total": len(documents)}, call.success_message)


async def download(call: Call) -> Response:
    """Answer ``GET /datasets/{dataset_id}/documents/{document_id}``: the bytes."""
    dataset = owned_dataset(call, "You do not own the dataset {id}.")
    document = owned_document(call, dataset)
    content = call.store.file(document)
    if not content:
        raise refuse(102, "This file is empty.")
    headers = {"content-disposition": f"attachment; filename={quote(document.name)}"}
    media_type = mimetypes.guess_type(document.name)[0] or "application/octet-stream"
    return Response(content, media_type=media_type, headers=headers)


async def update_document(call: Call) -> Response:
    """Answer ``PUT`` and ``PATCH /datasets/{dataset_id}/documents/{document_id}``: name, metadata, whether it is used."""
    document = owned_document(call, owned_dataset(call))
    body = await call.body()
    if "meta_fields" in body:
        checks.metadata(call, body["meta_fields"])
        document.meta_fields = body["meta_fields"]
    checks.changed_document_name(call, document, body.get("name", document.name))
    document.name = body.get("name", document.name)
    if "enabled" in body:
        document.enabled = bool(body["enabled"])
        for chunk in call.store.all(Chunk, parent=document.id):
            chunk.available = document.enabled
            call.store.put_chunk(chunk)
    call.store.touch(document)
    return ok(document_object(call.store, call.era, document)) if call.era.new_chat_api else ok()


async def delete_documents(call: Call) -> Response:
    """Answer ``DELETE /datasets/{dataset_id}/documents``."""
    dataset = owned_dataset(call)
    body = await call.body()
    everything = [document.id for document in call.store.all(Document, parent=dataset.id)]
    ids = ids_to_delete(call, body, everything)
    style = call.era.document_delete
    # Up to 0.25.1 nobody looks whether a document is in the dataset (source).
    parent = dataset.id if style is DocumentDelete.ALL_OR_NONE else None
    unknown = [key for key in ids if call.store.get(Document, key, parent=parent) is None]
    if unknown and style is DocumentDelete.ALL_OR_NONE:
        names = ", ".join(unknown)
        raise refuse(102, f"These documents do not belong to dataset {dataset.id} or Document not found: {names}")
    for key in ids:
        document = call.store.get(Document, key, parent=parent)
        if document is not None:
            call.store.delete(document)
        elif style is DocumentDelete.IN_ORDER:
            raise refuse(102, "Document not found!")
    if unknown:
        raise refuse(102, f"Documents not found: {unknown}")
    return ok({"deleted": len(ids)}) if call.era.new_chat_api else ok()


async def start_parsing(call: Call) -> Response:
    """Answer ``POST …/chunks`` and ``…/documents/parse``: the documents are RUNNING until they are needed."""
    dataset = owned_dataset(call)
    ids = (await call.body()).get("document_ids")
    if not ids:
        raise refuse(102, "`document_ids` is required")
    in_documents = call.request.url.path.endswith("/parse")
    unknown = []
    for key in dict.fromkeys(ids):
        document = call.store.get(Document, key, parent=dataset.id)
        if document is None and call.era.parses_only_new:
            raise refuse(102, f"You don't own the document {key}.")
        if document is None:
            unknown.append(key)
            continue
        if call.era.parses_only_new and document.progress:
            raise refuse(102, "Can't stop parsing document with progress at 0 or 100")
        if not in_documents and document.run == "RUNNING":
            raise refuse(102, "Can't parse document that is currently being processed")
        document.run, document.progress = "RUNNING", 0.1
        call.store.touch(document)
        call.backend.parsing.add(document.id)
    if unknown:
        raise refuse(102, f"Documents not found: {unknown}")
    return ok({"success_count": len(set(ids))}) if in_documents else ok()


async def stop_parsing(call: Call) -> Response:
    """Answer ``DELETE …/chunks`` and ``…/documents/stop``."""
    dataset = owned_dataset(call)
    ids = (await call.body()).get("document_ids")
    if not ids:
        raise refuse(102, "`document_ids` is required")
    for key in ids:
        document = call.store.get(Document, key, parent=dataset.id)
        if document is None:
            raise refuse(102, f"You don't own the document {key}.")
        if document.run != "RUNNING":
            raise refuse(102, "Can't stop parsing document with progress at 0 or 1")
        document.run, document.progress = "CANCEL", 0.0
        call.store.touch(document)
        call.backend.parsing.discard(document.id)
    return ok()
