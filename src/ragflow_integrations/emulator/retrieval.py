"""Routes that search: retrieval, its Dify form, and related questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.answering import Query, candidates, document_counts, graph_hit, highlight, search
from ragflow_integrations.emulator.defaults import RERANK_MODEL
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.metadata import matching_documents
from ragflow_integrations.emulator.responses import Json, Refused, exception_reply, ok, refuse
from ragflow_integrations.emulator.serializers.chunks import hit_object
from ragflow_integrations.emulator.store import Dataset, Document
from ragflow_integrations.emulator.text import sentences, terms
from ragflow_integrations.emulator.windows import Cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call

_RELATED = 5


def _positive(value: Any, default: int) -> int:
    """Return a positive number; anything else counts as the default [06_retrieval_err_bad_page]."""
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
    models = set()
    for key in dataset_ids:
        dataset = call.store.get(Dataset, key)
        if dataset is None:
            raise refuse(102, f"You don't own the dataset {key}.")
        models.add(dataset.embedding_model)
    if len(models) > 1:
        raise refuse(102, 'Datasets use different embedding models."')
    return dataset_ids


def _documents(call: Call, body: dict[str, Any], dataset_ids: Sequence[str]) -> list[str] | None:
    """Return the documents to search in; None for all. Document ids make every release ignore the metadata condition."""
    documents = body.get("document_ids") or None
    if documents is not None and not isinstance(documents, list):
        raise refuse(102, "`documents` should be a list")
    owned = [document.id for key in dataset_ids for document in call.store.all(Document, parent=key)]
    for key in documents or []:
        if key not in owned:
            raise refuse(102, f"The datasets don't own the document {key}")
    condition = body.get("metadata_condition")
    if documents is not None or not condition or not call.era.metadata_condition:
        return documents
    if not isinstance(condition, dict):
        raise Refused(exception_reply(AttributeError(f"'{type(condition).__name__}' object has no attribute 'get'")))
    matching = matching_documents(call.store, call.era, dataset_ids, condition, in_retrieval=True)
    return None if not matching and call.era.unmatched_metadata_is_ignored else matching


def _highlighted(call: Call, body: dict[str, Any]) -> bool:
    if call.era.highlight_off_is_text:  # JSON's false is not among the values that turn it off
        return body.get("highlight") not in ("false", "False")
    highlighted = body.get("highlight", False)
    if not isinstance(highlighted, bool) and str(highlighted).lower() not in ("true", "false"):
        raise refuse(102, "`highlight` should be a boolean")
    return str(highlighted).lower() == "true"


def _options(call: Call, body: dict[str, Any]) -> tuple[int, int, bool]:
    """Return page number, page size and highlighting, or raise the refusal of a wrong one."""
    size = _positive(body.get("page_size", 30), 30)
    call.check_page_size(size)
    highlighted = _highlighted(call, body)
    if call.era.new_chat_api and isinstance(body.get("top_k"), int) and body["top_k"] <= 0:
        raise refuse(102, "`top_k` must be greater than 0")
    return _positive(body.get("page", 1), 1), size, highlighted


def _check_rerank_model(call: Call, name: str) -> None:
    """Refuse a rerank model that does not exist, in the release's words (``0.27.0-unknown_model``; else source)."""
    if name.partition("@")[0] != RERANK_MODEL:
        provider = name.partition("@")[2].rpartition("@")[2]
        text = f"Model({name}) not authorized"
        if call.era.models_have_providers:
            text = f"Provider {provider} not found for model {name}."
        raise Refused(exception_reply(LookupError(text)))


def _cut(call: Call, body: dict[str, Any], size: int, *, within_documents: bool) -> Cut:
    """Return how pages are cut; `within_documents` says whether documents were named or filtered."""
    era = call.era
    threshold = float(body.get("similarity_threshold", 0.2))
    without_vectors = float(body.get("vector_similarity_weight", 0.3)) <= 0
    if (within_documents and era.threshold_skips_documents) or (without_vectors and era.threshold_needs_vectors):
        threshold = 0.0
    pool = None
    if body.get("rerank_id"):
        _check_rerank_model(call, str(body["rerank_id"]))
        pool = int(body.get("top_k") or 1024)
    return Cut(era.window, size, threshold, pool)


def _metadata(call: Call, body: dict[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the metadata that a hit carries; None for none."""
    metadata_option = body.get("reference_metadata")
    metadata_option = metadata_option if isinstance(metadata_option, dict) else {}
    if not call.era.metadata_in_hits or not (metadata_option.get("include") or body.get("include_metadata")):
        return None
    fields = metadata_option.get("fields") or body.get("metadata_fields")
    return {name: value for name, value in metadata.items() if not isinstance(fields, list) or name in fields}


async def retrieve(call: Call) -> Response:
    """Answer ``POST /retrieval``."""
    body = await call.body()
    dataset_ids = _dataset_ids(call, body)
    if "question" not in body:
        raise refuse(102, "`question` is required.")
    documents = _documents(call, body, dataset_ids)
    page_number, size, highlighted = _options(call, body)
    question = str(body["question"] or "").strip()
    if not question or documents == []:
        return _nothing({})
    cut = _cut(call, body, size, within_documents=documents is not None)
    query = Query(
        question=question,
        dataset_ids=dataset_ids,
        document_ids=documents,
        vector_similarity_weight=float(body.get("vector_similarity_weight", 0.3)),
        top_k=int(body.get("top_k") or 1024),
    )
    result_page = cut.page(candidates(call.store, query), page_number)
    hits = list(result_page.hits)
    if body.get("use_kg") and (passage := graph_hit(call.store, dataset_ids)):
        hits.insert(0, passage)
    chunks = []
    for hit in hits:
        fields = hit_object(hit, call.era, words=terms(hit.chunk.content))
        if highlighted:
            fields["highlight"] = highlight(hit.chunk.content, question)
        metadata = _metadata(call, body, hit.metadata)
        if metadata is not None:
            fields["document_metadata"] = metadata
        chunks.append(fields)
    if not chunks:
        return _nothing([])
    return ok({"total": len(result_page.passing), "chunks": chunks, "doc_aggs": document_counts(result_page.passing)})


async def dify(call: Call) -> Response:
    """Answer ``POST /dify/retrieval``: the external knowledge API of Dify."""
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
    """Answer ``POST /sessions/related_questions`` and ``/chat/recommendation``: from sentences with the question's words."""
    body = await call.body()
    if "question" not in body:
        raise refuse(102, "`question` is required.")
    search_terms = list(dict.fromkeys(terms(str(body["question"]))))
    questions = [
        f"What about this: {sentence.rstrip('.!?')}?"
        for chunk in call.store.match(search_terms, _RELATED)
        for sentence in sentences(chunk.content)
        if set(search_terms) & set(terms(sentence))
    ]
    return ok(questions[:_RELATED], call.success_message)
