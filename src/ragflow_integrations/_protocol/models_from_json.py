"""JSON objects of the server → models, whatever the server's version calls their fields."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from ragflow_integrations._protocol import chat_settings, fields
from ragflow_integrations._protocol.answers.think_tags import split as split_reasoning
from ragflow_integrations.models import (
    Agent,
    AgentStep,
    Attachment,
    Chat,
    Chunk,
    Dataset,
    Document,
    DocumentCount,
    Message,
    Reference,
    Retrieval,
    Session,
    Timings,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.models import JsonObject, JsonValue, Role


N = TypeVar("N", int, float)


def chunk(data: JsonObject, *, key: str = "") -> Chunk:
    """Read a chunk; completions, retrieval, agents and stored rows name its fields differently.

    Args:
        data: The object.
        key: Its key where chunks come as an object; the id of a chunk that has none.
    """
    return Chunk(
        id=fields.text(data, "id", "chunk_id") or key,
        content=fields.text(data, "content", "content_with_weight"),
        document_id=fields.text(data, "document_id", "doc_id"),
        document_name=fields.text(data, "document_name", "document_keyword", "docnm_kwd", "doc_name", "docnm"),
        dataset_id=fields.text(data, "dataset_id", "kb_id"),
        similarity=fields.number(data, "similarity"),
        vector_similarity=fields.number(data, "vector_similarity"),
        term_similarity=fields.number(data, "term_similarity"),
        positions=_positions(data.get("positions") or data.get("position_int")),
        image_id=fields.text(data, "image_id", "img_id"),
        url=fields.text_or_none(data, "url"),
        doc_type=fields.text(data, "doc_type", "doc_type_kwd"),
        highlight=fields.text_or_none(data, "highlight"),
        document_metadata=fields.mapping(data, "document_metadata", "meta_fields"),
        raw=data,
    )


def _positions(value: JsonValue) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list):
        return ()
    boxes = (tuple(x for x in box if isinstance(x, int | float)) for box in value if isinstance(box, list))
    return tuple(box for box in boxes if box)


def document_counts(value: JsonValue) -> tuple[DocumentCount, ...]:
    """Read `doc_aggs`: a list, an empty object, or agents' object keyed by document name."""
    return tuple(
        DocumentCount(
            document_id=fields.text(item, "doc_id"),
            document_name=fields.text(item, "doc_name"),
            count=fields.integer(item, "count") or 0,
        )
        for item in fields.objects(value)
    )


def reference(value: JsonValue) -> Reference:
    """Read a reference: `{}`, `[]`, `{chunks, doc_aggs, total}`, or the OpenAI route's bare list of chunks."""
    if isinstance(value, list):
        return Reference(chunks=tuple(chunk(item) for item in fields.objects(value)))
    if not isinstance(value, dict):
        return Reference()
    chunks = value.get("chunks")
    if isinstance(chunks, dict):
        found = tuple(chunk(item, key=key) for key, item in chunks.items() if isinstance(item, dict))
    else:
        found = tuple(chunk(item) for item in fields.objects(chunks))
    return Reference(
        chunks=found, documents=document_counts(value.get("doc_aggs")), total=fields.integer(value, "total"), raw=value
    )


def retrieval(data: JsonObject) -> Retrieval:
    """Read the reply of `/retrieval`."""
    return Retrieval(
        chunks=tuple(chunk(item) for item in fields.objects(data.get("chunks"))),
        documents=document_counts(data.get("doc_aggs")),
        total=fields.integer(data, "total") or 0,
    )


def attachment(data: JsonObject) -> Attachment:
    """Read a file that an agent made."""
    return Attachment(
        id=fields.text(data, "doc_id", "id"),
        name=fields.text(data, "file_name", "name"),
        format=fields.text(data, "format"),
        raw=data,
    )


def agent_step(event: str, data: JsonObject) -> AgentStep:
    """Read what an agent's event says of a node."""
    finished = event == "node_finished"
    return AgentStep(
        state="finished" if finished else "started",
        component_id=fields.text(data, "component_id"),
        title=fields.text(data, "component_name"),
        inputs=fields.mapping(data, "inputs"),
        outputs=fields.mapping(data, "outputs"),
        error=fields.text_or_none(data, "error"),
        seconds=fields.number(data, "elapsed_time") if finished else None,
    )


def usage(value: JsonValue) -> Usage | None:
    """Read `usage`; of an agent's run, the server counts the total alone [v0.27.0/08_agent_completion_stream_thinking]."""
    if not isinstance(value, dict):
        return None
    prompt = fields.integer(value, "prompt_tokens") or 0
    completion = fields.integer(value, "completion_tokens") or 0
    total = fields.integer(value, "total_tokens")
    if total and not prompt and not completion:
        return Usage(prompt_tokens=None, completion_tokens=None, total_tokens=total, raw=value)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion if total is None else total,
        raw=value,
    )


_TIMINGS = {
    name: re.compile(rf"^  - {label}: (\d+(?:\.\d+)?)ms", re.MULTILINE)
    for name, label in (("total", "Total"), ("retrieval", "Retrieval"), ("generation", "Generate answer"))
}


