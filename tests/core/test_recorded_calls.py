"""Every recorded call that is no completion: through the method it belongs to, or read as an envelope where there is none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ragflow_integrations import errors
from ragflow_integrations._protocol.envelope import decode
from ragflow_integrations._protocol.steps import Reply, Request
from tests.core.catalogue import ALL, refusal, refused, route
from tests.core.driver import AGENT, CHAT, DATASET, DOCUMENT, SESSION
from tests.core.test_recorded_completions import COMPLETIONS
from tests.support import recordings
from tests.support.wire import WireServer, replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect
    from tests.core.driver import Call
    from tests.support.recordings import Recording
    from tests.support.wire import Exchange, Routes

CALLS = [(version, name) for version, name in ALL if not route(recordings.load(version, name))]


@dataclass
class Case:
    """A call, what it should give, and what other requests of it are answered with."""

    call: Call
    value: Any
    routes: Routes


def ids(items: Any) -> list[str]:
    return [item.id for item in items]


def case(recording: Recording) -> Case | None:
    """Find the call of a recording; None if there is none."""
    line = f"{recording.method} {recording.path.partition('?')[0]}"
    for pattern, make in CASES:
        match = re.fullmatch(pattern, line)
        if match:
            found: Case = make(recording, *match.groups())
            return found
    return None


def _data(recording: Recording) -> Any:
    try:
        return json.loads(recording.body).get("data")
    except ValueError:
        return None


def _listed(recording: Recording, *keys: str) -> list[Any]:
    data = _data(recording)
    if isinstance(data, dict):
        data = [data] if "id" in data else next((data[key] for key in keys if key in data), [])
    return data or []


def _query(recording: Recording, name: str) -> str | None:
    return parse_qs(urlsplit(recording.path).query).get(name, [None])[0]


def _failing(recording: Recording, value: Any) -> Any:
    """The value, unless the server refused, or left some of it undone."""
    if refused(recording):
        return refusal(recording)
    data = _data(recording)
    if isinstance(data, dict) and data.get("errors"):
        return errors.NotFoundError
    return value


def _found(recording: Recording, wanted: str, missing: type[errors.NotFoundError], *keys: str) -> Any:
    """What getting one thing gives by a reply that lists what was found."""
    value = _failing(recording, wanted)
    if value == wanted and wanted not in [item["id"] for item in _listed(recording, *keys)]:
        return missing
    return missing if value is errors.ProtocolError else value


def _shown(method: str, reply: Any) -> Routes:
    def show(exchange: Exchange) -> None:
        exchange.reply(json={"code": 0, "data": reply})

    return {(method, "/api/v1/.*"): show}


def chats(recording: Recording) -> Case:
    wanted, name = _query(recording, "id"), _query(recording, "name")
    if wanted:
        return Case(lambda client: client.chats.get(wanted), _found(recording, wanted, errors.ChatNotFoundError, "chats"), {})
    value = _failing(recording, [chat["id"] for chat in _listed(recording, "chats")])
    value = [] if value is errors.ChatNotFoundError else value
    return Case(lambda client: client.chats.list(name=name), value, {})


def chat(recording: Recording, wanted: str) -> Case:
    value = _found(recording, wanted, errors.ChatNotFoundError, "chats")
    if value is errors.ProtocolError or recording.status == 404 or b"405" in recording.body:
        value = errors.ProtocolError  # ≤ 0.24 have no such path
    elif value is errors.ChatNotFoundError:
        value = errors.ChatNotFoundError
    return Case(lambda client: client.chats.get(wanted), value, {})


def chat_made(recording: Recording) -> Case:
    return Case(lambda client: client.chats.create("x"), _failing(recording, (_data(recording) or {}).get("id")), {})


def chat_changed(recording: Recording, wanted: str) -> Case:
    wanted = wanted or CHAT
    known: Any = [{"id": wanted, "name": "y"}]
    if int(recording.version.split(".")[1]) >= 25:
        known = {"chats": known, "total": 1}
    value = _failing(recording, wanted)
    return Case(lambda client: client.chats.update(wanted, name="y"), value, _shown("GET", known))


def chats_deleted(recording: Recording) -> Case:
    return Case(lambda client: client.chats.delete([CHAT]), _failing(recording, None), {})


def sessions(recording: Recording) -> Case:
    wanted, name = _query(recording, "id"), _query(recording, "name")
    if wanted:
        value = _found(recording, wanted, errors.SessionNotFoundError)
        return Case(lambda client: client.sessions.get(CHAT, wanted), value, {})
    value = _failing(recording, [item["id"] for item in _listed(recording)])
    return Case(lambda client: client.sessions.list(CHAT, name=name), value, {})


def session(recording: Recording, wanted: str) -> Case:
    value = _failing(recording, wanted)
    return Case(lambda client: client.sessions.get(CHAT, wanted), value, {})


def session_made(recording: Recording) -> Case:
    return Case(lambda client: client.sessions.create(CHAT), _failing(recording, (_data(recording) or {}).get("id")), {})


def session_changed(recording: Recording, wanted: str) -> Case:
    value = _failing(recording, wanted)
    return Case(
        lambda client: client.sessions.update(CHAT, wanted, name="y"), value, _shown("GET", [{"id": wanted, "name": "y"}])
    )


def sessions_deleted(recording: Recording) -> Case:
    return Case(lambda client: client.sessions.delete(CHAT, [SESSION]), _failing(recording, None), {})


def datasets(recording: Recording) -> Case:
    wanted, name = _query(recording, "id"), _query(recording, "name")
    if wanted:
        return Case(lambda client: client.datasets.get(wanted), _found(recording, wanted, errors.DatasetNotFoundError), {})
    value = _failing(recording, [item["id"] for item in _listed(recording)])
    value = [] if value is errors.DatasetNotFoundError else value
    return Case(lambda client: client.datasets.list(name=name), value, {})


def simple(make: Callable[[Any], Any], *keys: str, missing: type[errors.RAGFlowError] | None = None) -> Any:
    """Make the case of a call that gives one thing, a list of things (named by `keys`), or nothing."""

    def build(recording: Recording, *_: str) -> Case:
        data = _data(recording)
        if keys:
            value: Any = [item["id"] for item in _listed(recording, *keys)]
        else:
            data = data.get("chunk", data) if isinstance(data, dict) else None
            value = data.get("id") if isinstance(data, dict) else None
        value = _failing(recording, value)
        return Case(make, [] if missing and value is missing else value, {})

    return build


def retrieval(recording: Recording) -> Case:
    value = _failing(recording, [chunk["id"] for chunk in _listed(recording, "chunks")])
    return Case(lambda client: client.retrieve("x", dataset_ids=[DATASET]), value, {})


def questions(recording: Recording) -> Case:
    return Case(lambda client: client.related_questions("x"), _failing(recording, _data(recording)), {})


def no_chats(exchange: Exchange) -> None:
    exchange.reply(json={"code": 0, "data": []})


def health(_: Recording) -> Case:
    return Case(lambda client: client.health(), True, {("GET", "/api/v1/chats"): no_chats})


def version(recording: Recording, *_: str) -> Case:
    value = None if refused(recording) else _data(recording)
    return Case(lambda client: client.server(), ("version", value), {("GET", "/api/v1/chats"): no_chats})


_ID = r"(\w+)"
_API = "/api/v1"
CASES: list[tuple[str, Any]] = [
    (f"GET {_API}/chats", chats),
    (f"GET {_API}/chats/{_ID}", chat),
    (f"POST {_API}/chats", chat_made),
    (rf"P(?:UT|ATCH) {_API}/chats/(\w*)", chat_changed),
    (rf"DELETE {_API}/chats(?:/\w+)?", chats_deleted),
    (rf"GET {_API}/chats/\w+/sessions", sessions),
    (rf"GET {_API}/chats/\w+/sessions/{_ID}", session),
    (rf"POST {_API}/chats/\w+/sessions", session_made),
    (rf"P(?:UT|ATCH) {_API}/chats/\w+/sessions/{_ID}", session_changed),
    (rf"DELETE {_API}/chats/\w+/sessions", sessions_deleted),
    (f"GET {_API}/datasets", datasets),
    (rf"GET {_API}/datasets/\w+", simple(lambda client: client.datasets.get(DATASET))),
    (f"POST {_API}/datasets", simple(lambda client: client.datasets.create("x"))),
    (f"DELETE {_API}/datasets", simple(lambda client: client.datasets.delete([DATASET]))),
    (rf"GET {_API}/datasets/\w+/documents", simple(lambda client: client.documents.list(DATASET), "docs")),
    (
        rf"POST {_API}/datasets/\w+/documents",
        simple(lambda client: client.documents.upload(DATASET, [("a.txt", b"a")]), "docs"),
    ),
    (rf"DELETE {_API}/datasets/\w+/documents", simple(lambda client: client.documents.delete(DATASET, [DOCUMENT]))),
    (
        rf"POST {_API}/datasets/\w+/(?:chunks|documents/parse)",
        simple(lambda client: client.documents.parse(DATASET, [DOCUMENT])),
    ),
    (
        rf"GET {_API}/datasets/\w+/documents/\w+/chunks",
        simple(lambda client: client.chunks.list(DATASET, DOCUMENT), "chunks"),
    ),
    (
        rf"POST {_API}/datasets/\w+/documents/\w+/chunks",
        simple(lambda client: client.chunks.create(DATASET, DOCUMENT, "x")),
    ),
    (
        rf"DELETE {_API}/datasets/\w+/documents/\w+/chunks",
        simple(lambda client: client.chunks.delete(DATASET, DOCUMENT, ["x"])),
    ),
    (
        f"GET {_API}/agents",
        simple(lambda client: client.agents.list(), "canvas", "agents", missing=errors.AgentNotFoundError),
    ),
    (
        rf"GET {_API}/agents/{_ID}",
        lambda recording, wanted: Case(lambda client: client.agents.get(wanted), _failing(recording, wanted), {}),
    ),
    (rf"POST {_API}/agents/\w+/sessions", simple(lambda client: client.agents.create_session(AGENT))),
    (rf"GET {_API}/agents/\w+/sessions", simple(lambda client: client.agents.list_sessions(AGENT), "sessions")),
    (
        rf"GET {_API}/agents/\w+/sessions/{_ID}",
        lambda recording, wanted: Case(
            lambda client: client.agents.get_session(AGENT, wanted), _failing(recording, wanted), {}
        ),
    ),
    (rf"DELETE {_API}/agents/\w+/sessions", simple(lambda client: client.agents.delete_sessions(AGENT, [SESSION]))),
    (f"POST {_API}/retrieval", retrieval),
    (f"POST {_API}/sessions/related_questions", questions),
    (f"GET {_API}/system/healthz", health),
    (r"GET (?:/api)?/v1/system/version", version),
]


def shape(given: Any, value: Any) -> Any:
    """What of a given value is compared: ids, mostly."""
    if isinstance(value, tuple):
        return (value[0], getattr(given, value[0]))
    if value is True:
        return given.ok
    if hasattr(given, "chunks"):
        return ids(given.chunks)
    if isinstance(given, list):
        return [item if isinstance(item, str) else item.id for item in given]
    return given.id if hasattr(given, "id") else given


@pytest.mark.parametrize(("release", "name"), CALLS)
def test_call(release: str, name: str, connect: Connect) -> None:
    recording = recordings.load(release, name)
    found = case(recording)
    if found is None:
        read_as_envelope(recording)
        return
    with WireServer(replay(recording, extra=found.routes), version=None) as server:
        driver = connect(server.base_url, max_retries=0)
        if isinstance(found.value, type):
            error = driver.fails(found.call)
            assert isinstance(error, found.value), error
            assert recording.status < 500 or str(recording.status) in str(error)
        else:
            assert shape(driver.do(found.call), found.value) == found.value
        driver.shut()


def read_as_envelope(recording: Recording) -> None:
    """Read a reply to a request that the clients never send."""
    request = Request(
        recording.method, recording.path.partition("?")[0].removeprefix("/api/v1"), raw_reply="ping" in recording.path
    )
    reply = Reply(recording.status, dict(recording.headers), recording.body)
    if refused(recording):
        with pytest.raises(refusal(recording)):
            decode(reply, request)
    elif request.raw_reply:
        assert decode(reply, request) == {"text": recording.body.decode()} or json.loads(recording.body)
    elif "code" not in recording.reply_json:
        with pytest.raises(errors.ProtocolError):
            decode(reply, request)
    else:
        assert decode(reply, request) == recording.reply_json


def test_no_recording_is_left_out() -> None:
    assert set(CALLS) | set(COMPLETIONS) == {
        (version, name) for version in recordings.versions() for name in recordings.names(version)
    }
    assert len(ALL) > 1600
