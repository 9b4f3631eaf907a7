"""What both adapters stand on: clients and their twins, assistants by name, chunks and citations as plain data."""

from __future__ import annotations

import asyncio
import json
import pickle
import weakref
from typing import Any

import pytest

from ragflow_integrations import (
    AsyncRAGFlowClient,
    ChatNotFoundError,
    Chunk,
    Citation,
    InvalidArgumentError,
    RAGFlowClient,
    langchain,
    llamaindex,
)
from ragflow_integrations._adapters.clients import ClientPair, shared_by
from ragflow_integrations._adapters.options import QUESTION_OPTIONS
from ragflow_integrations._adapters.plain_data import chunk_metadata, citation_data, citation_spans
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.target import ChatTarget
from ragflow_integrations.models import CompletionOptions, ConnectionOptions, RetrievalOptions
from tests.core.driver import CHAT, KEY
from tests.core.scripts import said
from tests.support.wire import WireServer


def test_a_client_given_is_shared() -> None:
    client = RAGFlowClient("http://h", KEY)
    clients = ClientPair(client)
    assert clients.sync is client
    assert clients.async_ is clients.async_
    assert clients.async_._settings is client._settings
    twin = AsyncRAGFlowClient("http://h", KEY)
    clients = ClientPair(twin)
    assert clients.async_ is twin
    assert clients.sync is clients.sync
    assert clients.sync._settings is twin._settings


def test_a_client_is_made_of_arguments() -> None:
    assert ClientPair(base_url="http://h", api_key=KEY, timeout=3, max_retries=1).sync.timeout.read == 3


def test_wrong_clients() -> None:
    with pytest.raises(InvalidArgumentError, match="excludes"):
        ClientPair(RAGFlowClient("http://h", KEY), base_url="http://h")
    with pytest.raises(InvalidArgumentError, match="must be a RAGFlowClient"):
        ClientPair("http://h")  # type: ignore[arg-type]


def test_an_assistant_is_looked_up_once() -> None:
    with WireServer(said([{"id": CHAT, "name": "house"}])) as server:
        clients = ClientPair(base_url=server.base_url, api_key=KEY)
        target = ChatTarget(chat_name="house")
        assert [run(target.ids(clients.sync)) for _ in range(2)] == [{"chat_id": CHAT}] * 2

        async def ids() -> list[dict[str, str]]:
            async with clients.async_:
                return [await arun(ChatTarget(chat_name="house").ids(clients.async_)) for _ in range(2)]

        assert asyncio.run(ids()) == [{"chat_id": CHAT}] * 2
        assert len(server.requests) == 1  # the twin knows what its client has looked up
        assert run(ChatTarget(chat_id="x").ids(clients.sync)) == {"chat_id": "x"}
        with pytest.raises(ChatNotFoundError):
            run(ChatTarget(chat_name="garden").ids(clients.sync))
        clients.sync.close()


def test_an_assistant_is_named_once() -> None:
    for given in ({}, {"chat_id": "a", "chat_name": "b"}, {"chat_id": ""}, {"chat_name": " "}):
        with pytest.raises(InvalidArgumentError):
            ChatTarget(**given)


def test_both_adapters_offer_every_option_of_the_core() -> None:
    questions = set(QUESTION_OPTIONS)
    assert questions == CompletionOptions.__optional_keys__ - {"agent_steps"}
    assert questions <= set(langchain.ChatRAGFlow.model_fields)
    assert questions | {"stop"} <= llamaindex.QuestionOptions.__optional_keys__ <= llamaindex.EngineOptions.__optional_keys__
    searches = RetrievalOptions.__optional_keys__
    assert searches <= set(langchain.RAGFlowRetriever.model_fields)
    assert searches <= llamaindex.RetrieverOptions.__optional_keys__
    connection = ConnectionOptions.__optional_keys__
    assert connection <= set(langchain.RAGFlowRetriever.model_fields)
    assert connection <= llamaindex.EngineOptions.__optional_keys__ & llamaindex.RetrieverOptions.__optional_keys__


def test_both_adapters_refuse_an_option_that_is_none() -> None:
    client = RAGFlowClient("http://h", KEY)
    for name, problem in (("temprature", "is no option of a question"), ("agent_steps", "gives events")):
        unknown: Any = {name: True}
        with pytest.raises(InvalidArgumentError, match=problem):
            llamaindex.RAGFlowQueryEngine(client, chat_id="c", **unknown)
        with pytest.raises(InvalidArgumentError, match=problem.replace("question", "call")):
            langchain.ChatRAGFlow(client=client, chat_id="c").invoke("q", **unknown)
    unknown = {"kk": 1}
    with pytest.raises(InvalidArgumentError, match="`kk` is no option of a search"):
        llamaindex.RAGFlowRetriever(client, dataset_ids=["d"], **unknown)
    with pytest.raises(InvalidArgumentError, match="`kk` is no option of a search"):
        langchain.RAGFlowRetriever(client=client, dataset_ids=["d"]).invoke("q", **unknown)


def test_what_users_of_a_client_share_dies_with_it() -> None:
    client = RAGFlowClient("http://h", KEY)
    shared, twin = weakref.ref(shared_by(client)), weakref.ref(ClientPair(client).async_)
    assert shared_by(ClientPair(client).async_) is shared()
    assert vars(pickle.loads(pickle.dumps(client))).keys() <= vars(RAGFlowClient("http://h", KEY)).keys()  # noqa: S301 - our own
    del client
    assert (shared(), twin()) == (None, None)


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
