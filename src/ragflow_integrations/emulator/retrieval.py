"""Routes that search: retrieval, its Dify form, and related questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator import shapes
from ragflow_integrations.emulator.answering import Query, document_counts, highlight, search
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.metadata import matching_documents
from ragflow_integrations.emulator.replies import Json, ok, refuse
from ragflow_integrations.emulator.store import Dataset, Document
from ragflow_integrations.emulator.text import sentences, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call

_RELATED = 5


def _positive(value: Any, default: int) -> int:
    """A number that must be positive; junk counts as the default (``06_retrieval_err_bad_page``)."""
    return int(value) if str(value).isdecimal() and int(value) else default


def _nothing(aggregates: Any) -> Json:
    return ok({"total": 0, "chunks": [], "doc_aggs": aggregates})


def _dataset_ids(call: Call, body: dict[str, Any]) -> list[str]:
    finish_parsing(call.backend)
    dataset_ids = body.get("dataset_ids")
    if not dataset_ids:
        raise refuse(102, "`dataset_ids` is required.")
    if not isinstance(dataset_ids, list):
        raise refuse(102, "`dataset_ids` should be a list")
    for key in dataset_ids:
        if call.store.get(Dataset, key) is None:
            raise refuse(102, f"You don't own the dataset {key}.")
    return dataset_ids


def _documents(call: Call, body: dict[str, Any], dataset_ids: Sequence[str]) -> list[str] | None:
    """The documents to search in; None for all."""
    documents = body.get("document_ids") or None
    if documents is not None and not isinstance(documents, list):
        raise refuse(102, "`documents` should be a list")
    owned = [document.id for key in dataset_ids for document in call.store.all(Document, parent=key)]
    for key in documents or []:
        if key not in owned:
            raise refuse(102, f"The datasets don't own the document {key}")
    condition = body.get("metadata_condition")
    if condition and call.era.metadata_condition:
        matching = matching_documents(call.store, dataset_ids, condition)
        if matching or not call.era.unmatched_metadata_is_ignored:
            return [key for key in matching if documents is None or key in documents]
    return documents


def _options(call: Call, body: dict[str, Any]) -> tuple[int, int, bool]:
    """Page, page size and highlighting, checked."""
    era = call.era
    size = _positive(body.get("page_size", 30), 30)
    call.check_page_size(size)
    marked = body.get("highlight", era.highlight_default)
    if not era.highlight_default and not isinstance(marked, bool):
        raise refuse(102, "`highlight` should be a boolean")
    if era.new_chat_api and isinstance(body.get("top_k"), int) and body["top_k"] <= 0:
        raise refuse(102, "`top_k` must be greater than 0")
    return _positive(body.get("page", 1), 1), size, str(marked).lower() == "true"


def _wants_metadata(call: Call, body: dict[str, Any]) -> bool:
    wanted = body.get("reference_metadata")
    included = isinstance(wanted, dict) and wanted.get("include")
    return call.era.new_chat_api and bool(included or body.get("include_metadata"))


async def retrieve(call: Call) -> Response:
    """``POST /retrieval``."""
    body = await call.body()
    dataset_ids = _dataset_ids(call, body)
    if "question" not in body:
        raise refuse(102, "`question` is required.")
    documents = _documents(call, body, dataset_ids)
    page, size, marked = _options(call, body)
    question = str(body["question"] or "").strip()
    if not question or (documents == [] and body.get("metadata_condition")):
        return _nothing({})
    query = Query(
        question=question,
        dataset_ids=dataset_ids,
        document_ids=documents,
        similarity_threshold=float(body.get("similarity_threshold", 0.2)),
        vector_similarity_weight=float(body.get("vector_similarity_weight", 0.3)),
        top_k=int(body.get("top_k") or 1024),
    )
    hits = search(call.store, query)
    shown = hits[(page - 1) * size : page * size]
    if not shown:
        return _nothing([])
    chunks = []
    for hit in shown:
        seen = shapes.hit_object(hit, call.era, words=terms(hit.chunk.content))
        if marked:
            seen["highlight"] = highlight(hit.chunk.content, question)
        if _wants_metadata(call, body):
            seen["document_metadata"] = dict(hit.metadata)
        chunks.append(seen)
    return ok({"total": len(hits), "chunks": chunks, "doc_aggs": document_counts(hits)})


async def dify(call: Call) -> Response:
    """``POST /dify/retrieval``: the external knowledge API of Dify."""
    body = await call.body()
    key = body.get("knowledge_id")
    if call.store.get(Dataset, key) is None:
        return Json({"code": 404, "message": "Knowledgebase not found!"})
    settings = body.get("retrieval_setting") or {}
    query = Query(
        question=str(body.get("query", "")),
        dataset_ids=[str(key)],
        similarity_threshold=float(settings.get("score_threshold", 0.0)),
    )
    hits = search(call.store, query)[: int(settings.get("top_k", 1024))]
    records = [
        {
            "content": hit.chunk.content,
            "score": hit.similarity,
            "title": hit.chunk.document_name,
            "metadata": {"doc_id": hit.chunk.document_id, "document_id": hit.chunk.document_id, **hit.metadata},
        }
        for hit in hits
    ]
    return Json({"records": records})


async def related_questions(call: Call) -> Response:
    """``POST /sessions/related_questions`` and ``/chat/recommendation``: from sentences that share the question's words."""
    body = await call.body()
    if "question" not in body:
        raise refuse(102, "`question` is required.")
    wanted = list(dict.fromkeys(terms(str(body["question"]))))
    found = [
        f"What about this: {sentence.rstrip('.!?')}?"
        for chunk in call.store.match(wanted, _RELATED)
        for sentence in sentences(chunk.content)
        if set(wanted) & set(terms(sentence))
    ]
    return ok(found[:_RELATED], "success" if call.era.new_chat_api else None)
