"""Recordings of real RAGFlow servers, parsed without losing a byte.

A file holds the request (request line, headers, empty line, body), a line of forty `=`, and the reply as the server
sent it; only the chunked-transfer framing is gone and the value of `content-length` is removed.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1] / "recordings"

Headers = tuple[tuple[str, str], ...]

_SEPARATOR = re.compile(rb"(?m)^={40}\n")
# The recorder appended these to a reply that did not end properly; its message came first if nothing else had come.
_CUT_FRONT = re.compile(rb"\Acurl: \(\d+\)[^\n]*\n")
_CUT_END = re.compile(rb"(?:curl: \(\d+\)[^\n]*\n)?\n# curl exit code \d+\n?\Z")


@dataclass(frozen=True)
class Recording:
    """One exchange; `status` is 0 if the server sent no reply at all before the recorder gave up."""

    version: str
    name: str
    method: str
    path: str
    request_headers: Headers
    request_json: Any
    request_body: bytes
    status: int
    reason: str
    headers: Headers
    body: bytes
    cut: bool

    @property
    def is_stream(self) -> bool:
        return any(key.lower() == "content-type" and "event-stream" in value for key, value in self.headers)

    @property
    def reply_json(self) -> Any:
        return json.loads(self.body)

    @property
    def payloads(self) -> list[bytes]:
        """The `data:` payload of each event of a stream, as sent: all events seen are one line and end in two LFs."""
        events = self.body.split(b"\n\n")
        return [event.removeprefix(b"data:").removeprefix(b" ") for event in events if event.startswith(b"data:")]


def parse(version: str, name: str, raw: bytes) -> Recording:
    """Parse one file; `load` is this with the file found and the result kept."""
    separator = _SEPARATOR.search(raw)
    if separator is None:
        raise ValueError(f"{version}/{name} has no line of forty '='")
    # One LF in front of the separator is the recorder's; every other byte of the body was sent.
    request = raw[: separator.start()].removesuffix(b"\n")
    request_head, _, request_body = request.partition(b"\n\n")
    request_line, request_headers = _head(request_head)
    method, path = request_line.split(" ", 1)

    reply = raw[separator.end() :]
    whole = _CUT_END.sub(b"", _CUT_FRONT.sub(b"", reply))
    head, _, body = whole.partition(b"\n\n")
    status_line, headers = _head(head)
    _, status, reason = status_line.split(" ", 2) if head else ("", "0", "")
    return Recording(
        version=version,
        name=name,
        method=method,
        path=path,
        request_headers=request_headers,
        request_json=_json_or_none(request_body),
        request_body=request_body,
        status=int(status),
        reason=reason,
        headers=headers,
        body=body,
        cut=whole != reply,
    )


def load(version: str, name: str) -> Recording:
    return _load(ROOT, version, name)


def names(version: str, prefix: str = "") -> list[str]:
    return [name for name in _names(ROOT, version) if name.startswith(prefix)]


def versions() -> list[str]:
    """The recorded versions, oldest first; empty if there are no recordings."""
    folders = [entry.name for entry in ROOT.iterdir() if entry.is_dir() and entry.name.startswith("v")] if ROOT.is_dir() else []
    return sorted(folders, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


@functools.cache
def _load(root: Path, version: str, name: str) -> Recording:
    return parse(version, name, (root / version / f"{name}.http").read_bytes())


@functools.cache
def _names(root: Path, version: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (root / version).glob("*.http")))


def _head(head: bytes) -> tuple[str, Headers]:
    first, *lines = head.decode("latin-1").split("\n")
    pairs = (line.partition(":") for line in lines)
    return first, tuple((key.strip(), value.strip()) for key, _, value in pairs)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
