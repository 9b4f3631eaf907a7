"""What importing loads, what a client leaves behind, and how it travels: between processes, loops and twins."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
from pydantic import SecretStr

import ragflow_integrations
from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, RAGFlowError, Timeout
from tests.core.driver import CHAT, KEY
from tests.core.scripts import HISTORY, QUESTION, answered, chat_server, said
from tests.support.sse import native_delta, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wire import Exchange


def python(code: str, *flags: str) -> str:
    """Run code in a process of its own; what it says on standard error is a failure."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_the_core_loads_no_framework() -> None:
    loaded = python(
        """
        import sys
        import ragflow_integrations
        ragflow_integrations.RAGFlowClient("http://h", "k")
        print(*sorted({name.partition(".")[0] for name in sys.modules}))
        """
    ).split()
    assert "requests" in loaded
    assert not {"aiohttp", "langchain_core", "llama_index", "starlette", "uvicorn", "typer", "rich"} & set(loaded)


def test_the_key_is_a_secret_from_the_start() -> None:
    assert isinstance(RAGFlowClient("http://h", "k").api_key, SecretStr)


@pytest.mark.parametrize(("adapter", "other"), [("langchain", "llama_index"), ("llamaindex", "langchain_core")])
def test_an_adapter_loads_its_own_framework_only(adapter: str, other: str) -> None:
    pytest.importorskip(f"ragflow_integrations.{adapter}")
    loaded = python(f"import sys, ragflow_integrations.{adapter}; print(*{{n.partition('.')[0] for n in sys.modules}})").split()
    assert other not in loaded


def test_the_async_client_is_loaded_when_asked_for() -> None:
    code = "import sys, ragflow_integrations as r; assert 'aiohttp' not in sys.modules; r.AsyncRAGFlowClient; print('aiohttp' in sys.modules)"  # noqa: E501 - one row of a table
    assert python(code).strip() == "True"


