"""`RAGFlowRetriever`: what it finds, its options, filters, and both modes."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient
from ragflow_integrations.langchain import RAGFlowDatasetNotFoundError, RAGFlowInvalidArgumentError, RAGFlowRetriever
from tests.support.wire import Exchange, WireServer

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator

CONDITION = {"logic": "and", "conditions": [{"name": "team", "comparison_operator": "is", "value": "sales"}]}


@pytest.fixture
def retriever(server: Emulator, where: dict[str, Any]) -> RAGFlowRetriever:
    return RAGFlowRetriever(dataset_ids=[server.dataset_id], **where)


async def test_documents(retriever: RAGFlowRetriever, server: Emulator) -> None:
    found = retriever.invoke("Fjordbike")
    assert found == await retriever.ainvoke("Fjordbike")
    assert len(found) == 8
    for document in found:
        metadata = document.metadata
        assert document.id == metadata["chunk_id"]
        assert metadata["source"] == metadata["document_name"]
        assert metadata["dataset_id"] == server.dataset_id
        assert isinstance(metadata["similarity"], float)
        assert isinstance(metadata["positions"], list)
    assert [item.metadata["similarity"] for item in found] == sorted(
        (item.metadata["similarity"] for item in found), reverse=True
    )
    assert len(retriever.invoke("battery", k=3)) == len(await retriever.ainvoke("battery", k=3)) == 3
    assert "<em>" in retriever.invoke("battery", k=1, highlight=True)[0].metadata["highlight"]
    assert retriever.invoke("battery", similarity_threshold=0.999) == []
    await retriever.aclose()


async def test_names(server: Emulator, where: dict[str, Any]) -> None:
    retriever = RAGFlowRetriever(dataset_names=["Emulator documents"], **where)
    before = len(server.requests)
    for _ in range(2):
        assert retriever.invoke("battery") == await retriever.ainvoke("battery")
    lookups = [record for record in server.requests[before:] if record.method == "GET"]
    assert len(lookups) == 1, "looked up once"
    nobody = RAGFlowRetriever(dataset_names=["nobody"], **where)
    with pytest.raises(RAGFlowDatasetNotFoundError, match="nobody"):
        nobody.invoke("battery")
    for item in (retriever, nobody):
        await item.aclose()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "none was given"),
        ({"dataset_ids": ["a"], "dataset_names": ["b"]}, "not `dataset_ids` and `dataset_names`"),
        ({"dataset_ids": []}, "at least one id"),
        ({"dataset_ids": ["a"], "k": 0}, "`k` must be a whole number above 0"),
        ({"dataset_ids": ["a"], "top": 3}, "Extra inputs"),
    ],
)
def test_wrong_arguments(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RAGFlowRetriever(api_key="key", **fields)


async def test_wrong_options_of_a_search(retriever: RAGFlowRetriever) -> None:
    for options, problem in (
        ({"kk": 1}, "`kk` is no option"),
        ({"k": 0}, "`k` must be"),
        ({"similarity_threshold": 2}, "from 0 to 1"),
    ):
        with pytest.raises(RAGFlowInvalidArgumentError, match=problem):
            retriever.invoke("battery", None, **options)
        with pytest.raises(RAGFlowInvalidArgumentError, match=problem):
            await retriever.ainvoke("battery", None, **options)
    await retriever.aclose()


def test_filters_per_user(server: Emulator, retriever: RAGFlowRetriever) -> None:
    client = retriever._sync
    documents = list(client.documents.list(server.dataset_id))
    one, two = (item.id for item in documents[:2])
    limited = retriever.with_filters(document_ids=[one, two])
    assert limited.client is retriever.client
    assert {item.metadata["document_id"] for item in limited.invoke("Fjordbike")} <= {one, two}
    assert retriever.document_ids is None
    assert limited.with_filters(document_ids=[two, documents[3].id]).document_ids == [two]
    with pytest.raises(ValueError, match="none of the documents"):
        limited.with_filters(document_ids=[documents[3].id])
    retriever.close()


def test_metadata_filters_only_narrow() -> None:
    retriever = RAGFlowRetriever(dataset_ids=["a"], api_key="key")
    sales = retriever.with_filters({"team": "sales"})
    assert sales.metadata_condition == CONDITION
    both = sales.with_filters({"year": 2024})
    assert both.metadata_condition == {
        "logic": "and",
        "conditions": [*CONDITION["conditions"], {"name": "year", "comparison_operator": "is", "value": 2024}],
    }
    either = {"logic": "or", "conditions": [*CONDITION["conditions"]] * 2}
    own = RAGFlowRetriever(dataset_ids=["a"], api_key="key", metadata_condition=either)
    assert own.with_filters({"year": 2024}).metadata_condition == {
        "logic": "and",
        "conditions": [either, {"name": "year", "comparison_operator": "is", "value": 2024}],
    }


def test_everything_asked_for_is_sent() -> None:
    def script(exchange: Exchange) -> None:
        known = {"id": "c", "document_id": "d", "mom_id": ""}
        exchange.reply(json={"code": 0, "data": {"chunks": [known], "doc_aggs": [], "total": 0}})

    options: dict[str, Any] = {
        "document_ids": ["d"],
        "similarity_threshold": 0.1,
        "vector_similarity_weight": 0.4,
        "top_k": 99,
        "rerank_id": "r@X",
        "keyword": True,
        "highlight": True,
        "cross_languages": ["English"],
        "toc_enhance": True,
    }
    with WireServer(script) as server:
        held = RAGFlowRetriever(dataset_ids=["a"], base_url=server.base_url, api_key="key", **options)
        held.invoke("q")
        plain = RAGFlowRetriever(dataset_ids=["a"], base_url=server.base_url, api_key="key")
        plain.invoke("q", **options)
        held.invoke("q", None, **dict.fromkeys(options))
        held.close()
        plain.close()
        searches = [request.json for request in server.requests if request.method == "POST"]
    assert searches[0] == searches[1]
    assert {name: searches[0][name] for name in options} == options
    assert set(options) & set(searches[2]) == {"highlight", "document_ids"}  # a filter is not lifted by a call


async def test_asynchronous_searches_use_no_thread(retriever: RAGFlowRetriever) -> None:
    await retriever.ainvoke("battery")
    before = threading.active_count()
    found = await asyncio.gather(*(retriever.ainvoke("Fjordbike", k=number + 1) for number in range(8)))
    assert [len(item) for item in found] == list(range(1, 9))
    assert threading.active_count() == before
    await retriever.aclose()


async def test_sharing_and_copying(server: Emulator) -> None:
    with RAGFlowClient(server.base_url, server.api_key) as client:
        retriever = RAGFlowRetriever(client=client, dataset_ids=[server.dataset_id])
        found = retriever.invoke("battery")
        for twin in (pickle.loads(pickle.dumps(retriever)), copy.deepcopy(retriever)):  # noqa: S301 - our own
            assert twin.invoke("battery") == found
            twin._sync.close()
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as asynchronous:
        retriever = RAGFlowRetriever(client=asynchronous, dataset_ids=[server.dataset_id])
        assert retriever.invoke("battery") == await retriever.ainvoke("battery") == found
        await retriever.aclose()
