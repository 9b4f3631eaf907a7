"""Starting, stopping, going away in the middle, and the command line."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import requests

from ragflow_integrations.emulator import Emulator, server
from ragflow_integrations.emulator.__main__ import main
from tests.emulator.api import Api
from tests.support.leaks import no_new_threads, no_open_sockets, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def test_nothing_is_left_behind(docs: Path) -> None:
    with no_new_threads(), no_open_sockets():
        server = Emulator(docs=docs).start()
        assert requests.get(f"{server.base_url}/api/v1/system/ping", timeout=5).text == "pong"
        server.stop()
        server.stop()


def test_it_listens_on_loopback_only(docs: Path) -> None:
    with Emulator(docs=docs) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        port = int(server.base_url.rpartition(":")[2])
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))  # would be taken if the server listened everywhere


def test_it_can_run_once_at_a_time_but_again(docs: Path) -> None:
    server = Emulator(docs=docs)
    with server, pytest.raises(RuntimeError, match="runs already"):
        server.start()
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.store
    with server:
        assert requests.get(f"{server.base_url}/api/v1/system/version", timeout=5).json()["data"] == "v0.27.0"


def test_a_taken_port_is_an_error(docs: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with no_new_threads(), pytest.raises(OSError, match="in use"):
            Emulator(docs=docs, port=holder.getsockname()[1]).start()


def test_one_that_does_not_come_up_in_time_ends(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given up before its thread serves, it must not serve for ever."""
    monkeypatch.setattr(server, "_START_SECONDS", 0.0)
    outcomes: list[BaseException | None] = []
    with no_new_threads(), no_open_sockets():
        while not any(outcomes):  # on a busy machine its thread may serve before anybody has waited
            late = Emulator(docs=docs)
            starting = threading.Thread(target=lambda: outcomes.append(_problem(late.start)), daemon=True)  # noqa: B023 - joined
            starting.start()
            starting.join(10)
            assert not starting.is_alive()
            late.stop()
    assert type(outcomes[-1]) is RuntimeError


def _problem(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except RuntimeError as error:
        return error
    return None


def test_the_bundled_documents_are_the_default() -> None:
    with Emulator() as server:
        assert server.store.chunk_total() > 10


def test_one_file_can_be_served(docs: Path) -> None:
    with Emulator(docs=docs / "garden.txt") as server:
        assert server.store.chunk_total() == 1


def test_data_outlives_the_emulator(docs: Path, tmp_path: Path, serve: Callable[..., Api]) -> None:
    data = tmp_path / "data.db"
    first = serve(data=data)
    session = first.session(name="kept")
    kept = (first.server.chat_id, first.server.dataset_id, first.server.agent_id)
    first.server.stop()
    second = serve(data=data)
    assert (second.server.chat_id, second.server.dataset_id, second.server.agent_id) == kept
    assert second.get(f"/chats/{second.server.chat_id}/sessions/{session}")["data"]["name"] == "kept"
    assert docs.exists()


def test_requests_are_recorded(serve: Callable[..., Api]) -> None:
    api = serve()
    api.get("/chats")
    api.send("GET", "/nope")
    seen = [(record.method, record.path, record.status) for record in api.server.requests]
    assert seen == [("GET", "/api/v1/chats", 200), ("GET", "/api/v1/nope", 404)]


def test_events_are_counted_and_streams_closed(serve: Callable[..., Api]) -> None:
    api = serve()
    events = api.ask("When is the boiler serviced?")
    assert api.server.events_sent == len(events) + 1
    assert wait_until(lambda: api.server.open_streams == 0)


def open_stream(api: Api, question: str, session: str) -> tuple[requests.Response, Iterator[bytes]]:
    body = {"question": question, "session_id": session}
    path = f"/chats/{api.server.chat_id}/completions"
    reply = api.send("POST", path, json=body, stream=True)
    received = reply.iter_content(1)
    assert next(received) == b"d"
    assert api.server.open_streams == 1
    return reply, received


def test_stopping_ends_open_streams_at_once(docs: Path) -> None:
    with no_new_threads(), no_open_sockets():
        server = Emulator(docs=docs, delay=60).start()
        api = Api(server)
        _, received = open_stream(api, "boiler [[LONG=200]]", api.session())
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(received)
        api.http.close()


def test_a_client_that_leaves_leaves_no_turn(serve: Callable[..., Api]) -> None:
    api = serve()
    session = api.session()
    reply, _received = open_stream(api, "boiler [[LONG=200]] [[DELAY=30]]", session)
    reply.close()
    assert wait_until(lambda: api.server.open_streams == 0)
    assert api.server.events_sent < 5
    messages = api.get(f"/chats/{api.server.chat_id}/sessions/{session}")["data"]["messages"]
    assert [message["role"] for message in messages] == ["assistant"]


@pytest.mark.parametrize("how", ["server", "question"])
def test_events_can_be_slowed_down(serve: Callable[..., Api], how: str) -> None:
    api = serve(delay=0.1 if how == "server" else 0.0)
    began = time.monotonic()
    events = api.ask("boiler" if how == "server" else "boiler [[DELAY=0.1]]")
    assert time.monotonic() - began >= 0.1 * len(events)


def test_one_release_cuts_long_streams(docs: Path) -> None:
    # 0.22.1 does so after 60 s.
    server = Emulator(docs=docs, version="0.22.1", delay=10)
    assert server.era.stream_seconds == 60
    server.era = dataclasses.replace(server.era, stream_seconds=0.2)
    with server:
        api = Api(server)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            api.ask("boiler [[LONG=200]]", session_id=api.session())
        api.http.close()


def test_many_streams_at_once(serve: Callable[..., Api]) -> None:
    api = serve()
    answers: list[str] = []

    def ask() -> None:
        answers.append("".join(event["answer"] for event in api.ask("When is the boiler serviced?")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1


# Command line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(docs: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-m", "ragflow_integrations.emulator", "--docs", str(docs), "--port", "0"]
    command += ["--version", "0.24", "--api-key", "k"]
    environment = dict(os.environ)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(6)]
        assert lines[0].startswith("An emulator of RAGFlow 0.24.0. It is not RAGFlow")
        facts = {line.rsplit(None, 1)[0].strip(): line.split()[-1] for line in lines[1:]}
        url = f"{facts['base URL']}/api/v1/chats"
        chats = requests.get(url, headers={"Authorization": f"Bearer {facts['API key']}"}, timeout=5).json()["data"]
        assert [chat["id"] for chat in chats] == [facts["chat id"]]
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_the_command_leaves_the_process_as_it_was(
    docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            signal.raise_signal(signal.SIGTERM)
            return super().wait(timeout)

    monkeypatch.setattr("ragflow_integrations.emulator.__main__.threading", SimpleNamespace(Event=Interrupted))
    before = signal.getsignal(signal.SIGTERM)
    with no_new_threads(), no_open_sockets():
        assert main(["--port", "0", "--docs", str(docs)]) == 0
    assert signal.getsignal(signal.SIGTERM) == before
    said = capsys.readouterr().out
    assert "not RAGFlow" in said
    assert "Only this machine can reach it" in said


@pytest.mark.parametrize("arguments", [["--version", "0.1"], ["--docs", "/nonexistent/folder"]])
def test_the_command_explains_what_is_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
