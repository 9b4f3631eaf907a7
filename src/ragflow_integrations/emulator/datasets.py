"""Routes of datasets, documents and chunks."""

from __future__ import annotations

import mimetypes
import time
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.responses import Response

from ragflow_integrations.emulator import checks, shapes
from ragflow_integrations.emulator import files as uploaded_files
from ragflow_integrations.emulator.answering import highlight
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.eras import DocumentDelete
from ragflow_integrations.emulator.ingestion import add_file, chunk_id, finish_parsing
from ragflow_integrations.emulator.replies import Refused, crashed, ok, refuse
from ragflow_integrations.emulator.store import Chunk, Dataset, Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations.emulator.calls import Call

_METHODS: Final = (
    "naive",
    "book",
    "email",
    "laws",
    "manual",
    "one",
    "paper",
    "picture",
    "presentation",
    "qa",
    "table",
    "tag",
    "resume",
)
_NAME_LIMIT: Final = 128
_FIELDS: Final = frozenset(
    (
        *("name", "avatar", "description", "embedding_model", "permission", "chunk_method", "parser_config", "pagerank"),
        *("language", "parse_type", "pipeline_id", "auto_metadata_config", "ext"),
    )
)
_QUERY: Final = frozenset(("id", "ids", "name", "page", "page_size", "orderby", "desc", "include_parsing_status", "ext"))


# Datasets


def _refuse_dataset(call: Call, key: str, *, by_name: bool = False) -> Refused:
    if not by_name and call.era.dataset_id_checked and not _is_uuid(key, 1):
        return refuse(101, f"Field: <id> - Message: <Invalid UUID1 format> - Value: <{key}>")
    code, message = call.era.unknown_dataset_name if by_name else call.era.unknown_dataset_id
    return refuse(code, message.format(id=key, user=shapes.TENANT))


def _is_uuid(key: str, version: int | None = None) -> bool:
    try:
        return version in (None, uuid.UUID(key).version)
    except ValueError:
        return False


