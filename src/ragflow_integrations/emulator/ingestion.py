"""From files to documents to chunks."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

from ragflow_integrations.emulator import parsing
from ragflow_integrations.emulator.files import UnreadableFileError
from ragflow_integrations.emulator.store import Chunk, Document, now_ms
from ragflow_integrations.emulator.text import count_tokens

if TYPE_CHECKING:
    from ragflow_integrations.emulator.calls import Backend
    from ragflow_integrations.emulator.store import Dataset, Store

_CHUNK_ID_BYTES: Final = 8


def add_file(store: Store, dataset: Dataset, name: str, content: bytes) -> Document:
    """Store a file as a document that is not parsed yet.

    Args:
        store: The store.
        dataset: The dataset that it is added to.
        name: The file's name; if it is taken, a number is added.
        content: Its bytes.

    Returns:
        The document.
    """
    taken = {document.name for document in store.all(Document, parent=dataset.id)}
    stem, dot, suffix = name.rpartition(".")
    number = 0
    unique = name
    while unique in taken:
        number += 1
        unique = f"{stem}({number}){dot}{suffix}"
    document = Document(dataset_id=dataset.id, name=unique)
    store.put_file(document, content)
    return document


def parse(store: Store, document: Document) -> None:
    """Split a document into chunks.

    Args:
        store: The store.
        document: The document; it is changed and stored, also if it cannot be read.
    """
    began = time.perf_counter()
    document.process_begin = now_ms()
    store.delete_chunks(document)
    try:
        text = parsing.plain_text(document.name, store.file(document))
    except UnreadableFileError as problem:
        document.run, document.progress = "FAIL", -1.0
        document.progress_msg = f"\nStart to parse.\n[ERROR]Internal server error while chunking: {problem}"
        document.chunk_count = document.token_count = 0
        store.touch(document)
        return
    passages = parsing.split(text)
    for passage in passages:
        chunk = Chunk(
            id=chunk_id(document.id, passage.text),
            dataset_id=document.dataset_id,
            document_id=document.id,
            document_name=document.name,
            content=passage.text,
            positions=[passage.position],
        )
        store.put_chunk(chunk)
    document.run, document.progress = "DONE", 1.0
    document.chunk_count, document.token_count = len(passages), count_tokens(text)
    document.progress_msg = f"\nStart to parse.\nGenerate {len(passages)} chunks\nTask done"
    document.process_seconds = round(time.perf_counter() - began, 5)
    store.touch(document)


def chunk_id(document_id: str, text: str) -> str:
    """Return the id of a chunk: 16 hexadecimal digits, the same for the same text of the same document."""
    return hashlib.blake2b(f"{document_id}\n{text}".encode(), digest_size=_CHUNK_ID_BYTES).hexdigest()


def finish_parsing(backend: Backend) -> None:
    """Parse all documents that are being parsed, so that their chunks can be searched.

    Args:
        backend: Knows which documents wait.
    """
    while backend.parsing:
        document = backend.store.get(Document, backend.parsing.pop())
        if document is not None:
            parse(backend.store, document)
