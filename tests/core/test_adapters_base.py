"""What both adapters stand on: clients and their twins, assistants by name, chunks and citations as plain data."""

from __future__ import annotations

import asyncio
import json

import pytest

from ragflow_integrations import AsyncRAGFlowClient, ChatNotFoundError, Chunk, Citation, InvalidArgumentError, RAGFlowClient
from ragflow_integrations._adapters import Assistant, Clients, chunk_metadata, citation_data, citation_spans
from tests.core.driver import CHAT, KEY
from tests.core.scripts import said
from tests.support.wire import WireServer


def test_a_client_given_is_shared() -> None:
    client = RAGFlowClient("http://h", KEY)
    clients = Clients(client)
    assert clients.sync is client
    assert clients.asynchronous is clients.asynchronous
    assert clients.asynchronous._settings is client._settings
    twin = AsyncRAGFlowClient("http://h", KEY)
    clients = Clients(twin)
    assert clients.asynchronous is twin
    assert clients.sync is clients.sync
    assert clients.sync._settings is twin._settings


def test_a_client_is_made_of_arguments() -> None:
    assert Clients(base_url="http://h", api_key=KEY, timeout=3, max_retries=1).sync.timeout.read == 3


def test_wrong_clients() -> None:
    with pytest.raises(InvalidArgumentError, match="excludes"):
        Clients(RAGFlowClient("http://h", KEY), base_url="http://h")
    with pytest.raises(InvalidArgumentError, match="must be a RAGFlowClient"):
        Clients("http://h")  # type: ignore[arg-type]


def test_an_assistant_is_looked_up_once() -> None:
    with WireServer(said([{"id": CHAT, "name": "house"}])) as server:
        clients = Clients(base_url=server.base_url, api_key=KEY)
        assistant = Assistant(chat_name="house")
        assert [assistant.resolve(clients) for _ in range(2)] == [CHAT] * 2
        other = Assistant(chat_name="house")

        async def resolve() -> list[str]:
            async with clients.asynchronous:
                return [await other.aresolve(clients) for _ in range(2)]

        assert asyncio.run(resolve()) == [CHAT] * 2
        assert len(server.requests) == 2
        assert Assistant(chat_id="x").resolve(clients) == "x"
        with pytest.raises(ChatNotFoundError):
            Assistant(chat_name="garden").resolve(clients)
        clients.sync.close()


def test_an_assistant_is_named_once() -> None:
    for given in ({}, {"chat_id": "a", "chat_name": "b"}, {"chat_id": ""}, {"chat_name": " "}):
        with pytest.raises(InvalidArgumentError):
            Assistant(**given)


def test_chunks_and_citations_as_data() -> None:
    bare = Chunk(id="c", content="x")
    assert set(chunk_metadata(bare)) == {
        "chunk_id", "document_id", "document_name", "dataset_id", "similarity", "vector_similarity", "term_similarity", "positions",  # noqa: E501 - one row of a table
    }  # fmt: skip
    full = Chunk(
        id="c",
        positions=((1, 2, 3, 4, 5),),
        url="http://u",
        image_id="i",
        doc_type="table",
        highlight="<em>",
        document_metadata={"a": 1},
    )
    described = chunk_metadata(full)
    assert json.loads(json.dumps(described)) == described
    assert described["positions"] == [[1, 2, 3, 4, 5]]
    assert described["document_metadata"] == {"a": 1}
    citation = Citation(index=0, number=1, start=3, end=6, claim_start=0, claim_end=2, chunk=full)
    data = citation_data(citation)
    assert data["number"] == 1
    assert citation_spans([data, {"start": "x"}, "other", {}]) == [(3, 6)]
