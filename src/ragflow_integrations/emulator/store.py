"""What the emulator keeps: datasets, documents, chunks, chats, sessions and agents, in one SQLite file or in memory.

Objects are dataclasses, stored as JSON in one table. Chunks are indexed a second time in an FTS5 table whose text is
already reduced to search terms (`ragflow_integrations.emulator.text.terms`), which is what makes Chinese findable.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ragflow_integrations.emulator.text import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_NODE: Final = 0x02FC00000001
"""The node of the ids made here: a fixed, locally administered address instead of this machine's."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, seq INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL, UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS children ON objects (kind, parent);
CREATE TABLE IF NOT EXISTS files (document_id TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS chunk_terms USING fts5 (chunk_id UNINDEXED, terms, tokenize = "unicode61");
"""


def new_id() -> str:
    """Make an id the way the server does: a version 1 UUID in hexadecimal, which later releases insist on."""
    return uuid.uuid1(node=_NODE).hex


def now_ms() -> int:
    """Return the time in milliseconds, the unit of ``create_time``."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class Record:
    """What every stored object has."""

    id: str = field(default_factory=new_id)
    created: int = field(default_factory=now_ms)
    updated: int = 0

    def __post_init__(self) -> None:
        self.updated = self.updated or self.created

    @property
    def parent(self) -> str:
        """The id of the object that this one belongs to."""
        return ""


@dataclass(kw_only=True)
class Dataset(Record):
    """A knowledge base."""

    name: str
    description: str | None = None
    avatar: str | None = None
    chunk_method: str = "naive"
    embedding_model: str = "emulated-embedding@Emulator"
    permission: str = "me"
    parser_config: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Document(Record):
    """An uploaded file."""

    dataset_id: str
    name: str
    size: int = 0
    content_hash: str = ""
    run: str = "UNSTART"
    progress: float = 0.0
    progress_msg: str = ""
    process_begin: int | None = None
    process_seconds: float = 0.0
    chunk_count: int = 0
    token_count: int = 0
    meta_fields: dict[str, Any] = field(default_factory=dict)
    enabled: bool = True

    @property
    def parent(self) -> str:
        """The dataset."""
        return self.dataset_id


@dataclass(kw_only=True)
class Chunk(Record):
    """A passage of a document."""

    dataset_id: str
    document_id: str
    document_name: str
    content: str
    positions: list[list[int]] = field(default_factory=list)
    important_keywords: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    added_by_hand: bool = False
    available: bool = True

    @property
    def parent(self) -> str:
        """The document."""
        return self.document_id


@dataclass(kw_only=True)
class Chat(Record):
    """A chat assistant, in the terms of the newer API; older bodies are translated on their way in and out."""

    name: str
    description: str = "A helpful Assistant"
    icon: str = ""
    dataset_ids: list[str] = field(default_factory=list)
    llm_id: str = ""
    llm_setting: dict[str, Any] = field(default_factory=dict)
    prompt_config: dict[str, Any] = field(default_factory=dict)
    similarity_threshold: float = 0.1
    vector_similarity_weight: float = 0.3
    top_n: int = 6
    top_k: int = 1024
    rerank_id: str = ""
    meta_data_filter: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Agent(Record):
    """An agent with a fixed flow: retrieve and answer, or ask the user for something first."""

    title: str
    description: str | None = None
    prologue: str = "Hi! I am the emulator's agent."
    dataset_ids: list[str] = field(default_factory=list)
    asks: str | None = None
    """The key of the input that the flow asks the user for before it answers."""
    says: str | None = None
    """A fixed text that the flow answers with, without retrieval and model."""
    greets: str = ""
    """A fixed text that the flow says before it asks for something."""


@dataclass(kw_only=True)
class Session(Record):
    """A conversation with a chat or an agent."""

    owner_id: str
    name: str = "New session"
    user_id: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    references: list[dict[str, Any]] = field(default_factory=list)
    waits_for_input: bool = False
    pending_question: str = ""
    failed: bool = False
    source: str = "agent"
    """``workflow`` for an agent's session that a run has made, on releases that keep the two apart."""
    begin_values: dict[str, Any] = field(default_factory=dict)
    """Values of an agent's begin form, on releases that take them when the session is made."""
    path: list[str] = field(default_factory=list)
    """The nodes that an agent's last run went through, or the form that it waits for."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the nodes of an agent's last run made."""
    errors: str | None = None
    """What an agent's last run failed with, if that ended it."""

    @property
    def parent(self) -> str:
        """The chat or agent."""
        return self.owner_id


_Stored = TypeVar("_Stored", bound=Record)


class Store:
    """The database.

    Args:
        path: A file that outlives the emulator, or None for memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        self._lock = threading.RLock()
        with self._lock, self._db:
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database; it cannot be used again."""
        with self._lock:
            self._db.close()

    # Objects of every kind

    def put(self, record: Record) -> None:
        """Insert or replace an object; its place in lists stays."""
        body = json.dumps(asdict(record), ensure_ascii=False)
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO objects (kind, id, parent, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (type(record).__name__, record.id, record.parent, body),
            )

    def touch(self, record: Record) -> None:
        """Store a changed object with the time of the change."""
        record.updated = max(now_ms(), record.updated)
        self.put(record)

    def get(self, kind: type[_Stored], key: object, *, parent: str | None = None) -> _Stored | None:
        """Return an object by its id.

        Args:
            kind: Its class.
            key: Its id; anything that is not a string is unknown.
            parent: The id of the object that it must belong to.

        Returns:
            The object, or None.
        """
        if not isinstance(key, str):
            return None
        with self._lock:
            row = self._db.execute("SELECT body FROM objects WHERE kind = ? AND id = ?", (kind.__name__, key)).fetchone()
        record = kind(**json.loads(row[0])) if row else None
        return record if record and parent in (None, record.parent) else None

    def all(self, kind: type[_Stored], *, parent: str | None = None) -> list[_Stored]:
        """List objects in order of creation.

        Args:
            kind: Their class.
            parent: The id of the object that they belong to; None for all.

        Returns:
            The objects.
        """
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM objects WHERE kind = ? AND (? IS NULL OR parent = ?) ORDER BY seq",
                (kind.__name__, parent, parent),
            ).fetchall()
        return [kind(**json.loads(row[0])) for row in rows]

    def _drop(self, kind: type[Record], keys: Iterable[str]) -> None:
        with self._lock, self._db:
            self._db.executemany("DELETE FROM objects WHERE kind = ? AND id = ?", [(kind.__name__, key) for key in keys])

    def delete(self, record: Record) -> None:
        """Delete an object and all that belongs to it."""
        match record:
            case Dataset():
                for document in self.all(Document, parent=record.id):
                    self.delete(document)
            case Document():
                self.delete_chunks(record)
                with self._lock, self._db:
                    self._db.execute("DELETE FROM files WHERE document_id = ?", (record.id,))
            case Chunk():
                with self._lock, self._db:
                    self._db.execute("DELETE FROM chunk_terms WHERE chunk_id = ?", (record.id,))
            case Chat() | Agent():
                self._drop(Session, [session.id for session in self.all(Session, parent=record.id)])
            case _:
                pass
        self._drop(type(record), [record.id])

    # Files and chunks

    def put_file(self, document: Document, content: bytes) -> None:
        """Store a document with its bytes."""
        document.size = len(content)
        document.content_hash = hashlib.blake2b(content, digest_size=16).hexdigest()
        self.put(document)
        with self._lock, self._db:
            self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (document.id, content))

    def file(self, document: Document) -> bytes:
        """Return the bytes of a document."""
        with self._lock:
            row = self._db.execute("SELECT content FROM files WHERE document_id = ?", (document.id,)).fetchone()
        content: bytes = row[0] if row else b""
        return content

    def put_chunk(self, chunk: Chunk) -> None:
        """Insert or replace a chunk and index it."""
        searchable = " ".join([chunk.content, *chunk.important_keywords, *chunk.questions])
        self.put(chunk)
        with self._lock, self._db:
            self._db.execute("DELETE FROM chunk_terms WHERE chunk_id = ?", (chunk.id,))
            self._db.execute("INSERT INTO chunk_terms VALUES (?, ?)", (chunk.id, " ".join(terms(searchable))))

    def delete_chunks(self, document: Document) -> None:
        """Delete all chunks of a document."""
        for chunk in self.all(Chunk, parent=document.id):
            self.delete(chunk)

    def match(self, search_terms: Sequence[str], limit: int) -> list[Chunk]:
        """Find the chunks that hold any of the terms.

        Args:
            search_terms: Search terms.
            limit: How many chunks at most.

        Returns:
            The chunks, best BM25 rank first.
        """
        if not search_terms:
            return []
        query = " OR ".join(f'"{term}"' for term in search_terms)
        with self._lock:
            rows = self._db.execute(
                "SELECT chunk_id FROM chunk_terms WHERE chunk_terms MATCH ? ORDER BY rank LIMIT ?", (query, limit)
            ).fetchall()
        return [chunk for row in rows if (chunk := self.get(Chunk, row[0]))]

    def frequency(self, term: str) -> int:
        """Return the number of chunks that hold a term."""
        with self._lock:
            row = self._db.execute("SELECT count(*) FROM chunk_terms WHERE chunk_terms MATCH ?", (f'"{term}"',)).fetchone()
        count: int = row[0]
        return count

    def chunk_total(self) -> int:
        """Return the number of chunks."""
        with self._lock:
            row = self._db.execute("SELECT count(*) FROM chunk_terms").fetchone()
        count: int = row[0]
        return count
