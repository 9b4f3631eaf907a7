"""What a server is, is asked for once; and anew where a refusal would rest on it, since the server may have been upgraded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ragflow_integrations import RAGFlowClient, UnsupportedByServerError
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
    with WireServer(Upgradable("v0.27.0")) as server, RAGFlowClient(server.base_url, "key") as client:
        assert [ask(client) for _ in range(3)] == ["Yes."] * 3
        assert sum(request.path.endswith("/system/version") for request in server.requests) == 1


def test_an_upgrade_is_noticed() -> None:
    said = Upgradable("v0.25.6")
    with WireServer(said) as server, RAGFlowClient(server.base_url, "key") as client:
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
    with WireServer(said) as server, RAGFlowClient(server.base_url, "key") as client:
        client.server()
        for _ in range(2):
            assert list(client.stream("Now?", chat_id="c", session_id="s"))
        said.version = "v0.27.0"
        assert list(client.stream("Now?", chat_id="c", session_id="s"))
    assert ["question" in body for body in said.bodies] == [False, False, True]


@pytest.mark.parametrize(("version", "sent"), [("v0.27.0", 2), ("v0.24.0", True)])
def test_an_effort_is_put_as_the_release_wants_it(version: str, sent: object) -> None:
    said = Question(version)
    with WireServer(said) as server, RAGFlowClient(server.base_url, "key") as client:
        list(client.stream("Now?", chat_id="c", session_id="s", reasoning_effort="medium"))
    assert said.bodies[0]["reasoning"] is sent


def test_an_option_the_server_lacks_leaves_no_session_behind() -> None:
    with WireServer(Question("v0.25.6")) as server, RAGFlowClient(server.base_url, "key") as client:
        with pytest.raises(UnsupportedByServerError):
            client.ask("Now?", chat_id="c", reasoning_effort="ultra")
        assert [request.method for request in server.requests] == ["GET"] * len(server.requests)


def test_sessions_that_0_19_0_cannot_read() -> None:
    def script(exchange: Exchange) -> None:
        exchange.reply(json={"code": 100, "data": None, "message": "IndexError('list index out of range')"})

    with WireServer(script) as server, RAGFlowClient(server.base_url, "key") as client:
        with pytest.raises(UnsupportedByServerError, match=r"0\.19\.0 cannot read sessions"):
            client.sessions.get("c", "s")
        with pytest.raises(UnsupportedByServerError):
            list(client.sessions.list("c"))
