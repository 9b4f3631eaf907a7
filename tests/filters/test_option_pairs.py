"""Each row of the table of pairs: what the server does, and what comes of it, on every release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import DocumentNotFoundError, InvalidArgumentError, UnsupportedByServerError
from ragflow_integrations._protocol.compat.pairs import PAIRS
from ragflow_integrations.emulator.store import Dataset
from ragflow_integrations.langchain import RAGFlowRetriever
from tests.filters.documents import COUNT, QUESTION, FilteredServer, document_ids
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _is(name: str, value: object) -> dict[str, Any]:
    return {"name": name, "comparison_operator": "is", "value": value}


def _all(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"logic": "and", "conditions": list(conditions)}


SALES = _all(_is("team", "sales"))


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[FilteredServer]:
    server = FilteredServer(request.param)
    server.set_metadata([{"team": "sales", "year": 2020}, {"team": "hr", "year": 2024}, {"team": "sales"}, {}, {"team": "hr"}])
    yield server
    server.close()


def _found(server: FilteredServer, question: str = QUESTION, **options: Any) -> set[int]:
    given = {"similarity_threshold": 0.0, **options}
    result = server.client.retrieve(question, dataset_ids=[server.emulator.dataset_id], **given)
    return {server.ids.index(key) for key in document_ids(result.chunks)}


def _asked(server: FilteredServer, **options: Any) -> set[int]:
    answer = server.client.ask(QUESTION, chat_id=server.chat_id, **options)
    return {server.ids.index(key) for key in document_ids(answer.reference.chunks)}


def ids_beside_condition_in_a_retrieval(server: FilteredServer) -> None:
    both: dict[str, Any] = {"document_ids": server.ids[:2], "metadata_condition": SALES}
    assert _found(server, **both) == {0}
    limited = RAGFlowRetriever(client=server.client, dataset_ids=[server.emulator.dataset_id], document_ids=server.ids[:2])
    found = limited.with_filters({"team": "sales"}).invoke(QUESTION)
    assert {item.metadata["document_id"] for item in found} == {server.ids[0]}
    with pytest.raises(DocumentNotFoundError, match="no-such-document"):
        _found(server, document_ids=["no-such-document"], metadata_condition=SALES)


def ids_beside_condition_in_a_question(server: FilteredServer) -> None:
    assert _asked(server, document_ids=server.ids[:2], metadata_condition=SALES) == {0}
    assert _asked(server, document_ids=server.ids[1:2], metadata_condition=SALES) == set()


def ids_beside_condition_without_a_session(server: FilteredServer) -> None:
    history = [{"role": "user", "content": QUESTION}]
    both: dict[str, Any] = {"document_ids": server.ids[:2], "metadata_condition": SALES}
    if parts(server.emulator.version) < (0, 27, 0):
        with pytest.raises(UnsupportedByServerError):
            server.client.complete(history, chat_id=server.chat_id, **both)
        return
    answer = server.client.complete(history, chat_id=server.chat_id, **both)
    assert document_ids(answer.reference.chunks) == {server.ids[0]}


def two_conditions(server: FilteredServer) -> None:
    nothing_first = _all(_is("team", "none"), _is("year", 2024))
    assert _found(server, metadata_condition=nothing_first) == set()
    assert _found(server, metadata_condition=_all(_is("team", "sales"), _is("year", 2020))) == {0}
    assert _asked(server, metadata_condition=nothing_first) == set()


def knowledge_graph(server: FilteredServer) -> None:
    for filter_ in ({"document_ids": server.ids[:1]}, {"metadata_condition": SALES}):
        with pytest.raises(UnsupportedByServerError, match="`use_kg` beside"):
            _found(server, use_kg=True, **filter_)
    retriever = RAGFlowRetriever(client=server.client, dataset_ids=[server.emulator.dataset_id], use_kg=True)
    with pytest.raises(UnsupportedByServerError):
        retriever.with_filters({"team": "sales"}).invoke(QUESTION)
    assert _graph_passages(server) == 1


def _graph_passages(server: FilteredServer) -> int:
    result = server.client.retrieve(QUESTION, dataset_ids=[server.emulator.dataset_id], use_kg=True)
    return sum(not chunk.document_id for chunk in result.chunks)


def threshold_beside_ids(server: FilteredServer) -> None:
    beyond: Any = {"question": "harbour with a xylophone", "similarity_threshold": 0.99}
    assert _found(server, document_ids=server.ids, **beyond) == set()
    assert _found(server, document_ids=server.ids, similarity_threshold=0.0) == set(range(COUNT))


def threshold_without_vectors(server: FilteredServer) -> None:
    options: Any = {"question": "harbour with a xylophone", "vector_similarity_weight": 0.0}
    assert _found(server, **options) == set(range(COUNT))
    assert _found(server, **options, similarity_threshold=0.99) == set()


def limit_beside_rerank(server: FilteredServer) -> None:
    assert len(_found(server, rerank_id="emulated-rerank@Emulator", limit=100)) == COUNT


CHECKS: dict[tuple[str, str, str], Callable[[FilteredServer], None]] = {
    ("document_ids", "metadata_condition", "retrieval"): ids_beside_condition_in_a_retrieval,
    ("document_ids", "metadata_condition", "session"): ids_beside_condition_in_a_question,
    ("document_ids", "metadata_condition", "stateless"): ids_beside_condition_without_a_session,
    ("metadata_condition", 'a second condition joined by "and"', "retrieval"): two_conditions,
    ("use_kg", "document_ids", "retrieval"): knowledge_graph,
    ("use_kg", "metadata_condition", "retrieval"): knowledge_graph,
    ("similarity_threshold", "document_ids", "retrieval"): threshold_beside_ids,
    ("similarity_threshold", "vector_similarity_weight=0", "retrieval"): threshold_without_vectors,
    ("limit", "rerank_id", "retrieval"): limit_beside_rerank,
}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.option}-{pair.other}-{pair.route}")
def test_pair(pair: Any, server: FilteredServer) -> None:
    """A row of the table without a check fails here."""
    CHECKS[pair.option, pair.other, pair.route](server)


def test_numbers_compare_as_numbers(server: FilteredServer) -> None:
    """Which 0.27.0 does only with texts, and 0.23.1 only with the stored type."""
    for value in (2020, "2020"):
        assert _found(server, metadata_condition=_all(_is("year", value))) == {0}
        assert _asked(server, metadata_condition=_all(_is("year", value))) == {0}


def test_lists_and_comparisons_of_a_user_filter(server: FilteredServer) -> None:
    retriever = RAGFlowRetriever(client=server.client, dataset_ids=[server.emulator.dataset_id], similarity_threshold=0.0)
    for metadata, expected in (
        ({"team": ["sales", "legal"]}, {0, 2}),
        ({"year": {"$gte": 2021}}, {1}),
        ({"team": {"$ne": "hr"}}, {0, 2}),
        ({"team": {"contains": "ale"}, "year": {"$in": [2020]}}, {0}),
        ({"team": {"$nin": ["sales"]}}, {1, 4}),
    ):
        found = retriever.with_filters(metadata).invoke(QUESTION)
        assert {server.ids.index(item.metadata["document_id"]) for item in found} == expected, metadata


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({}, "at least one field"),
        ({"team": None}, "needs a text"),
        ({"team": {"$regex": "x"}}, "unknown comparisons"),
        ({"": "x"}, "name"),
    ],
)
def test_a_wrong_user_filter(metadata: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        RAGFlowRetriever(dataset_ids=["d"], api_key="key").with_filters(metadata)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"team": "sales"}, "has the keys"),
        ({"logic": "and"}, "no `conditions`"),
        ({"conditions": []}, "at least one condition"),
        ({"logic": "AND", "conditions": [_is("a", "b")]}, '"and" or "or"'),
        ({"conditions": [{"name": "a"}]}, "comparison_operator"),
        ({"conditions": [{"name": "a", "comparison_operator": "~", "value": "b"}]}, "operators are"),
        ({"conditions": [{"name": "a", "comparison_operator": "in", "value": "a,b"}]}, "needs a list"),
        ({"conditions": [{"name": "a", "comparison_operator": "is", "value": ["b"]}]}, "use 'in'"),
        ({"conditions": [{"name": "a", "comparison_operator": "is", "value": float("nan")}]}, "needs a text, a number"),
        ("team is sales", "must be a mapping"),
    ],
)
def test_a_wrong_condition(condition: Any, problem: str, server: FilteredServer) -> None:
    for call in (_found, _asked):
        with pytest.raises(InvalidArgumentError, match=problem):
            call(server, metadata_condition=condition)


def test_an_assistant_that_would_widen_the_filter(server: FilteredServer) -> None:
    """Its knowledge graph, its own metadata filter, its tables."""
    datasets = [server.emulator.dataset_id]
    filters: tuple[dict[str, Any], ...] = ({"document_ids": server.ids[:1]}, {"metadata_condition": SALES})
    chat = server.client.chats.create("With a graph", dataset_ids=datasets, prompt={"use_kg": True})
    for filter_ in filters:
        with pytest.raises(UnsupportedByServerError, match="knowledge graph"):
            server.client.ask(QUESTION, chat_id=chat.id, **filter_)
    server.client.chats.delete([chat.id])
    store = server.emulator.store
    dataset = store.get(Dataset, server.emulator.dataset_id)
    assert dataset is not None
    dataset.parser_config["field_map"] = {"price": "number"}
    store.put(dataset)
    try:
        if parts(server.emulator.version) < (0, 27, 0):
            with pytest.raises(UnsupportedByServerError, match="by SQL"):
                _asked(server, document_ids=server.ids[:1])
        else:
            assert _asked(server, document_ids=server.ids[:1]) == {0}
    finally:
        del dataset.parser_config["field_map"]
        store.put(dataset)
