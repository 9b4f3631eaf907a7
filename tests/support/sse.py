"""Builders of stream events with the very keys that recorded servers send.

`native_delta` is v0.27.0 (each event holds what is new, the last one is marked), `native_cumulative` is v0.22.1 (each
event holds the whole answer so far). Any further key, or another value of a key, can be given by name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MESSAGE_ID = "0417b4cce6c511f1b27e02fc00000001"
SESSION_ID = "04182542e6c511f1b27e02fc00000001"
CHAT_ID = "be832fd0e6c011f1838d02fc00000001"
DATASET_ID = "4eb6eb6ae6c011f199fc02fc00000001"
CREATED = 1795386928

DONE = b"data:[DONE]\n\n"


def event(obj: object) -> bytes:
    return f"data:{json.dumps(obj, ensure_ascii=False)}\n\n".encode()


def native_delta(text: str, final: bool = False, reference: Mapping[str, Any] | None = None, **extra: Any) -> bytes:
    """Pass `start_to_think=True` or `end_to_think=True` for the marks around reasoning."""
    if final:
        data = _closing(text, reference) | {"final": True, "audio_binary": None}
    else:
        data = _interim(text, reference) | {"final": False}
    ids = {"id": MESSAGE_ID, "session_id": SESSION_ID, "chat_id": CHAT_ID}
    return event({"code": 0, "message": "", "data": _with(data, ids, extra)})


def native_cumulative(text: str, final: bool = False, reference: Mapping[str, Any] | None = None, **extra: Any) -> bytes:
    """`final` gives the shape of the last event of an answer from a dataset; nothing in it says that it is the last."""
    data = _closing(text, reference) if final else _interim(text, reference)
    return event({"code": 0, "data": _with(data, {"id": MESSAGE_ID, "session_id": SESSION_ID}, extra)})


def native_error(message: str, code: int = 500) -> bytes:
    """The server's own failure inside a stream; here `reference` is a list."""
    return event({"code": code, "message": message, "data": {"answer": f"**ERROR**: {message}", "reference": []}})


def terminator(cumulative: bool = False) -> bytes:
    """The last event of every native stream, also after errors; the older servers leave `message` out."""
    return event({"code": 0, "data": True} if cumulative else {"code": 0, "message": "", "data": True})


def openai_chunk(
    content: str | None = None,
    reasoning: str | None = None,
    finish: str | None = None,
    *,
    reference: Sequence[Mapping[str, Any]] | None = None,
    final_content: str | None = None,
    usage: Mapping[str, Any] | None = None,
) -> bytes:
    delta: dict[str, Any] = {
        "content": content,
        "role": "assistant",
        "function_call": None,
        "tool_calls": None,
        "reasoning_content": reasoning,
    }
    if reference is not None:
        delta["reference"] = list(reference)
    if final_content is not None:
        delta["final_content"] = final_content
    return event(
        {
            "id": f"chatcmpl-{CHAT_ID}",
            "choices": [{"delta": delta, "finish_reason": finish, "index": 0, "logprobs": None}],
            "created": CREATED,
            "model": "model",
            "object": "chat.completion.chunk",
            "system_fingerprint": "",
            "usage": usage,
        }
    )


def chunk(content: str, document_name: str = "thermostat.txt", **extra: Any) -> dict[str, Any]:
    """A retrieved chunk inside a completion of v0.27.0; ids are made from the texts."""
    return {
        "id": f"chunk-{content}",
        "content": content,
        "document_id": f"document-{document_name}",
        "document_name": document_name,
        "dataset_id": DATASET_ID,
        "image_id": "",
        "positions": [[1, 0, 0, 0, 0]],
        "url": None,
        "similarity": 0.5,
        "vector_similarity": 0.5,
        "term_similarity": 0.5,
        "row_id": None,
        "doc_type": "",
        "document_metadata": None,
    } | extra


def reference(*chunks: Mapping[str, Any]) -> dict[str, Any]:
    """The `reference` of a final event with these chunks; without any it is that of a search that found nothing."""
    documents: dict[tuple[Any, Any], int] = {}
    for found in chunks:
        key = (found["document_name"], found["document_id"])
        documents[key] = documents.get(key, 0) + 1
    doc_aggs = [{"doc_name": name, "doc_id": id_, "count": count} for (name, id_), count in documents.items()]
    return {"total": len(chunks), "chunks": list(chunks), "doc_aggs": doc_aggs}


def _interim(text: str, found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"answer": text, "reference": {"chunks": []} if found is None else found, "audio_binary": None}


def _closing(text: str, found: Mapping[str, Any] | None) -> dict[str, Any]:
    found = reference() if found is None else found
    return {"answer": text, "reference": found, "prompt": "### Query:\n", "created_at": CREATED + 0.5}


def _with(data: dict[str, Any], ids: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    # Servers put the ids last; a given id must not move them.
    rest = {key: value for key, value in extra.items() if key not in ids}
    return data | rest | ids | {key: value for key, value in extra.items() if key in ids}