def timings(prompt: str) -> Timings | None:
    """Read the timings behind the prompt text of a native answer (`## Time elapsed`, `api/db/services/dialog_service.py`)."""
    block = prompt.rfind("## Time elapsed")
    if block < 0:
        return None
    found = {name: pattern.search(prompt, block) for name, pattern in _TIMINGS.items()}
    return Timings(**{name: float(match[1]) / 1000 for name, match in found.items() if match})


def chat(data: JsonObject) -> Chat:
    """Read a chat assistant."""
    llm, prompt = chat_settings.read(data)
    datasets = fields.strings(data, "dataset_ids") or tuple(
        fields.text(item, "id") for item in fields.objects(data.get("datasets"))
    )
    return Chat(
        id=fields.text(data, "id"),
        name=fields.text(data, "name"),
        description=fields.text(data, "description"),
        dataset_ids=datasets,
        llm=llm,
        prompt=prompt,
        created_at=fields.seconds(data, "create_time"),
        updated_at=fields.seconds(data, "update_time"),
        raw=data,
    )


def message(data: JsonObject) -> Message:
    """Read a stored message; thinking stored in front of the text is told from it."""
    reasoning, content = split_reasoning(fields.text(data, "content"))
    chunks = data.get("reference")
    role = fields.text(data, "role")
    return Message(
        role=cast("Role", role) if role in ("user", "system") else "assistant",
        content=content or reasoning,
        reasoning=reasoning if content else "",
        id=fields.text_or_none(data, "id"),
        reference=reference(chunks) if chunks else None,
        created_at=fields.seconds(data, "created_at"),
        raw=data,
    )


def session(data: JsonObject) -> Session:
    """Read a session and give each answer its reference.

    ≥ 0.25 keeps references beside the messages, one per answered turn; ≤ 0.24 keeps them in the messages, and 0.23 and 0.24
    hang each one turn too early, on the opener first.
    """
    stored = data.get("messages") or data.get("message")
    messages = [message(item) for item in fields.objects(stored)]
    beside = data.get("reference")
    if isinstance(beside, list) and beside:
        # From the end: 0.25.1–0.25.5 overwrite messages while references keep growing.
        _give(messages, [reference(item) for item in beside])
    elif _shifted(messages):
        early = [item.reference or Reference() for item in messages if item.role == "assistant"][:-1]
        messages = [replace(item, reference=None) for item in messages]
        _give(messages, early)
    return Session(
        id=fields.text(data, "id"),
        name=fields.text(data, "name"),
        chat_id=fields.text_or_none(data, "chat_id", "dialog_id"),
        agent_id=fields.text_or_none(data, "agent_id"),
        messages=tuple(messages),
        user_id=fields.text_or_none(data, "user_id"),
        created_at=fields.seconds(data, "create_time"),
        updated_at=fields.seconds(data, "update_time"),
        raw=data,
    )


def answers(messages: Sequence[Message]) -> list[int]:
    """Return where the answers are: assistant's messages behind the first question."""
    first_question = next((index for index, item in enumerate(messages) if item.role == "user"), len(messages))
    return [index for index, item in enumerate(messages) if index > first_question and item.role == "assistant"]


def _shifted(messages: Sequence[Message]) -> bool:
    """Return whether references hang one turn early: the opener has one, and the last answer none."""
    found = answers(messages)
    return bool(found) and "reference" in messages[0].raw and "reference" not in messages[found[-1]].raw


def _give(messages: list[Message], references: Sequence[Reference]) -> None:
    for index, given in zip(reversed(answers(messages)), reversed(references), strict=False):
        messages[index] = replace(messages[index], reference=given)


def agent(data: JsonObject) -> Agent:
    """Read an agent."""
    return Agent(
        id=fields.text(data, "id"),
        title=fields.text(data, "title", "name"),
        description=fields.text(data, "description"),
        created_at=fields.seconds(data, "create_time"),
        updated_at=fields.seconds(data, "update_time"),
        raw=data,
    )


def dataset(data: JsonObject) -> Dataset:
    """Read a dataset."""
    return Dataset(
        id=fields.text(data, "id"),
        name=fields.text(data, "name"),
        description=fields.text(data, "description"),
        embedding_model=fields.text(data, "embedding_model", "embd_id"),
        chunk_method=fields.text(data, "chunk_method", "parser_id"),
        chunk_count=fields.integer(data, "chunk_count", "chunk_num") or 0,
        document_count=fields.integer(data, "document_count", "doc_num") or 0,
        created_at=fields.seconds(data, "create_time"),
        raw=data,
    )


_RUN_STATES = {"0": "UNSTART", "1": "RUNNING", "2": "CANCEL", "3": "DONE", "4": "FAIL"}


def document(data: JsonObject) -> Document:
    """Read a document."""
    run = fields.text(data, "run", "status")
    return Document(
        id=fields.text(data, "id"),
        name=fields.text(data, "name"),
        dataset_id=fields.text(data, "dataset_id", "knowledgebase_id", "kb_id"),
        status=_RUN_STATES.get(run, run),
        progress=fields.number(data, "progress") or 0.0,
        progress_message=fields.text(data, "progress_msg"),
        size=fields.integer(data, "size") or 0,
        chunk_count=fields.integer(data, "chunk_count", "chunk_num") or 0,
        token_count=fields.integer(data, "token_count", "token_num") or 0,
        metadata=fields.mapping(data, "meta_fields"),
        raw=data,
    )
