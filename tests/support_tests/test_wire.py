from __future__ import annotations

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.support import recordings
from tests.support.leaks import no_new_threads, no_open_sockets, wait_until
from tests.support.wire import ClientGone, Exchange, WireServer, cut_up, replay, replay_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.wire import Framing, Pieces, Routes

GET = b"GET /path?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"
FRAMINGS: tuple[Framing, ...] = ("chunked", "close", "length")
PIECES: tuple[Pieces, ...] = ("whole", "bytes", 7)
EVENTS = 'data:{"code": 0, "data": {"answer": "你\u2028 😀"}}\n\ndata:{"code": 0, "data": true}\n\n'.encode()
LINE = b"=" * 40 + b"\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 \ncontent-type: text/event-stream; charset=utf-8\nConnection: close\n"
    b"content-type: text/event-stream; charset=utf-8\nTransfer-Encoding: chunked\n\n"
)
STREAM = recordings.parse("v1", "stream", b"POST /s\n\n{}\n" + LINE + STREAM_HEAD + EVENTS)
JSON = recordings.parse(
    "v1",
    "json",
    b"GET /j\n\n\n" + LINE + b"HTTP/1.1 404 Gone\ncontent-type: application/json\n"
    b'Content-Length: removed\n\n{"code":404,"message":"\xe4\xbd\xa0"}\n',
)
CUT = recordings.parse("v1", "cut", b"GET /c\n\n\n" + LINE + STREAM_HEAD + b"data:{\n# curl exit code 18")
SILENT = recordings.parse("v1", "silent", b"GET /n\n\n\n" + LINE + b"curl: (28) timed out\n\n# curl exit code 28")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with no_new_threads(), no_open_sockets():
        yield


def connect(server: WireServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), timeout=5)


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def exchange_bytes(server: WireServer, request: bytes = GET) -> bytes:
    with connect(server) as sock:
        sock.sendall(request)
        return read_all(sock)


def test_json_replies_on_one_connection() -> None:
    def script(exchange: Exchange) -> None:
        exchange.reply(201, json={"got": exchange.json, "text": "你"}, reason="Created")

    with WireServer(script) as server, requests.Session() as session:
        for number in range(3):
            reply = session.post(f"{server.base_url}/p/{number}?q=1", json=number, headers={"X-A": "b"})
            assert (reply.status_code, reply.reason, reply.json()) == (201, "Created", {"got": number, "text": "你"})
            assert reply.headers["content-type"] == "application/json"
    assert server.connections == 1
    assert [(request.method, request.path) for request in server.requests] == [
        ("POST", f"/p/{number}?q=1") for number in range(3)
    ]
    assert server.requests[0].headers["x-a"] == "b"
    assert server.requests[2].json == 2
    assert {request.connection for request in server.requests} == {1}


def test_repeated_request_headers_are_joined_and_the_last_request_ends_the_connection() -> None:
    with WireServer(lambda exchange: exchange.reply(headers=[("a", "b")], body=b"x")) as server:
        assert exchange_bytes(server, b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\nConnection: close\r\n\r\n") == (
            b"HTTP/1.1 200 \r\na: b\r\ncontent-length: 1\r\n\r\nx"
        )
    assert server.requests[0].headers["a"] == "1, 2"


def test_chunked_request_body() -> None:
    with WireServer(lambda exchange: exchange.reply(body=exchange.body)) as server:
        reply = requests.post(server.base_url, data=iter([b"ab", b"c" * 70000]), timeout=5)
        assert reply.content == b"ab" + b"c" * 70000


def test_each_send_is_one_chunk() -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream(reason="OK")
        exchange.send(b"data:1")
        exchange.send(b"")
        exchange.send(b"\n" * 17)
        exchange.end()

    with WireServer(script) as server:
        assert exchange_bytes(server, GET.replace(b"Host: h", b"Connection: close")) == (
            b"HTTP/1.1 200 OK\r\n"
            b"content-type: text/event-stream; charset=utf-8\r\n"
            b"content-type: text/event-stream; charset=utf-8\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
            b"6\r\ndata:1\r\n11\r\n" + b"\n" * 17 + b"\r\n0\r\n\r\n"
        )


@pytest.mark.parametrize("framing", FRAMINGS)
def test_framings_carry_the_same_body(framing: Framing) -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream(framing=framing, length=len(EVENTS) if framing == "length" else None)
        for piece in cut_up(EVENTS, 5):
            exchange.send(piece)
        exchange.end()

    with WireServer(script) as server, requests.Session() as session:
        for _ in range(2):
            assert session.get(server.base_url).content == EVENTS
    assert server.connections == (2 if framing == "close" else 1)


def test_reply_shorter_than_promised() -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream(framing="length", length=10)
        exchange.send(b"four")
        exchange.end()

    with WireServer(script) as server:
        client = http.client.HTTPConnection(server.base_url.removeprefix("http://"), timeout=5)
        client.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead):
            client.getresponse().read()
        client.close()


