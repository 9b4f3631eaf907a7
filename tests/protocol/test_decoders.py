"""Objects of the wire, in all the shapes that releases give them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ragflow_integrations import ParsingProgress, ProtocolError
from ragflow_integrations._protocol import fields, models_from_json
from ragflow_integrations._protocol.compat.features import Feature
from ragflow_integrations._protocol.compat.server_version import VersionRange
from ragflow_integrations._protocol.envelope import decode, decode_file
from ragflow_integrations._protocol.steps import Reply, Request, path
from ragflow_integrations.errors import DocumentNotFoundError, NotFoundError


def test_readers_of_fields_never_fail() -> None:
    data: dict[str, Any] = {
        "text": "x", "empty": "", "list": ["a", "b"], "none": None, "number": 1.5, "string": "2.5", "words": "two", "nan": math.nan,  # noqa: E501 - one row of a table
        "inf": "inf", "flag": True, "object": {"a": {"b": 1}, "c": 2}, "objects": [{"a": 1}, 5],
    }  # fmt: skip
    assert fields.text(data, "none", "empty", "text") == "x"
    assert fields.text(data, "list") == "a"
    assert fields.text(data, "number") == ""
    assert fields.text_or_none(data, "empty") is None
    assert [fields.number(data, name) for name in ("number", "string", "words", "nan", "inf", "flag", "none", "object")] == [
        1.5, 2.5, None, None, None, None, None, None,
    ]  # fmt: skip
    assert fields.number(data, "words", "flag", "string") == 2.5
    assert fields.integer(data, "string") == 2
    assert fields.mapping(data, "text", "object") == {"a": {"b": 1}, "c": 2}
    assert fields.mapping(data, "text") == {}
    assert list(fields.objects(data["object"])) == [{"b": 1}]
    assert list(fields.objects(data["objects"])) == [{"a": 1}]
    assert list(fields.objects("x")) == []
    assert fields.strings(data, "text", "list") == ("a", "b")
    assert fields.strings(data, "text") == ()
    assert fields.seconds({"t": 1795386928000}, "t") == 1795386928
    assert fields.seconds({"t": 1795386928.5}, "t") == 1795386928.5
    with pytest.raises(ProtocolError):
        fields.parse("{")


@pytest.mark.parametrize(
    "data",
    [
        {"id": "c", "content": "x", "document_id": "d", "document_name": "n", "dataset_id": "k", "image_id": "i", "doc_type": "table"},  # noqa: E501 - one row of a table
        {"chunk_id": "c", "content_with_weight": "x", "doc_id": "d", "docnm_kwd": "n", "kb_id": "k", "img_id": "i", "doc_type_kwd": "table"},  # noqa: E501 - one row of a table
        {"id": "c", "content": "x", "document_id": "d", "document_keyword": "n", "dataset_id": ["k"], "image_id": "i", "doc_type": "table"},  # noqa: E501 - one row of a table
    ],
)  # fmt: skip
def test_chunks_of_all_names(data: dict[str, Any]) -> None:
    chunk = models_from_json.chunk(data | {"positions": [[1, 2, 3, 4, 5], "x", []], "similarity": math.nan})
    assert (chunk.id, chunk.content, chunk.document_id, chunk.document_name, chunk.dataset_id) == ("c", "x", "d", "n", "k")
    assert (chunk.image_id, chunk.doc_type, chunk.positions, chunk.similarity) == ("i", "table", ((1, 2, 3, 4, 5),), None)
    assert models_from_json.chunk({}, key="7").id == "7"


def talk(*roles: str, references: dict[int, str] | None = None) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": role, "content": f"{role} {at}"} for at, role in enumerate(roles)]
    for at, name in (references or {}).items():
        messages[at]["reference"] = [{"id": name}] if name else []
    return {"id": "s", "messages": messages}


A, U = "assistant", "user"


@pytest.mark.parametrize(
    ("session", "found"),
    [
        (talk(A, U, A, U, A) | {"reference": [{"chunks": [{"id": "1"}]}, {"chunks": [{"id": "2"}]}]}, [None, "1", "2"]),
        # 0.25.3: the first turn's messages are lost, and its reference is not
        (talk(U, A) | {"reference": [{"chunks": [{"id": "1"}]}, {"chunks": [{"id": "2"}]}]}, ["2"]),
        # 0.20–0.22: in the messages
        (talk(A, U, A, U, A, references={0: "", 2: "1", 4: "2"}), [None, "1", "2"]),
        # 0.23, 0.24: one turn too early
        (talk(A, U, A, U, A, references={0: "1", 2: "2"}), [None, "1", "2"]),
        (talk(A), [None]),
        (talk(), []),
        ({"id": "s", "message": [{"role": "assistant", "content": "Hi"}]}, [None]),
    ],
)
def test_references_of_stored_answers(session: dict[str, Any], found: list[str | None]) -> None:
    answers = [message for message in models_from_json.session(session).messages if message.role == "assistant"]
    given = [answer.reference.chunks[0].id if answer.reference and answer.reference.chunks else None for answer in answers]
    assert given == found


def test_stored_thinking_is_told_from_the_text() -> None:
    message = models_from_json.message(
        {"role": "assistant", "content": "<think>hmm</think>Yes.", "created_at": 12.5, "id": "m"}
    )
    assert (message.content, message.reasoning, message.id, message.created_at) == ("Yes.", "hmm", "m", 12.5)
    assert models_from_json.message({"role": "bot", "content": "<think>hmm"}).content == "hmm"


def test_progress() -> None:
    states = [
        models_from_json.document({"id": str(at), "run": run, "progress": done})
        for at, (run, done) in enumerate((("3", 0.2), ("RUNNING", 0.5), ("4", -1)))
    ]
    assert [state.status for state in states] == ["DONE", "RUNNING", "FAIL"]
    assert ParsingProgress(documents=tuple(states), done=2).fraction == 0.5
    assert ParsingProgress(documents=(), done=0).fraction == 1


def test_paths_are_quoted() -> None:
    assert path("chats", "a b/ü?#%") == "/chats/a%20b%2F%C3%BC%3F%23%25"


def test_files() -> None:
    request = Request("GET", "/datasets/d/documents/x")
    json_file = b'{"code": 5, "other": "a file that looks like an envelope"}'
    kind = {"content-type": "application/json"}
    assert decode_file(Reply(200, {}, b"{not json"), request) == b"{not json"
    assert decode_file(Reply(200, kind, json_file), request) == json_file
    assert decode_file(Reply(200, kind, b'{"code": 0, "message": "ok"}'), request) == b'{"code": 0, "message": "ok"}'
    refusal = b'{"code": 102, "message": "You don\'t own the document x"}'
    with pytest.raises(DocumentNotFoundError):
        decode_file(Reply(200, kind, refusal), request)
    with pytest.raises(NotFoundError):
        decode_file(Reply(200, kind, b'{"code": 109, "message": "no"}'), request)


def test_what_is_known_narrows_and_begins_anew() -> None:
    known = VersionRange()
    assert str(known) == "of unknown version"
    assert known.info().newest is None
    assert known.info().era == "0.17.0 … newest"
    known = known.narrowed(high=(0, 24, 99))
    assert str(known) == "0.24.x or older"
    known = known.narrowed(low=(0, 23, 0))
    assert str(known) == "0.23.0 or newer and 0.24.x or older"
    assert known.info().era == "0.23.0 … 0.24.x"
    assert str(known.with_reported("v0.27.0 slim")) == "0.27.0"
    known = known.with_reported("v0.27.0-3-gabc")
    assert str(known) == "0.27.0 or newer and 0.28.0 or older"
    assert known.version == "v0.27.0-3-gabc"
    known = known.with_reported("unknown")
    assert (known.low, known.version) == ((0, 27, 0), "unknown")
    known = known.narrowed(high=(0, 20, 99))  # the server was replaced
    assert known.info().version is None
    assert known.low == (0, 17, 0)
    assert not known.probed


def test_features() -> None:
    since = Feature("x", (0, 24, 0))
    between = Feature("x", (0, 23, 0), (0, 24, 99))
    broken = Feature("x", (0, 17, 0), broken=((0, 22, 0), (0, 22, 99)))
    assert [VersionRange().supports(feature) for feature in (since, between, broken)] == [None, None, None]
    table = {
        (0, 20, 0): [False, False, True],
        (0, 22, 1): [False, False, False],
        (0, 23, 1): [False, True, True],
        (0, 24, 0): [True, True, True],
        (0, 25, 0): [True, False, True],
    }
    for version, wanted in table.items():
        assert [VersionRange(version, version).supports(feature) for feature in (since, between, broken)] == wanted


def test_plain_replies() -> None:
    request = Request("GET", "/system/ping", raw_reply=True)
    assert decode(Reply(200, {}, b"pong"), request) == {"text": "pong"}
    assert decode(Reply(200, {}, b'{"status": "ok"}'), request) == {"status": "ok"}
