"""What a server is, is asked for once; and anew where a refusal would rest on it, since the server may have been upgraded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ragflow_integrations import AsyncRAGFlowClient, InvalidRequestError, RAGFlowClient, UnsupportedByServerError
from ragflow_integrations.emulator import Emulator
from tests.support.sse import native_delta, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.support.wire import Exchange


class Upgradable:
    """A server that says a version, and answers."""

    def __init__(self, version: str) -> None:
        self.version = version

    def __call__(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/system/version"):
            exchange.reply(json={"code": 0, "data": self.version})
        else:
            message = {"role": "assistant", "content": "Yes."}
            exchange.reply(json={"choices": [{"message": message, "finish_reason": "stop"}], "usage": None})


def ask(client: RAGFlowClient) -> str:
    return client.complete([{"role": "user", "content": "Now?"}], chat_id="c", temperature=0.5).text


def test_the_version_is_asked_for_once() -> None:
    with WireServer(Upgradable("v0.27.0"), version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        assert [ask(client) for _ in range(3)] == ["Yes."] * 3
        assert sum(request.path.endswith("/system/version") for request in server.requests) == 1


def test_an_upgrade_is_noticed() -> None:
    said = Upgradable("v0.25.6")
    with WireServer(said, version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        with pytest.raises(UnsupportedByServerError, match=r"0\.26\.0 or newer"):
            ask(client)
        said.version = "v0.27.0"
        assert ask(client) == "Yes."
        assert client.server().version == "v0.27.0"


class Question(Upgradable):
    """The same for a session; it keeps what it was asked with."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.bodies: list[dict[str, object]] = []

    def __call__(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/completions"):
            self.bodies.append(exchange.json)
            exchange.start_stream()
            exchange.send(native_delta("Yes.") + terminator())
            exchange.end()
        elif "/sessions?" in exchange.path:
            exchange.reply(json={"code": 0, "data": [{"id": "s", "messages": []}]})
        else:
            super().__call__(exchange)


def test_an_upgrade_from_a_release_that_takes_only_messages_is_noticed() -> None:
    said = Question("v0.25.3")
    with WireServer(said, version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        client.server()
        for _ in range(2):
            assert list(client.stream("Now?", chat_id="c", session_id="s"))
        said.version = "v0.27.0"
        assert list(client.stream("Now?", chat_id="c", session_id="s"))
    assert ["question" in body for body in said.bodies] == [False, False, True]


@pytest.mark.parametrize(("version", "sent"), [("v0.27.0", 2), ("v0.24.0", True)])
def test_an_effort_is_put_as_the_release_wants_it(version: str, sent: object) -> None:
    said = Question(version)
    with WireServer(said, version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        list(client.stream("Now?", chat_id="c", session_id="s", reasoning_effort="medium"))
    assert said.bodies[0]["reasoning"] is sent


def test_an_option_the_server_lacks_leaves_no_session_behind() -> None:
    with WireServer(Question("v0.25.6"), version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        with pytest.raises(UnsupportedByServerError):
            client.ask("Now?", chat_id="c", reasoning_effort="ultra")
        assert [request.method for request in server.requests] == ["GET"] * len(server.requests)


def test_sessions_that_0_19_0_cannot_read() -> None:
    def script(exchange: Exchange) -> None:
        exchange.reply(json={"code": 100, "data": None, "message": "IndexError('list index out of range')"})

    with WireServer(script, version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        with pytest.raises(UnsupportedByServerError, match=r"0\.19\.0 cannot read sessions"):
            client.sessions.get("c", "s")
        with pytest.raises(UnsupportedByServerError):
            list(client.sessions.list("c"))


def test_a_build_between_releases_is_at_least_the_one_before() -> None:
    """It wants `messages`, and says the release it was built behind."""

    class Between(Question):
        def __call__(self, exchange: Exchange) -> None:
            if exchange.path.endswith("/completions") and "question" in exchange.json:
                self.bodies.append(exchange.json)
                exchange.reply(json={"code": 101, "data": None, "message": "required argument are missing: messages; "})
            else:
                super().__call__(exchange)

    said = Between("v0.25.0-123-gabcdef0")
    with WireServer(said, version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        assert list(client.stream("Now?", chat_id="c", session_id="s"))
        assert ["question" in body for body in said.bodies] == [True, False]
        said.version = "v0.27.0"  # and refuses all the same
        said.bodies.clear()
        with pytest.raises(InvalidRequestError):
            client.ask("Now?", chat_id="c", session_id="s")
        assert len(said.bodies) == 2


@pytest.mark.parametrize("version", ["7c32e20", "unknown"])
def test_a_server_that_does_not_tell_its_release_gets_no_option_it_may_ignore(version: str) -> None:
    with WireServer(Upgradable(version), version=None) as server, RAGFlowClient(server.base_url, "key") as client:
        with pytest.raises(UnsupportedByServerError, match=r"0\.26\.0 or newer"):
            ask(client)
        assert not any(request.method == "POST" for request in server.requests)


async def test_probes_at_once_tell_the_same() -> None:
    with Emulator(version="0.23.1") as server:
        async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
            alone = await client.server()
            found = await asyncio.gather(*(client.server() for _ in range(20)))
    assert set(found) == {alone}


def test_clients_of_one_address_know_the_same_however_it_is_written() -> None:
    one, other = (RAGFlowClient(url, "key") for url in ("http://LOCALHOST:80", "http://localhost/api/v1"))
    assert one._settings.server is other._settings.server
    assert RAGFlowClient("http://localhost:8080", "key")._settings.server is not one._settings.server
