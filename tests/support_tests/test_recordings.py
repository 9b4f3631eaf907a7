from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import recordings

if TYPE_CHECKING:
    from pathlib import Path

LINE = b"=" * 40 + b"\n"
REQUEST = (
    b"POST /api/v1/chats/abc/completions?x=1\nAuthorization: Bearer ragflow-KEY\nContent-Type: application/json\n\n"
    b'{"question":"a: b","stream":true}\n'
)
STREAM_HEAD = (
    b"HTTP/1.1 200 \ncontent-type: text/event-stream; charset=utf-8\nconnection: keep-alive\n"
    b"content-type: text/event-stream; charset=utf-8\nTransfer-Encoding: chunked\n\n"
)


def test_request_and_reply_are_taken_apart() -> None:
    found = recordings.parse("v1", "name", REQUEST + LINE + STREAM_HEAD + b'data:{"code": 0}\n\n')
    assert (found.version, found.name) == ("v1", "name")
    assert (found.method, found.path) == ("POST", "/api/v1/chats/abc/completions?x=1")
    assert found.request_headers == (
        ("Authorization", "Bearer ragflow-KEY"),
        ("Content-Type", "application/json"),
    )
    assert found.request_body == b'{"question":"a: b","stream":true}'
    assert found.request_json == {"question": "a: b", "stream": True}
    assert (found.status, found.reason) == (200, "")
    assert found.headers == (
        ("content-type", "text/event-stream; charset=utf-8"),
        ("connection", "keep-alive"),
        ("content-type", "text/event-stream; charset=utf-8"),
        ("Transfer-Encoding", "chunked"),
    )
    assert found.is_stream
    assert found.payloads == [b'{"code": 0}']
    assert not found.cut


def test_body_bytes_are_kept() -> None:
    body = 'data:{"a": "\u2028\x85"}\r\n\n'.encode() + LINE + b"x\n\n\ncurl: (18) as text\n" + LINE + b"\r\n\n"
    found = recordings.parse("v1", "name", REQUEST + LINE + STREAM_HEAD + body)
    assert found.body == body
    assert not found.cut


def test_reply_without_trailing_newline_and_with_a_reason() -> None:
    raw = (
        b"GET /v1/system/ping\n\n\n"
        + LINE
        + b"HTTP/1.1 404 NOT FOUND\ncontent-type: text/html\ncontent-length: removed\n\npong"
    )
    found = recordings.parse("v1", "name", raw)
    assert found.body == b"pong"
    assert (found.status, found.reason) == (404, "NOT FOUND")
    assert (found.request_headers, found.request_body, found.request_json) == ((), b"", None)
    assert ("content-length", "removed") in found.headers
    assert not found.is_stream


def test_malformed_request_body_is_kept_to_the_last_blank() -> None:
    raw = b'POST /api/v1/retrieval\nA: b\n\n{"question": "x", \n' + LINE + b'HTTP/1.1 200 \nA: b\n\n{"code":100}\n'
    found = recordings.parse("v1", "name", raw)
    assert (found.request_body, found.request_json) == (b'{"question": "x", ', None)
    assert found.reply_json == {"code": 100}


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"curl: (18) transfer closed\n" + STREAM_HEAD + b"\n# curl exit code 18", b""),
        (STREAM_HEAD + b"data:1\n\ncurl: (28) Operation timed out\n\n# curl exit code 28", b"data:1\n\n"),
        (STREAM_HEAD + b"data:{curl: (28) timed out\n\n# curl exit code 28\n", b"data:{"),
    ],
)
def test_recorders_lines_are_no_part_of_a_cut_reply(reply: bytes, body: bytes) -> None:
    found = recordings.parse("v1", "name", REQUEST + LINE + reply)
    assert found.cut
    assert (found.status, found.body) == (200, body)
    assert found.is_stream


def test_server_that_never_answered() -> None:
    reply = b"curl: (28) Operation timed out after 6001 milliseconds with 0 bytes received\n\n# curl exit code 28"
    found = recordings.parse("v1", "name", REQUEST + LINE + reply)
    assert (found.status, found.headers, found.body, found.cut) == (0, (), b"", True)


def test_file_without_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="v1/name has no line"):
        recordings.parse("v1", "name", REQUEST)


def test_files_are_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("v0.9.10", "v0.9.2"):
        (tmp_path / version).mkdir()
        for name in ("b_two", "a_one", "b_one"):
            (tmp_path / version / f"{name}.http").write_bytes(REQUEST + LINE + STREAM_HEAD)
    (tmp_path / "README.md").write_text("no recording")
    monkeypatch.setattr(recordings, "ROOT", tmp_path)
    assert recordings.versions() == ["v0.9.2", "v0.9.10"]
    assert recordings.names("v0.9.2") == ["a_one", "b_one", "b_two"]
    assert recordings.names("v0.9.2", "b_") == ["b_one", "b_two"]
    assert recordings.load("v0.9.2", "a_one") is recordings.load("v0.9.2", "a_one")
    with pytest.raises(FileNotFoundError):
        recordings.load("v0.9.2", "absent")


def test_no_recordings_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "ROOT", tmp_path / "absent")
    assert recordings.versions() == []
    assert recordings.names("v0.9.2") == []


@pytest.mark.parametrize("version", recordings.versions())
def test_every_recording_is_read_whole(version: str) -> None:
    for name in recordings.names(version):
        found = recordings.load(version, name)
        raw = (recordings.ROOT / version / f"{name}.http").read_bytes()
        assert raw.startswith(f"{found.method} {found.path}\n".encode()), name
        assert raw.count(found.request_body) >= 1, name
        assert found.cut == (b"# curl exit code" in raw), name
        if not found.cut:
            assert raw.endswith(b"\n\n" + found.body), name
        if found.is_stream:
            assert found.body == b"".join(b"data:%b\n\n" % payload for payload in found.payloads) or (
                found.body == b"".join(b"data: %b\n\n" % payload for payload in found.payloads)
            ), name
        elif "application/json" in dict(found.headers).get("content-type", ""):
            assert json.loads(found.body) == found.reply_json, name