def test_abort_is_a_reset_and_close_is_an_end() -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(b"x")
        if exchange.path == "/abort":
            exchange.abort()
        else:
            exchange.close()
            assert exchange.wait_closed()

    with WireServer(script) as server:
        assert exchange_bytes(server).endswith(b"\r\n\r\n1\r\nx\r\n")
        with pytest.raises(ConnectionResetError):
            exchange_bytes(server, b"GET /abort HTTP/1.1\r\n\r\n")


def test_raw_bytes() -> None:
    def script(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 \r\n")
        exchange.raw(b"\r\nzz")

    with WireServer(script) as server:
        assert exchange_bytes(server) == b"HTTP/1.1 200 \r\n\r\nzz"


def test_wait_closed_notices_a_client_that_leaves() -> None:
    seen: list[bool] = []
    asked = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        seen.append(exchange.wait_closed(0.05))
        asked.set()
        seen.append(exchange.wait_closed())
        exchange.close()

    with WireServer(script) as server:
        with connect(server) as sock:
            sock.sendall(GET)
            assert asked.wait(5)
        assert wait_until(lambda: len(seen) == 2)
    assert seen == [False, True]


def test_request_that_arrives_while_waiting_is_not_lost() -> None:
    started = threading.Event()

    def script(exchange: Exchange) -> None:
        started.set()
        if exchange.path == "/path?x=1":
            assert not exchange.wait_closed(0.1)
        exchange.reply(body=exchange.path.encode())

    with WireServer(script) as server, connect(server) as sock:
        sock.sendall(GET)
        assert started.wait(5)
        sock.sendall(b"GET /second HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert read_all(sock).endswith(b"/second")


def test_send_notices_a_client_that_left() -> None:
    gone = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        assert exchange.wait_closed()
        try:
            exchange.send(b"first write after the end")
        except ClientGone:
            gone.set()
            raise

    with WireServer(script) as server:
        with connect(server) as sock:
            sock.sendall(GET)
            assert sock.recv(65536)  # or else start_stream already finds it gone
        assert gone.wait(5)


def test_endless_stream_ends_with_the_client() -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        while True:
            exchange.send(b"x" * 1000)

    with WireServer(script) as server, connect(server) as sock:
        sock.sendall(GET)
        assert sock.recv(10)


def test_failing_script_fails_the_test() -> None:
    def script(exchange: Exchange) -> None:
        raise KeyError(exchange.path)

    with pytest.raises(KeyError, match="/path"), WireServer(script) as server:
        assert exchange_bytes(server) == b""


def test_failing_script_comes_before_the_clients_failure() -> None:
    def script(exchange: Exchange) -> None:
        pytest.fail(f"not expected: {exchange.path}")

    with pytest.raises(pytest.fail.Exception, match="not expected"), WireServer(script) as server:
        requests.get(server.base_url, timeout=5)


def test_several_failing_scripts() -> None:
    def script(exchange: Exchange) -> None:
        raise KeyError(exchange.path)

    def run() -> None:
        with WireServer(script) as server:
            exchange_bytes(server)
            exchange_bytes(server)

    with pytest.raises(ExceptionGroup) as caught:
        run()
    assert caught.group_contains(KeyError)
    assert len(caught.value.exceptions) == 2


def test_the_tests_own_outcome_is_kept() -> None:
    def run() -> None:
        with WireServer(lambda _: None) as server:
            exchange_bytes(server)
            pytest.skip("own outcome")

    with pytest.raises(pytest.skip.Exception):
        run()


@pytest.mark.parametrize("started", [False, True])
def test_script_must_finish_its_answer(started: bool) -> None:
    def script(exchange: Exchange) -> None:
        if started:
            exchange.start_stream()

    message = "left its stream open" if started else "did not answer GET /path"
    with pytest.raises(AssertionError, match=message), WireServer(script) as server:
        exchange_bytes(server)


def test_script_that_outlives_the_test_is_stopped_and_not_deceived() -> None:
    seen: list[bool] = []

    def script(exchange: Exchange) -> None:
        seen.append(exchange.wait_closed(60))
        exchange.close()

    def run(sock: socket.socket) -> None:
        with WireServer(script, grace=0.05) as server:
            sock.connect(("127.0.0.1", int(server.base_url.rpartition(":")[2])))
            sock.sendall(GET)
            assert wait_until(lambda: server.requests)

    with socket.socket() as sock, pytest.raises(AssertionError, match="still running"):
        run(sock)
    assert seen == [False]


def test_idle_and_unfinished_clients_do_not_hold_up_the_end() -> None:
    server = WireServer(lambda exchange: exchange.reply(), grace=60)
    with server:
        idle, half = connect(server), connect(server)
        half.sendall(b"GET / HT")
        assert wait_until(lambda: server.connections == 2)
    idle.close()
    half.close()
    assert server.requests == []


def test_garbage_is_an_error() -> None:
    with pytest.raises(ValueError, match="unpack"), WireServer(lambda exchange: exchange.reply()) as server:
        exchange_bytes(server, b"garbage\r\n\r\n")


def test_many_clients_at_once() -> None:
    together = threading.Barrier(20, timeout=10)

    def script(exchange: Exchange) -> None:
        together.wait()
        exchange.reply(body=exchange.path.encode())

    with WireServer(script) as server, ThreadPoolExecutor(20) as pool:
        urls = [f"{server.base_url}/{number}" for number in range(20)]
        bodies = [reply.text for reply in pool.map(lambda url: requests.get(url, timeout=10), urls)]
    assert bodies == [f"/{number}" for number in range(20)]
    assert server.connections == 20


@pytest.mark.parametrize("pieces", PIECES)
def test_replayed_replies_are_the_recorded_ones(pieces: Pieces) -> None:
    with WireServer(replay(STREAM, pieces)) as server, requests.Session() as session:
        for method in ("POST", "GET"):
            reply = session.request(method, f"{server.base_url}/anything")
            assert (reply.status_code, reply.reason, reply.content) == (200, "", EVENTS)
            assert reply.raw.headers.getlist("content-type") == ["text/event-stream; charset=utf-8"] * 2
    assert server.connections == 1  # the recorded `Connection` was about the recorded connection
    with WireServer(replay(JSON, pieces)) as server:
        reply = requests.get(server.base_url, timeout=5)
        assert (reply.status_code, reply.reason, reply.content) == (404, "Gone", JSON.body)
        assert reply.headers["content-length"] == str(len(JSON.body))


@pytest.mark.parametrize("pieces", PIECES)
def test_each_piece_of_a_stream_is_one_chunk(pieces: Pieces) -> None:
    parts = cut_up(EVENTS, pieces)
    expected = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    with WireServer(replay(STREAM, pieces)) as server:
        reply = exchange_bytes(server, GET.replace(b"Host: h", b"Connection: close"))
        assert reply.partition(b"\r\n\r\n")[2] == expected


def test_pieces_make_up_the_body() -> None:
    assert cut_up(b"", "whole") == cut_up(b"", "bytes") == cut_up(b"", 1) == []
    assert cut_up(b"abc", "whole") == [b"abc"]
    assert cut_up(b"abc", "bytes") == [b"a", b"b", b"c"]
    body = bytes(range(256)) * 20
    assert b"".join(cut_up(body, 3)) == body
    assert cut_up(body, 3) == cut_up(body, 3) != cut_up(body, 4)
    assert all(cut_up(body, 3))


def test_cut_and_silent_recordings_end_without_an_end() -> None:
    with WireServer(replay_map({("GET", "/c"): CUT, ("GET", "/n"): SILENT})) as server:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(f"{server.base_url}/c", timeout=5)
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"{server.base_url}/n", timeout=5)


def test_routes() -> None:
    routes: Routes = {
        ("GET", r"/j/\d+"): JSON,
        ("GET", r"/q\?x=1"): lambda exchange: exchange.reply(body=b"one"),
        ("GET", "/q"): lambda exchange: exchange.reply(body=b"any"),
    }
    script = replay_map(routes, default=lambda exchange: exchange.reply(418))
    with WireServer(script) as server, requests.Session() as session:
        assert session.get(f"{server.base_url}/j/12?page=1").content == JSON.body
        assert session.get(f"{server.base_url}/q?x=1").text == "one"
        assert session.get(f"{server.base_url}/q?x=2").text == "any"
        assert session.get(f"{server.base_url}/j/12/more").status_code == 418
        assert session.post(f"{server.base_url}/q").status_code == 418
    with pytest.raises(AssertionError, match="no route for GET /path"), WireServer(replay_map({})) as server:
        exchange_bytes(server)


def test_further_routes_beside_a_replay() -> None:
    with WireServer(replay(STREAM, "bytes", extra={("POST", r".*/sessions"): JSON})) as server:
        assert requests.post(f"{server.base_url}/c/1/sessions", timeout=5).content == JSON.body
        assert requests.post(f"{server.base_url}/c/1/completions", timeout=5).content == EVENTS


@pytest.mark.parametrize("version", recordings.versions())
def test_real_recordings_survive_the_wire(version: str) -> None:
    chosen = [recordings.load(version, name) for name in recordings.names(version)[::9]]
    routes = {("GET", f"/{recording.name}"): recording for recording in chosen if not recording.cut}
    with WireServer(replay_map(routes, pieces=11)) as server, requests.Session() as session:
        for (_, path), recording in routes.items():
            reply = session.get(server.base_url + path)
            assert (reply.status_code, reply.reason, reply.content) == (
                recording.status,
                recording.reason,
                recording.body,
            )


CLOSING = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"


def test_a_server_refuses_until_it_listens() -> None:
    with WireServer(lambda exchange: exchange.reply(), listening=False) as server:
        with pytest.raises(ConnectionRefusedError):
            connect(server)
        server.listen()
        assert exchange_bytes(server, CLOSING).startswith(b"HTTP/1.1 200")
    with WireServer(lambda exchange: exchange.reply(), listening=False):
        pass


def test_a_surplus_is_no_part_of_the_reply() -> None:
    with WireServer(lambda exchange: exchange.reply(body=b"ab", surplus=b"cd")) as server:
        assert exchange_bytes(server, CLOSING).endswith(b"content-length: 2\r\n\r\nabcd")
