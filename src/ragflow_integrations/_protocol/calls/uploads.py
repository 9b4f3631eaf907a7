"""Uploads of which the server refused some files: which ones, why, and which it has stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.calls.paging import PAGE_SIZE
from ragflow_integrations.errors import DocumentUploadError, RAGFlowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations._protocol.calls.paging import PageFetcher
    from ragflow_integrations._protocol.steps import Operation, Upload
    from ragflow_integrations.errors import APIError
    from ragflow_integrations.models import Document, JsonObject

#: The server's limit of file names; a longer one refuses all files, without naming it (docs/protocol.md, "Uploads").
_NAME_BYTES = 255
_BAD_ARGUMENT = 101


def refused(
    error: APIError, files: Sequence[Upload], dataset_id: str, documents: PageFetcher[Document]
) -> Operation[DocumentUploadError]:
    """Return the error of a refusal that does not name what is stored (before 0.26.3); that is looked up.

    Args:
        error: The refusal.
        files: The files uploaded.
        dataset_id: Dataset they were uploaded to.
        documents: The listing of its documents.
    """
    failed = _reasons(error.message, files)
    stored: list[Document] = []
    problem: RAGFlowError | None = None
    if error.code == _BAD_ARGUMENT:  # of all files
        failed = {file.name: error.message for file in files if len(file.name.encode()) > _NAME_BYTES}
    elif failed:
        try:
            stored = yield from _find(documents, [file for file in files if file.name not in failed])
        except RAGFlowError as raised:
            problem = raised
    return DocumentUploadError(
        _text(files, dataset_id, error.message, stored, problem),
        stored=tuple(stored),
        failed=failed,
        code=error.code,
        http_status=error.http_status,
        message=error.message,
        response=error.response,
        request_id=error.request_id,
    )


def refused_in_part(
    reply: JsonObject, files: Sequence[Upload], dataset_id: str, stored: Sequence[Document]
) -> DocumentUploadError:
    """Return the error of a reply that names the documents stored, fewer than the files uploaded."""
    message = fields.text(reply, "message")
    return DocumentUploadError(
        _text(files, dataset_id, message, stored, None),
        stored=tuple(stored),
        failed=_reasons(message, files),
        code=fields.integer(reply, "code"),
        message=message,
    )


def _text(
    files: Sequence[Upload], dataset_id: str, message: str, stored: Sequence[Document], problem: RAGFlowError | None
) -> str:
    names = ", ".join(repr(document.name) for document in stored)
    known = f"Stored are {names}: do not upload these again." if names else "None is stored."
    if problem is not None:
        known = f"Which are stored could not be looked up ({problem}): see `client.documents.list({dataset_id!r})`."
    return (
        f"Of {len(files)} files for dataset {dataset_id!r}, not all were taken: {message or 'no reason was given'} {known} "
        "RAGFlow reads files of known types, with their extension in their name."
    )


def _reasons(message: str, files: Sequence[Upload]) -> dict[str, str]:
    """Return the names of files that a message names at the beginning of a line, each with what follows."""
    names = sorted({file.name for file in files}, key=len, reverse=True)
    starts = [
        (match.start(), match.end(), name)
        for name in names
        for match in re.finditer(rf"^{re.escape(name)}: ", message, re.MULTILINE)
    ]
    starts.sort()
    ends = [*(start for start, _, _ in starts), len(message)][1:]
    return {name: message[begin:end].strip() for (_, begin, name), end in zip(starts, ends, strict=True)}


def _find(documents: PageFetcher[Document], files: Sequence[Upload]) -> Operation[list[Document]]:
    """Return the documents that were made of files: of each file the newest of its size; its name may have got a number."""
    found: dict[int, Document] = {}
    for number in range(1, len(files) // PAGE_SIZE + 2):
        page = yield from documents(number)
        for document in page.items:
            fits = (index for index, file in enumerate(files) if index not in found and _is_of(document, file))
            index = next(fits, None)
            if index is not None:
                found[index] = document
        if page.last or len(found) == len(files):
            break
    return [found[index] for index in sorted(found)]


def _is_of(document: Document, file: Upload) -> bool:
    stem, dot, extension = file.name.rpartition(".")
    name = rf"{re.escape(stem)}(?:\(\d+\))?{re.escape(dot + extension)}"
    return document.size == len(file.content) and re.fullmatch(name, document.name) is not None
