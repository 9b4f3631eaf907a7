"""From a request to a turn: what is retrieved, what the model is asked, and what is remembered."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator import prompting, research
from ragflow_integrations.emulator.answering import Hit, Query, graph_hit, search
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.metadata import matching_documents
from ragflow_integrations.emulator.model import Commands, ModelRequest
from ragflow_integrations.emulator.store import Chat, Dataset, new_id
from ragflow_integrations.emulator.streams import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.emulator.calls import Call
    from ragflow_integrations.emulator.store import Session


@dataclass(kw_only=True)
class Question:
    """A question with its options."""

    text: Any
    """What is asked; anything that the body holds, as the server checks it late."""
    history: list[dict[str, Any]] = field(default_factory=list)
    streamed: bool = True
    quote: bool | None = None
    document_ids: list[str] | None = None
    extra_dataset_ids: list[str] = field(default_factory=list)
    metadata_condition: dict[str, Any] | None = None
    legacy: bool = False
    native: bool = False
    """Whether it came by the native route, not the OpenAI-compatible one."""
    reasoning: Any = None
    with_metadata: bool = False
    model: str = ""
    settings: dict[str, Any] | None = None
    """Settings of the model instead of the assistant's."""
    variables: dict[str, Any] = field(default_factory=dict)
    """The body: all its fields are variables of the prompt."""


def _retrieve(call: Call, chat: Chat, question: Question, dataset_ids: list[str]) -> list[Hit]:
    """Return the chunks that a question retrieves, the passage of the knowledge graph first."""
    config = chat.prompt_config
    if not dataset_ids or not isinstance(question.text, str):
        return []
    bare_question = Commands.of(question.text).question
    query = Query(
        question=prompting.standalone(bare_question, question.history) if config.get("refine_multiturn") else bare_question,
        dataset_ids=dataset_ids,
        document_ids=_documents(call, chat, question, dataset_ids),
        similarity_threshold=chat.similarity_threshold,
        vector_similarity_weight=chat.vector_similarity_weight,
        top_k=chat.top_k,
    )
    hits = search(call.store, query)[: chat.top_n]
    if config.get("use_kg") and (passage := graph_hit(call.store, dataset_ids)):
        hits.insert(0, passage)
    return hits


def make_turn(call: Call, chat: Chat | None, question: Question) -> Turn:
    """Retrieve for a question and return the turn.

    Args:
        call: The request.
        chat: The assistant; None for a question to the model alone.
        question: The question with its options.

    Returns:
        The turn, ready to run.
    """
    finish_parsing(call.backend)
    chat = chat or Chat(name="")
    dataset_ids = [*chat.dataset_ids, *question.extra_dataset_ids]
    config = chat.prompt_config
    quote = bool(config.get("quote", True)) if question.quote is None else question.quote and bool(config.get("quote", True))
    began = time.perf_counter()
    hits = _retrieve(call, chat, question, dataset_ids)
    retrieval_seconds = time.perf_counter() - began
    request = ModelRequest(
        question=question.text,
        hits=hits,
        history=question.history,
        system=prompting.fill(config, question.variables, hits) if dataset_ids else str(config.get("system", "")),
        model=question.model or chat.llm_id,
        settings=chat.llm_setting if question.settings is None else question.settings,
        cite=call.era.marker.format if quote else None,
        streamed=question.streamed,
        failure=call.plan.llm_error,
    )
    return Turn(
        era=call.era,
        model=call.backend.model,
        request=request,
        has_datasets=bool(dataset_ids),
        quote=quote,
        empty_response=str(config.get("empty_response") or ""),
        question_is_blank=not str(question.text).strip(),
        legacy=question.legacy and call.era.legacy_flag,
        researches=research.applies(call.era, config, question.reasoning, native=question.native, searches=bool(dataset_ids)),
        failure=prompting.missing_variable(config, question.variables) if dataset_ids else None,
        with_metadata=question.with_metadata,
        began=began,
        retrieval_seconds=retrieval_seconds,
    )


def _documents(call: Call, chat: Chat, question: Question, dataset_ids: Sequence[str]) -> list[str] | None:
    """Return the documents to answer from; None for all.

    A metadata condition replaces the document ids (source: ``api/apps/sdk/session.py`` of 0.24.0). The assistant's own filter
    adds documents to them (source: ``apply_meta_data_filter``). Datasets of tables are asked by SQL, whatever the ids, before
    0.27.0 (source: ``use_sql``).
    """
    era = call.era
    documents = question.document_ids
    if question.metadata_condition:
        condition = question.metadata_condition
        documents = matching_documents(call.store, era, dataset_ids, condition) if condition.get("conditions") else None
    own = chat.meta_data_filter if era.chat_has_metadata_filter else {}
    if own.get("method") == "manual":
        conditions = [
            {"name": entry.get("key"), "comparison_operator": entry.get("op"), "value": entry.get("value")}
            for entry in own.get("manual") or []
        ]
        condition = {"logic": own.get("logic", "and"), "conditions": conditions}
        documents = [*(documents or []), *matching_documents(call.store, era, dataset_ids, condition)]
    tables = any(
        dataset.parser_config.get("field_map") for key in dataset_ids if (dataset := call.store.get(Dataset, key)) is not None
    )
    return None if tables and not era.sql_within_documents else documents


def new_message_id(call: Call) -> str:
    """Return the id of a turn: hexadecimal from 0.25 on, with hyphens before."""
    return new_id() if call.era.messages_in_events else str(uuid.uuid4())


def remember(call: Call, session: Session, turn: Turn, messages: list[dict[str, Any]], message_id: str | None) -> None:
    """Store a finished turn.

    Like the server, this writes the session as it was when the turn began: of two turns at once, the later wins
    (``13_concurrent_2_session_afterwards``).

    Args:
        call: The request.
        session: The session, as read when the turn began.
        turn: The finished turn.
        messages: The conversation up to and with the question.
        message_id: The id of the turn.
    """
    answer = {"role": "assistant", "content": turn.text, "id": message_id, "created_at": time.time()}
    session.messages = [*messages, answer]
    kept = {"total": turn.reference.get("total", 0)} if turn.reference.get("chunks") else {}
    chunks, aggregates = turn.reference.get("chunks", []), turn.reference.get("doc_aggs", [])
    session.references.append({"chunks": chunks, "doc_aggs": aggregates} | kept)
    call.store.touch(session)