def test_names() -> None:
    assert set(ragflow_integrations.__all__) <= set(dir(ragflow_integrations))
    for name in ragflow_integrations.__all__:
        assert getattr(ragflow_integrations, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ragflow_integrations.no_such_name


def one_content_type(exchange: Exchange) -> None:
    if not exchange.json["stream"]:
        answered()(exchange)
        return
    exchange.start_stream(headers=[("content-type", "text/event-stream")])
    exchange.send(native_delta("Because."))
    exchange.send(terminator())
    exchange.end()


@pytest.mark.parametrize("way", ["ask", "stream", "left"])
def test_a_client_never_closed_is_no_warning(way: str) -> None:
    # One Content-Type: in Python's development mode aiohttp refuses the two that RAGFlow sends.
    with WireServer(one_content_type) as server:
        out = python(
            f"""
            import asyncio
            from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient

            async def main():
                asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no fault of the client
                client = AsyncRAGFlowClient({server.base_url!r}, {KEY!r})
                if {way!r} == "ask":
                    print((await client.ask("Why?", chat_id="c", session_id="s")).text)
                stream = client.stream("Why?", chat_id="c", session_id="s")
                async for event in stream:
                    if {way!r} == "left":
                        break
                print("done")

            asyncio.run(main())
            if {way!r} == "ask":
                RAGFlowClient({server.base_url!r}, {KEY!r}).complete([{{"role": "user", "content": "Why?"}}], chat_id="c")
            """,
            "-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning", "-W", "ignore::ResourceWarning:urllib3",
        )  # fmt: skip
        assert "done" in out


def test_two_event_loops_share_a_client() -> None:
    meeting = threading.Barrier(2)
    with WireServer(chat_server(answered())) as server:
        client = AsyncRAGFlowClient(server.base_url, KEY)
        texts: list[str] = []

        async def talk() -> None:
            texts.extend([(await client.complete(**HISTORY)).text for _ in range(10)])
            meeting.wait(5)
            async with client.stream_complete(**HISTORY) as stream:
                texts.extend([event.answer.text async for event in stream if hasattr(event, "answer")])

        threads = [threading.Thread(target=lambda: asyncio.run(talk())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert texts == ["Because."] * 22
        assert server.connections == 2


def test_closing_closes_the_connections_of_other_loops_too() -> None:
    with WireServer(answered()) as server:
        client = AsyncRAGFlowClient(server.base_url, KEY)
        used, closed = threading.Event(), threading.Event()

        async def use() -> None:
            await client.complete(**HISTORY)
            used.set()
            while not closed.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.01)
            await client.complete(**HISTORY)

        other = threading.Thread(target=lambda: asyncio.run(use()))
        other.start()
        assert used.wait(5)
        asyncio.run(client.aclose())
        closed.set()
        other.join(5)
        assert server.connections == 2


@pytest.mark.parametrize("kind", [RAGFlowClient, AsyncRAGFlowClient])
def test_a_client_travels_with_its_key(kind: Any) -> None:
    client = kind("http://host:1", KEY, timeout=Timeout(connect=1, read=2), max_retries=5)
    twin = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own bytes
    assert type(twin) is kind
    assert twin._settings == client._settings
    assert twin._settings.api_key.get_secret_value() == KEY
    assert twin.timeout == Timeout(connect=1, read=2)
    assert twin._settings.server is client._settings.server  # of this process


def test_a_loaded_client_works() -> None:
    with WireServer(said([])) as server:
        client = RAGFlowClient(server.base_url, KEY)
        assert list(client.chats.list()) == []
        twin = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own bytes
        assert list(twin.chats.list()) == []
        client.close()
        twin.close()
        assert server.connections == 2


async def test_twins_share_settings() -> None:
    with WireServer(chat_server(answered())) as server:
        client = RAGFlowClient(server.base_url, KEY, timeout=7)
        twin = client.as_async()
        again = twin.as_sync()
        assert twin._settings is client._settings is again._settings
        assert (await twin.ask(**QUESTION)).text == "Because."
        assert list(client.sessions.list(CHAT))
        await twin.aclose()
        client.close()


def test_sessions_of_the_caller_are_used_and_not_closed() -> None:
    with WireServer(answered()) as server, requests.Session() as session:
        session.headers["X-Mine"] = "yes"
        for _ in range(2):
            with RAGFlowClient(server.base_url, KEY, session=session) as client:
                client.complete(**HISTORY)
        assert server.connections == 1
        assert {request.headers["x-mine"] for request in server.requests} == {"yes"}
        assert KEY not in str(session.headers)


async def test_sessions_of_the_caller_are_used_and_not_closed_async() -> None:
    with WireServer(answered()) as server:
        async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
            for _ in range(2):
                async with AsyncRAGFlowClient(server.base_url, KEY, session=session) as client:
                    await client.complete(**HISTORY)
        assert server.connections == 1
        assert {request.headers["x-mine"] for request in server.requests} == {"yes"}


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer(answered("By proxy.")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        with RAGFlowClient("http://ragflow.invalid", KEY) as client:
            assert client.complete(**HISTORY).text == "By proxy."

            async def ask() -> str:
                async with client.as_async() as twin:
                    return (await twin.complete(**HISTORY)).text

            assert asyncio.run(ask()) == "By proxy."
        assert {request.path.split("/api")[0] for request in proxy.requests} == {"http://ragflow.invalid"}


def test_hosts_without_a_proxy_are_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer(answered("Directly.")) as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with RAGFlowClient(server.base_url, KEY, max_retries=0) as client:
            assert client.complete(**HISTORY).text == "Directly."

            async def ask() -> str:
                async with client.as_async() as twin:
                    return (await twin.complete(**HISTORY)).text

            assert asyncio.run(ask()) == "Directly."


def test_the_certificates_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with RAGFlowClient("https://127.0.0.1:1", KEY, max_retries=0) as client, pytest.raises(RAGFlowError, match=r"missing\.pem"):
        client.complete(**HISTORY)
