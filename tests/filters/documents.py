"""A dataset whose documents all answer one question, and what a filter should let through, decided apart from the client."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ragflow_integrations import RAGFlowClient
from ragflow_integrations.emulator import Emulator
from ragflow_integrations.emulator.store import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ragflow_integrations import AsyncRAGFlowClient

QUESTION = "Which report mentions the harbour?"
COUNT = 5


class FilteredServer:
    """An emulator of one release, with `COUNT` documents of which each is one chunk.

    Attributes:
        ids: Ids of the documents.
        chat_id: A chat assistant that is answered from all of them at once.
    """

    def __init__(self, version: str) -> None:
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        for number in range(COUNT):
            (folder / f"report-{number}.txt").write_text(f"Report {number} mentions the harbour of town {number}.\n")
        self.emulator = self._stack.enter_context(Emulator(docs=folder, version=version))
        self.client = self._stack.enter_context(RAGFlowClient(self.emulator.base_url, self.emulator.api_key, timeout=10))
        documents = list(self.client.documents.list(self.emulator.dataset_id))
        self.ids = [item.id for item in sorted(documents, key=lambda item: item.name)]
        self.chat_id = self.emulator.chat_id
        self.client.chats.update(self.chat_id, prompt={"top_n": COUNT, "similarity_threshold": 0.0})

    @property
    def twin(self) -> AsyncRAGFlowClient:
        """A new asynchronous client, for one event loop."""
        return self.client.as_async()

    def set_metadata(self, metadata: Sequence[Mapping[str, Any]]) -> None:
        """Give each document its metadata, in the store itself, which is quicker than by requests."""
        store = self.emulator.store
        for document_id, fields in zip(self.ids, metadata, strict=True):
            document = store.get(Document, document_id)
            assert document is not None
            document.meta_fields = dict(fields)
            store.put(document)

    def close(self) -> None:
        """Stop the emulator."""
        self._stack.close()


def allowed(condition: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """Whether a document's metadata fulfil a condition, as docs/client.md words it."""
    if "conditions" in condition:
        results = [allowed(one, metadata) for one in condition["conditions"]]
        return any(results) if condition.get("logic") == "or" else all(results)
    stored = metadata.get(condition["name"])
    values = stored if isinstance(stored, list) else [stored]
    operator, wanted = condition["comparison_operator"], condition.get("value")
    return any(_compares(operator, str(value), wanted) for value in values if value is not None)


def _compares(operator: str, text: str, wanted: Any) -> bool:
    have = text.lower()
    if operator in {"in", "not in"}:
        return (have in [str(one).lower() for one in wanted]) is (operator == "in")
    want = str(wanted).lower()
    answers = {
        "contains": want in have,
        "not contains": want not in have,
        "start with": have.startswith(want),
        "end with": have.endswith(want),
        "empty": not have,
        "not empty": bool(have),
    }
    if operator in answers:
        return answers[operator]
    left: Any = have
    right: Any = want
    dates = [re.fullmatch(r"\d{4}-\d\d-\d\d", side) for side in (have, want)]
    if dates[1]:
        if not dates[0]:
            return False
    else:
        numeric = [re.fullmatch(r"-?\d+(\.\d+)?", side) for side in (have, want)]
        if all(numeric):
            left, right = float(have), float(want)
        elif any(numeric):
            return operator in {"not is", "≠"}
    return bool(
        {
            "is": left == right,
            "=": left == right,
            "not is": left != right,
            "≠": left != right,
            ">": left > right,
            "<": left < right,
            "≥": left >= right,
            "≤": left <= right,
        }[operator]
    )


def document_ids(chunks: Iterable[Any]) -> set[str]:
    """The documents that chunks are of."""
    return {chunk.document_id for chunk in chunks}
