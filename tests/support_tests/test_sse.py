from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import recordings, sse

NEWER, OLDER = "v0.27.0", "v0.22.1"


def read(data: bytes) -> Any:
    assert data.startswith(b"data:{")
    assert data.endswith(b"}\n\n")
    return json.loads(data.removeprefix(b"data:"))


def shape(value: Any) -> Any:
    """Keys in order and the types of the values; what a list or a prompt holds is not the shape."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return type(value).__name__


def native_keys(data: bytes) -> tuple[list[str], list[str]]:
    outer = read(data)
    return list(outer), list(outer["data"])


def test_text_is_not_escaped() -> None:
    assert sse.event({"a": "你\u2028", "b": None}) == 'data:{"a": "你\u2028", "b": null}\n\n'.encode()
    assert sse.DONE == b"data:[DONE]\n\n"


def test_delta_keys() -> None:
    ids = ["id", "session_id", "chat_id"]
    outer = ["code", "message", "data"]
    assert native_keys(sse.native_delta("x")) == (outer, ["answer", "reference", "audio_binary", "final", *ids])
    assert native_keys(sse.native_delta("", start_to_think=True, session_id=None)) == (
        outer,
        ["answer", "reference", "audio_binary", "final", "start_to_think", *ids],
    )
    assert native_keys(sse.native_delta("", final=True)) == (
        outer,
        ["answer", "reference", "prompt", "created_at", "final", "audio_binary", *ids],
    )


def test_cumulative_keys() -> None:
    ids = ["id", "session_id"]
    outer = ["code", "data"]
    assert native_keys(sse.native_cumulative("x")) == (outer, ["answer", "reference", "audio_binary", *ids])
    assert native_keys(sse.native_cumulative("x", final=True)) == (
        outer,
        ["answer", "reference", "prompt", "created_at", *ids],
    )


def test_values() -> None:
    assert read(sse.native_delta("x", session_id="s", audio_binary="y"))["data"] == {
        "answer": "x",
        "reference": {"chunks": []},
        "audio_binary": "y",
        "final": False,
        "id": sse.MESSAGE_ID,
        "session_id": "s",
        "chat_id": sse.CHAT_ID,
    }
    assert read(sse.native_delta("", final=True, reference={}))["data"]["reference"] == {}
    assert sse.terminator() == b'data:{"code": 0, "message": "", "data": true}\n\n'
    assert sse.terminator(cumulative=True) == b'data:{"code": 0, "data": true}\n\n'


def test_reference_counts_its_documents() -> None:
    found = sse.reference(sse.chunk("a", "x.txt"), sse.chunk("b", "y.txt"), sse.chunk("c", "x.txt", similarity=1))
    assert found["total"] == 3
    assert [chunk["content"] for chunk in found["chunks"]] == ["a", "b", "c"]
    assert found["chunks"][2]["similarity"] == 1
    assert found["doc_aggs"] == [
        {"doc_name": "x.txt", "doc_id": "document-x.txt", "count": 2},
        {"doc_name": "y.txt", "doc_id": "document-y.txt", "count": 1},
    ]
    assert sse.reference() == {"total": 0, "chunks": [], "doc_aggs": []}


@pytest.mark.skipif(NEWER not in recordings.versions(), reason="no recordings of this version")
def test_delta_builders_have_the_recorded_shape() -> None:
    first, *_, final, last = recordings.load(NEWER, "03_completion_legacy_stream_with_session").payloads
    assert shape(json.loads(first)) == shape(read(sse.native_delta("x")))
    found = sse.reference(sse.chunk("x"))
    recorded = json.loads(final)
    assert shape(recorded) == shape(read(sse.native_delta("", final=True, reference=found)))
    assert list(recorded["data"]["reference"]["chunks"][0]) == list(found["chunks"][0])
    assert list(recorded["data"]["reference"]["doc_aggs"][0]) == list(found["doc_aggs"][0])
    assert last == sse.terminator().removeprefix(b"data:").rstrip()

    thinking = recordings.load(NEWER, "03_completion_stream_thinking").payloads
    assert shape(json.loads(thinking[0])) == shape(read(sse.native_delta("", start_to_think=True)))

    (error, _) = recordings.load(NEWER, "09_err_completion_question_int").payloads
    message = json.loads(error)["message"]
    assert sse.native_error(message) == b"data:%b\n\n" % error


@pytest.mark.skipif(OLDER not in recordings.versions(), reason="no recordings of this version")
def test_cumulative_builders_have_the_recorded_shape() -> None:
    first, *_, final, last = recordings.load(OLDER, "03_completion_legacy_stream_with_session").payloads
    assert shape(json.loads(first)) == shape(read(sse.native_cumulative("x")))
    assert shape(json.loads(final)) == shape(read(sse.native_cumulative("x", final=True)))
    assert last == sse.terminator(cumulative=True).removeprefix(b"data:").rstrip()


@pytest.mark.skipif(NEWER not in recordings.versions(), reason="no recordings of this version")
def test_openai_builders_have_the_recorded_shape() -> None:
    first, *_, final, done = recordings.load(NEWER, "05_openai_new_stream_reference").payloads
    usage = {"prompt_tokens": 8, "completion_tokens": 35, "total_tokens": 43}
    built = sse.openai_chunk(finish="stop", reference=[sse.chunk("x")], final_content="x", usage=usage)
    assert shape(json.loads(first)) == shape(read(sse.openai_chunk("x")))
    assert shape(json.loads(final)["choices"][0]["delta"]) == shape(read(built)["choices"][0]["delta"])
    assert list(json.loads(final)) == list(read(built))
    assert done == sse.DONE.removeprefix(b"data:").rstrip()

    reasoning = recordings.load(NEWER, "05_openai_stream_thinking").payloads[0]
    assert shape(json.loads(reasoning)) == shape(read(sse.openai_chunk(reasoning="x")))
