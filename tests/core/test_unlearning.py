"""What a server is, is asked for once; and anew where a refusal would rest on it, since the server may have been upgraded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ragflow_integrations import RAGFlowClient, UnsupportedByServerError
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