def _unknown_fields(call: Call, given: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    unknown = [name for name in given if name not in known] if call.era.dataset_fields_checked else []
    return [f"Field: <{name}> - Message: <Extra inputs are not permitted> - Value: <{given[name]}>" for name in unknown]


def _field_errors(call: Call, body: dict[str, Any]) -> list[str]:
    errors = _unknown_fields(call, body, _FIELDS)
    name = body.get("name")
    if not isinstance(name, str):
        errors.append(f"Field: <name> - Message: <Field required> - Value: <{body}>")
    elif not name.strip():
        errors.append("Field: <name> - Message: <String should have at least 1 character> - Value: <>")
    elif len(name) > _NAME_LIMIT:
        errors.append(f"Field: <name> - Message: <String should have at most {_NAME_LIMIT} characters> - Value: <{name}>")
    method = body.get("chunk_method", "naive")
    if method not in _METHODS:
        allowed = ", ".join(f"'{known}'" for known in _METHODS[:-1]) + f" or '{_METHODS[-1]}'"
        errors.append(f"Field: <chunk_method> - Message: <Input should be {allowed}> - Value: <{method}>")
    return errors


async def create(call: Call) -> Response:
    """``POST /datasets``: a name that is taken gets a number."""
    body = await call.validated_body()
    if errors := _field_errors(call, body):
        raise refuse(101, "\n".join(errors))
    if body.get("embedding_model"):
        checks.embedding_model(call, body["embedding_model"])
    dataset = Dataset(
        name=checks.new_dataset_name(call, body["name"].strip()),
        description=body.get("description"),
        avatar=body.get("avatar"),
        chunk_method=body.get("chunk_method", "naive"),
        embedding_model=body.get("embedding_model") or shapes.EMBEDDING_MODELS[0],
        permission=body.get("permission", "me"),
        parser_config=shapes.default_parser_config() | (body.get("parser_config") or {}),
    )
    call.store.put(dataset)
    return ok(shapes.dataset_object(call.store, call.era, dataset))


async def list_datasets(call: Call) -> Response:
    """``GET /datasets``: an unknown id or name is an error, not an empty list."""
    finish_parsing(call.backend)
    if errors := _unknown_fields(call, call.request.query_params, _QUERY):
        raise refuse(101, "\n".join(errors))
    key, name = call.query("id"), call.query("name")
    found = find(call.store.all(Dataset), id=key, name=name)
    if not found and (key or name):
        raise _refuse_dataset(call, str(key or name), by_name=not key)
    page = [shapes.dataset_object(call.store, call.era, dataset, listed=True) for dataset in call.page(found)]
    return ok(page, None, **({"total_datasets": len(found)} if call.era.dataset_total else {}))


async def get(call: Call) -> Response:
    """``GET /datasets/{dataset_id}``."""
    dataset = call.store.get(Dataset, call.arg("dataset_id"))
    if dataset is None:
        raise _refuse_dataset(call, call.arg("dataset_id"))
    return ok(shapes.dataset_object(call.store, call.era, dataset, got=True))


async def update(call: Call) -> Response:
    """``PUT /datasets/{dataset_id}``."""
    dataset = call.store.get(Dataset, call.arg("dataset_id"))
    if dataset is None:
        raise _refuse_dataset(call, call.arg("dataset_id"))
    body = await call.validated_body()
    if "name" in body:
        checks.changed_dataset_name(call, dataset, body["name"])
    if "embedding_model" in body:
        checks.changed_embedding_model(call, dataset, body["embedding_model"])
    for name in ("name", "description", "avatar", "permission", "embedding_model", "chunk_method"):
        if name in body:
            setattr(dataset, name, body[name])
    dataset.parser_config |= body.get("parser_config") or {}
    call.store.touch(dataset)
    return ok(shapes.dataset_object(call.store, call.era, dataset))


async def delete(call: Call) -> Response:
    """``DELETE /datasets``: null deletes all, an empty list none."""
    body = await call.validated_body()
    if "ids" not in body and not body.get("delete_all"):
        raise refuse(101, f"Field: <ids> - Message: <Field required> - Value: <{body}>")
    ids = body.get("ids")
    found = [dataset for dataset in call.store.all(Dataset) if ids is None or dataset.id in ids]
    unknown = [key for key in ids or [] if key not in {dataset.id for dataset in found}]
    if call.era.deleted_dataset_ids_checked:
        _check_deleted_ids(call, ids or [], unknown)
    for dataset in found:
        call.store.delete(dataset)
    if unknown:
        errors = [f"You don't own the dataset {key}" for key in unknown]
        if not found:
            raise refuse(102, "; ".join(errors))
        message = f"Partially deleted {len(found)} datasets with {len(errors)} errors"
        return ok({"success_count": len(found), "errors": errors}, message)
    return ok({"success_count": len(found)}) if call.era.new_chat_api else ok()


def _check_deleted_ids(call: Call, ids: list[str], unknown: list[str]) -> None:
    """Refuse ids that are no UUIDs, and ids of no dataset."""
    only_uuid1 = call.era.dataset_id_checked
    if not all(_is_uuid(key, 1 if only_uuid1 else None) for key in ids):
        problem = "Invalid UUID1 format" if only_uuid1 else "Invalid UUID format"
        raise refuse(101, f"Field: <ids> - Message: <{problem}> - Value: <{ids}>")
    if unknown:
        code = call.era.unknown_dataset_name[0]
        raise refuse(code, f"User '{shapes.TENANT}' lacks permission for datasets: '{', '.join(unknown)}'")


# Documents


def _dataset(call: Call, message: str = "You don't own the dataset {id}.") -> Dataset:
    dataset = call.store.get(Dataset, call.arg("dataset_id"))
    if dataset is None:
        raise refuse(102, message.format(id=call.arg("dataset_id")))
    return dataset


def _document(call: Call, dataset: Dataset) -> Document:
    document = call.store.get(Document, call.arg("document_id"), parent=dataset.id)
    if document is None:
        raise refuse(102, f"You don't own the document {call.arg('document_id')}.")
    return document


async def upload(call: Call) -> Response:
    """``POST /datasets/{dataset_id}/documents``: multipart, any number of parts named ``file``."""
    unknown = "Can't find the dataset with ID {id}!"
    if call.era.upload_unknown_dataset_raises and call.store.get(Dataset, call.arg("dataset_id")) is None:
        raise Refused(crashed(LookupError(unknown.format(id=call.arg("dataset_id")))))
    dataset = _dataset(call, unknown)
    async with call.request.form() as form:
        files = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
        if not files:
            raise refuse(101, "No file part!")
        if any(not file.filename for file in files):
            raise refuse(101, "No file selected!")
        # The form parser of the server turns `%22`, as clients write a quote, back.
        given = [(str(file.filename).replace("%22", '"'), await file.read()) for file in files]
    if uploaded_files.too_long(call.era, [name for name, _ in given]):
        raise refuse(101, "File name must be 255 bytes or less.")
    refused = {name: reason for name, content in given if (reason := uploaded_files.refusal(call.era, name, content))}
    added = [add_file(call.store, dataset, name, content) for name, content in given if name not in refused]
    stored = [shapes.uploaded_object(call.store, call.era, document) for document in added]
    if refused:  # the others are stored all the same [0.27.0-upload_partial]
        named = {"data": stored} if call.era.uploads_name_stored else {}
        raise refuse(500, "\n".join(f"{name}: {reason}" for name, reason in refused.items()), **named)
    return ok(stored)


async def list_documents(call: Call) -> Response:
    """``GET /datasets/{dataset_id}/documents``."""
    dataset = _dataset(call, "You don't own the dataset {id}. ")
    documents = call.store.all(Document, parent=dataset.id)
    for name in ("id", "name"):
        wanted = call.query(name)
        if wanted and not find(documents, **{name: wanted}):
            raise refuse(102, f"You don't own the document {wanted}.")
        documents = find(documents, **{name: wanted})
    if words := call.query("keywords"):
        documents = [document for document in documents if words.lower() in document.name.lower()]
    if runs := call.request.query_params.getlist("run"):
        documents = [document for document in documents if document.run in runs]
    page = [shapes.document_object(call.store, call.era, document) for document in call.page(documents)]
    finish_parsing(call.backend)  # only now, so that whoever waits sees it run at least once
    return ok({"docs": page, "total": len(documents)}, "success" if call.era.new_chat_api else None)


async def download(call: Call) -> Response:
    """``GET /datasets/{dataset_id}/documents/{document_id}``: the bytes."""
    dataset = _dataset(call, "You do not own the dataset {id}.")
    document = _document(call, dataset)
    content = call.store.file(document)
    if not content:
        raise refuse(102, "This file is empty.")
    headers = {"content-disposition": f"attachment; filename={quote(document.name)}"}
    media_type = mimetypes.guess_type(document.name)[0] or "application/octet-stream"
    return Response(content, media_type=media_type, headers=headers)


async def update_document(call: Call) -> Response:
    """``PUT`` and ``PATCH /datasets/{dataset_id}/documents/{document_id}``: name, metadata, whether it is used."""
    document = _document(call, _dataset(call))
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
    return ok(shapes.document_object(call.store, call.era, document)) if call.era.new_chat_api else ok()


async def delete_documents(call: Call) -> Response:
    """``DELETE /datasets/{dataset_id}/documents``."""
    dataset = _dataset(call)
    body = await call.body()
    everything = [document.id for document in call.store.all(Document, parent=dataset.id)]
    ids = body.get("ids") or (everything if call.era.empty_ids_delete_all or body.get("delete_all") else [])
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
    """``POST …/chunks`` and ``…/documents/parse``: the documents are RUNNING until they are needed."""
    dataset = _dataset(call)
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
    """``DELETE …/chunks`` and ``…/documents/stop``."""
    dataset = _dataset(call)
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


# Chunks


async def list_chunks(call: Call) -> Response:
    """``GET …/documents/{document_id}/chunks``."""
    finish_parsing(call.backend)
    document = _document(call, _dataset(call))
    # Added chunks come first, as in the recordings (07_chunk_list).
    chunks = sorted(call.store.all(Chunk, parent=document.id), key=lambda chunk: not chunk.added_by_hand)
    chunks = find(chunks, id=call.query("id"))
    if call.query("id") and chunks and call.era.chunk_alone_needs_image:
        raise Refused(crashed(KeyError("img_id")))
    if words := call.query("keywords"):
        chunks = [chunk for chunk in chunks if words.lower() in chunk.content.lower()]
    if (wanted := call.query("id")) and not chunks:
        code, message = call.era.unknown_chunk
        raise refuse(code, message.format(dataset=document.dataset_id, chunk=wanted))
    page = [shapes.chunk_object(call.era, chunk) for chunk in call.page(chunks, newest_first=False)]
    if words:  # the search engine's highlight stands in place of the text (seen 0.22.1, 0.24.0)
        page = [seen | {"content": highlight(str(seen["content"]).lower(), words)} for seen in page]
    beside = shapes.document_object(call.store, call.era, document, beside_chunks=True)
    return ok({"chunks": page, "doc": beside, "total": len(chunks)})


def _chunk(call: Call) -> Chunk:
    document = _document(call, _dataset(call))
    chunk = call.store.get(Chunk, call.arg("chunk_id"), parent=document.id)
    if chunk is None:
        raise refuse(102, f"Can't find this chunk {call.arg('chunk_id')}")
    return chunk


async def get_chunk(call: Call) -> Response:
    """``GET …/chunks/{chunk_id}``."""
    return ok(shapes.chunk_object(call.era, _chunk(call)))


async def add_chunk(call: Call) -> Response:
    """``POST …/documents/{document_id}/chunks``."""
    document = _document(call, _dataset(call))
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
    seen = {
        "id": chunk.id,
        "content": content,
        "create_time": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(chunk.created / 1000)),
        "create_timestamp": chunk.created / 1000,
        "dataset_id": chunk.dataset_id,
        "document_id": chunk.document_id,
        "important_keywords": chunk.important_keywords,
        "questions": chunk.questions,
    }
    return ok({"chunk": seen | ({"doc_type_kwd": "text"} if call.era.chunk_has_type else {})})


async def update_chunk(call: Call) -> Response:
    """``PUT`` and ``PATCH …/chunks/{chunk_id}``."""
    chunk = _chunk(call)
    body = await call.body()
    for name in ("content", "important_keywords", "questions", "available"):
        if name in body:
            setattr(chunk, name, body[name])
    call.store.put_chunk(chunk)
    return ok()


async def delete_chunks(call: Call) -> Response:
    """``DELETE …/documents/{document_id}/chunks``."""
    document = _document(call, _dataset(call))
    body = await call.body()
    everything = [chunk.id for chunk in call.store.all(Chunk, parent=document.id)]
    ids = body.get("chunk_ids") or (everything if call.era.empty_ids_delete_all or body.get("delete_all") else [])
    found = [chunk for key in ids if (chunk := call.store.get(Chunk, key, parent=document.id))]
    for chunk in found:
        call.store.delete(chunk)
    document.chunk_count -= len(found)
    call.store.touch(document)
    if len(found) < len(ids):
        raise refuse(102, f"rm_chunk deleted chunks {len(found)}, expect {len(ids)}")
    return ok()
