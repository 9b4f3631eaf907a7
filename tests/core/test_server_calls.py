"""Calls whose replies differ in ways no recording and no emulator shows."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from ragflow_integrations import (
    APIError,
    ConnectionFailedError,
    DocumentParsingError,
    InvalidArgumentError,
    ProtocolError,
    RAGFlowClient,
    RequestTimeoutError,
)
from ragflow_integrations._http.session_locks import InProcessSessionLocks
from ragflow_integrations._http.settings import Settings
from tests.core.driver import AGENT, CHAT, DATASET, DOCUMENT, KEY, SESSION
from tests.core.scripts import HISTORY, QUESTION, envelope, in_turn, said
from tests.support.wire import WireServer, replay_map

if TYPE_CHECKING:
    from tests.core.conftest import Connect
    from tests.support.wire import Exchange


def missing(exchange: Exchange) -> None:
    exchange.reply(404, json={"code": 404, "data": None, "error": "Not Found", "message": "Not Found"})


def test_health_says_which_part_fails(connect: Connect) -> None:
    def failing(exchange: Exchange) -> None:
        exchange.reply(500, json={"status": "nok", "db": "nok"})

    with WireServer(failing) as server:
        health = connect(server.base_url).do(lambda client: client.health())
        assert not health.ok
    with WireServer(lambda exchange: exchange.reply(json={"status": "nok", "db": "nok"})) as server:
        health = connect(server.base_url).do(lambda client: client.health())
        assert not health.ok
        assert health.parts["db"] == "nok"
    with WireServer(replay_map({("GET", "/api/v1/chats"): said([])}, missing)) as server:
        assert connect(server.base_url).do(lambda client: client.health()).ok


def test_datasets_without_chunks_give_nothing(connect: Connect) -> None:
    with WireServer(envelope(102, "No chunk found! Check the chunk status please!")) as server:
        assert connect(server.base_url).do(lambda client: client.retrieve("q", dataset_ids=[DATASET])).chunks == ()
    with WireServer(envelope(102, "other")) as server:
        assert isinstance(connect(server.base_url).fails(lambda client: client.retrieve("q", dataset_ids=[DATASET])), APIError)


@pytest.mark.parametrize(("limit", "sizes"), [(30, [30]), (100, [100]), (250, [100, 100, 100]), (101, [100, 100])])
def test_a_long_retrieval_comes_in_pages(limit: int, sizes: list[int], connect: Connect) -> None:
    def script(exchange: Exchange) -> None:
        asked = exchange.json
        start = (asked["page"] - 1) * asked["page_size"]
        chunks = [{"id": str(at), "document_id": "d", "mom_id": ""} for at in range(start, start + asked["page_size"])]
        exchange.reply(json={"code": 0, "data": {"chunks": chunks, "total": 1000}})

    with WireServer(script) as server:
        found = connect(server.base_url).do(lambda client: client.retrieve("q", dataset_ids=[DATASET], limit=limit))
        assert [chunk.id for chunk in found.chunks] == [str(at) for at in range(limit)]
        assert [request.json["page_size"] for request in server.requests] == sizes


def test_a_deletion_done_in_part_is_told(connect: Connect) -> None:
    with WireServer(said({"success_count": 1, "errors": ["no session x"]})) as server:
        error = connect(server.base_url).fails(lambda client: client.sessions.delete(CHAT, [SESSION, "x"]))
        assert "no session x" in str(error)
        assert "1 could not be deleted" in str(error)


@pytest.mark.parametrize("body", [{"code": 0, "data": None}, {"code": 0, "data": "text"}, {"code": 0}])
def test_a_success_without_an_answer(body: dict[str, Any], connect: Connect) -> None:
    with WireServer(lambda exchange: exchange.reply(json=body)) as server:
        for call in (
            lambda client: client.ask(**QUESTION),
            lambda client: client.complete(**HISTORY),
            lambda client: client.ask("q", agent_id=AGENT, session_id=SESSION),
        ):
            assert isinstance(connect(server.base_url).fails(call), ProtocolError)


def test_parsing_that_failed(connect: Connect) -> None:
    states = [
        {"id": "d", "name": "a.pdf", "run": "RUNNING", "progress": 0.5},
        {"id": "e", "name": "b", "run": "DONE", "progress": 1},
    ]
    failed = [states[0] | {"run": "FAIL", "progress_msg": " out of ink \n"}, states[1]]
    with WireServer(in_turn(said({"docs": states}), said({"docs": failed}))) as server:
        seen: list[float] = []
        error = connect(server.base_url).fails(
            lambda client: client.documents.wait(DATASET, ["d", "e"], progress=lambda state: seen.append(state.fraction))
        )
        assert isinstance(error, DocumentParsingError)
        assert "out of ink" in str(error)
        assert "1 of 2" in str(error)
        assert seen == [0.75, 0.75]


def test_a_progress_bar_is_shown(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    done = said({"docs": [{"id": "d", "run": "DONE", "progress": 1}]})
    with WireServer(done) as server:
        driver = connect(server.base_url)
        assert driver.do(lambda client: client.documents.wait(DATASET, ["d"], progress=True))[0].status == "DONE"
        monkeypatch.setitem(sys.modules, "rich.progress", None)
        error = driver.fails(lambda client: client.documents.wait(DATASET, ["d"], progress=True))
        assert isinstance(error, InvalidArgumentError)
        assert "ragflow-integrations[cli]" in str(error)


def test_ids_and_filters_reach_the_server_unchanged(connect: Connect) -> None:
    odd = "../a b/../ü?#&=+%2F…"
    with WireServer(said([])) as server:
        driver = connect(server.base_url)
        driver.do(lambda client: client.sessions.list(odd, name=odd))
        parts = urlsplit(server.requests[0].path)
        assert [unquote(part) for part in parts.path.split("/")] == ["", "api", "v1", "chats", odd, "sessions"]
        assert parse_qs(parts.query)["name"] == [odd]


def test_no_server_listens_within_the_connect_timeout(connect: Connect) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(4):  # until the queue of connections is full
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        driver = connect(f"http://127.0.0.1:{port}", timeout=0.3, max_retries=0)
        error = driver.fails(lambda client: client.chats.list())
        for one in waiting:
            one.close()
    assert isinstance(error, ConnectionFailedError)
    assert not error.sent
    assert "0.3 s" in str(error)


def test_waiting_for_documents_is_limited(connect: Connect) -> None:
    with WireServer(said({"docs": [{"id": "d", "name": "a.txt", "run": "RUNNING"}], "total": 1})) as server:
        error = connect(server.base_url).fails(lambda client: client.documents.wait("ds", ["d"], timeout=0))
    assert isinstance(error, RequestTimeoutError)
    assert "0 of 1" in str(error)


@pytest.mark.parametrize("content", [b'{"code": 1, "message"', b'{"a": ' + b"[" * 500])
def test_a_file_is_given_whatever_is_in_it(content: bytes, connect: Connect) -> None:
    typed = (("Content-Type", "application/json"),)
    with WireServer(lambda exchange: exchange.reply(200, typed, content)) as server:
        assert connect(server.base_url).do(lambda client: client.documents.download(DATASET, DOCUMENT)) == content


def test_a_turn_that_comes_while_it_is_given_up_is_passed_on() -> None:
    turns = InProcessSessionLocks()
    turn = turns.acquire("s", 1)
    late = turns.request("other", blocking=True)
    turns._cancel(late)
    assert "other" not in turns.queues
    turn.release()


def test_settings_are_compared_by_what_was_given() -> None:
    assert Settings.of("http://h", KEY, None, 2) == Settings.of("http://h/", KEY, None, 2)
    assert RAGFlowClient("http://h", KEY).base_url == "http://h"
