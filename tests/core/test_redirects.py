"""Redirects are not followed: the key goes to the server that was named, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests

from ragflow_integrations import AsyncRAGFlowClient, ProtocolError, RAGFlowClient
from tests.core.driver import CHAT, DOCUMENT, KEY, SESSION
from tests.core.scripts import HISTORY, QUESTION, said, status
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Connect

CALLS: dict[str, Callable[[Any], Any]] = {
    "GET": lambda client: client.chats.list(),
    "GET a file": lambda client: client.documents.download(CHAT, DOCUMENT),
    "POST": lambda client: client.datasets.create("d"),
    "POST a file": lambda client: client.documents.upload(CHAT, [("a.txt", b"a")]),
    "PUT": lambda client: client.datasets.update(CHAT, name="d"),
    "PATCH": lambda client: client.chats.update(CHAT, name="d"),
    "DELETE": lambda client: client.datasets.delete([CHAT]),
    "retrieve": lambda client: client.retrieve("Why?", dataset_ids=[CHAT]),
    "ask": lambda client: client.ask(**QUESTION),
    "stream": lambda client: client.stream(**QUESTION),
    "complete": lambda client: client.complete(**HISTORY),
    "stream_complete": lambda client: client.stream_complete(**HISTORY),
    "health": lambda client: client.health(),
    "server": lambda client: client.server(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_the_key_does_not_follow_to_another_server(code: int, name: str, connect: Connect) -> None:
    with WireServer(said({})) as other:
        elsewhere = other.base_url.replace("127.0.0.1", "localhost")
        redirect = status(code, b"", ("Location", f"{elsewhere}/api/v1/chats"))
        with WireServer(redirect, knows_assistants=True) as server:
            outcome = connect(server.base_url, max_retries=0).drain(CALLS[name])
        assert isinstance(outcome.error, ProtocolError)
        assert elsewhere in str(outcome.error)
        assert server.requests
        assert other.connections == 0


@pytest.mark.parametrize("where", ["https://127.0.0.1:9/", "//127.0.0.1:9/", "/elsewhere", "ftp://127.0.0.1:9/", ""])
def test_nor_to_another_scheme_or_path(where: str, connect: Connect) -> None:
    with WireServer(status(307, b"", ("Location", where))) as server:
        assert isinstance(connect(server.base_url).fails(CALLS["POST"]), ProtocolError)
    assert len(server.requests) == 1


def test_nor_through_a_session_of_the_caller() -> None:
    with WireServer(said({})) as other, requests.Session() as session:
        session.max_redirects = 5
        with WireServer(status(302, b"", ("Location", other.base_url))) as server:
            client = RAGFlowClient(server.base_url, KEY, session=session)
            with pytest.raises(ProtocolError):
                client.sessions.get(CHAT, SESSION)
        assert other.connections == 0
    assert "authorization" not in session.headers


async def test_nor_through_a_session_of_the_caller_async() -> None:
    with WireServer(said({})) as other:
        async with aiohttp.ClientSession() as session:
            with WireServer(status(302, b"", ("Location", other.base_url))) as server:
                client = AsyncRAGFlowClient(server.base_url, KEY, session=session)
                with pytest.raises(ProtocolError):
                    await client.sessions.get(CHAT, SESSION)
                await session.close()
        assert other.connections == 0
