"""No result ever violates a filter: random documents, filters and options, on every release, by every way of asking."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragflow_integrations import UnsupportedByServerError
from ragflow_integrations.langchain import ChatRAGFlow, RAGFlowToolkit
from ragflow_integrations.langchain import RAGFlowRetriever as LangChainRetriever
from ragflow_integrations.llamaindex import RAGFlowChatEngine, RAGFlowToolSpec
from ragflow_integrations.llamaindex import RAGFlowRetriever as LlamaIndexRetriever
from tests.filters.documents import COUNT, QUESTION, FilteredServer, allowed, document_ids
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FIELDS = ("team", "year")
EVERYTHING = {
    "logic": "or",
    "conditions": [{"name": "team", "comparison_operator": operator} for operator in ("empty", "not empty")],
}
VALUES = st.sampled_from(["sales", "Sales", "hr", "", "sal", 2020, 2024, "2020", "2024.5", "2024-05-01", True])
METADATA = st.dictionaries(st.sampled_from(FIELDS), VALUES | st.lists(VALUES, min_size=1, max_size=2), max_size=2)
OPERATORS = (
    "is",
    "not is",
    "=",
    "≠",
    ">",
    "<",
    "≥",
    "≤",
    "contains",
    "not contains",
    "start with",
    "end with",
    "empty",
    "not empty",
)


def _condition(operator: str, name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "comparison_operator": operator, "value": value}


CONDITION = st.builds(_condition, st.sampled_from(OPERATORS), st.sampled_from((*FIELDS, "missing")), VALUES) | st.builds(
    _condition, st.sampled_from(("in", "not in")), st.sampled_from(FIELDS), st.lists(VALUES, min_size=1, max_size=3)
)


def _group(conditions: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"logic": st.sampled_from(("and", "or")), "conditions": st.lists(conditions, min_size=1, max_size=3)}
    )


CONDITIONS = _group(CONDITION) | _group(CONDITION | _group(CONDITION))
SUBSET = st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=COUNT, unique=True)
#: Options that go beside a filter without changing which documents may be found.
BESIDE = st.fixed_dictionaries(
    {},
    optional={
        "similarity_threshold": st.just(0.0),
        "vector_similarity_weight": st.sampled_from((0.0, 0.5)),
        "highlight": st.booleans(),
        "keyword": st.just(False),
        "top_k": st.just(100),
        "rerank_id": st.just("emulated-rerank@Emulator"),
        "use_kg": st.just(False),
    },
)


class Filter(NamedTuple):
    """A filter, and options beside it."""

    metadata: list[dict[str, Any]]
    condition: dict[str, Any] | None
    subset: list[int] | None
    beside: dict[str, Any]


FILTERS = st.builds(
    Filter,
    st.lists(METADATA, min_size=COUNT, max_size=COUNT),
    st.none() | CONDITIONS,
    st.none() | SUBSET,
    BESIDE,
).filter(lambda one: one.condition is not None or one.subset is not None)

#: How often each pair of filter and option was tried, to be shown by `pytest -s`.
TRIED: Counter[str] = Counter()


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[FilteredServer]:
    server = FilteredServer(request.param)
    yield server
    server.close()


def _expected(server: FilteredServer, filter_: Filter) -> set[str]:
    return {
        document_id
        for index, (document_id, metadata) in enumerate(zip(server.ids, filter_.metadata, strict=True))
        if (filter_.subset is None or index in filter_.subset)
        and (filter_.condition is None or allowed(filter_.condition, metadata))
    }


def _options(server: FilteredServer, filter_: Filter) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if filter_.condition is not None:
        options["metadata_condition"] = filter_.condition
    if filter_.subset is not None:
        options["document_ids"] = [server.ids[index] for index in filter_.subset]
    return options


def _core(server: FilteredServer, options: dict[str, Any], beside: dict[str, Any]) -> set[str]:
    datasets = [server.emulator.dataset_id]
    result = server.client.retrieve(QUESTION, dataset_ids=datasets, **{"similarity_threshold": 0.0, **beside, **options})
    assert document_ids(result.documents) <= document_ids(result.chunks), "documents that are not among the results are named"
    return document_ids(result.chunks)


def _core_async(server: FilteredServer, options: dict[str, Any], beside: dict[str, Any]) -> set[str]:
    async def search() -> set[str]:
        async with server.twin as client:
            given = {"similarity_threshold": 0.0, **beside, **options}
            return document_ids((await client.retrieve(QUESTION, dataset_ids=[server.emulator.dataset_id], **given)).chunks)

    return asyncio.run(search())


def _langchain(server: FilteredServer, options: dict[str, Any], beside: dict[str, Any]) -> set[str]:
    """Search with filters of the retriever, of a copy for a user, and of a call, which must find the same."""
    fields: Any = {"similarity_threshold": 0.0, **beside}
    plain = LangChainRetriever(client=server.client, dataset_ids=[server.emulator.dataset_id], **fields)
    own = LangChainRetriever(client=server.client, dataset_ids=[server.emulator.dataset_id], **fields, **options)
    copy = plain if "document_ids" not in options else plain.with_filters(document_ids=options["document_ids"])
    condition = options.get("metadata_condition")
    results = (
        own.invoke(QUESTION),
        plain.invoke(QUESTION, **options),
        copy.invoke(QUESTION, metadata_condition=condition),
        own.invoke(QUESTION, document_ids=server.ids, metadata_condition=EVERYTHING),
    )
    found = [{document.metadata["document_id"] for document in documents} for documents in results]
    assert found[1:-1] == found[:1] * 2
    assert found[-1] <= found[0], "a call widened the filter"
    return found[0]


def _llamaindex(server: FilteredServer, options: dict[str, Any], beside: dict[str, Any]) -> set[str]:
    given: Any = {"similarity_threshold": 0.0, **beside, **options}
    retriever = LlamaIndexRetriever(server.client, dataset_ids=[server.emulator.dataset_id], **given)
    return _of_nodes(retriever.retrieve(QUESTION))


def _langchain_tool(server: FilteredServer, options: dict[str, Any], _: dict[str, Any]) -> set[str]:
    toolkit = RAGFlowToolkit(client=server.client, dataset_ids=[server.emulator.dataset_id], **options)
    (search,) = toolkit.get_tools()
    call: Any = {"type": "tool_call", "id": "1", "name": search.name, "args": {"query": QUESTION}}
    message = search.invoke(call)
    assert all(document.page_content in message.content for document in message.artifact)
    return {document.metadata["document_id"] for document in message.artifact}


def _llamaindex_tool(server: FilteredServer, options: dict[str, Any], _: dict[str, Any]) -> set[str]:
    spec = RAGFlowToolSpec(server.client, dataset_ids=[server.emulator.dataset_id], **options)
    (search,) = spec.to_tool_list()
    return _of_nodes(search(QUESTION).raw_output.source_nodes)


def _of_nodes(nodes: Iterable[Any]) -> set[str]:
    return {node.node.ref_doc_id for node in nodes}


def _session(server: FilteredServer, options: dict[str, Any], _: dict[str, Any]) -> set[str]:
    return document_ids(server.client.ask(QUESTION, chat_id=server.chat_id, **options).reference.chunks)


def _stateless(server: FilteredServer, options: dict[str, Any], _: dict[str, Any]) -> set[str]:
    messages = [{"role": "user", "content": QUESTION}]
    return document_ids(server.client.complete(messages, chat_id=server.chat_id, **options).reference.chunks)


def _chat_model(server: FilteredServer, options: dict[str, Any], _: dict[str, Any]) -> set[str]:
    fields: Any = options
    session_id = server.client.sessions.create(server.chat_id).id
    model = ChatRAGFlow(client=server.client, chat_id=server.chat_id, session_id=session_id, **fields)
    return {chunk["document_id"] for chunk in model.invoke(QUESTION).response_metadata["reference"]["chunks"]}


def _chat_engine(server: FilteredServer, options: dict[str, Any], _: dict[str, Any]) -> set[str]:
    engine = RAGFlowChatEngine(server.client, chat_id=server.chat_id, **options)
    return _of_nodes(engine.chat(QUESTION).source_nodes)


Way: TypeAlias = "Callable[[FilteredServer, dict[str, Any], dict[str, Any]], set[str]]"
SEARCHES = (_core, _core_async, _langchain, _langchain_tool, _llamaindex, _llamaindex_tool)
QUESTIONS = (_session, _stateless, _chat_model, _chat_engine)


def _holds(way: Way, server: FilteredServer, filter_: Filter) -> None:
    server.set_metadata(filter_.metadata)
    options = _options(server, filter_)
    found = way(server, options, filter_.beside)
    expected = _expected(server, filter_)
    assert found <= expected, "a result violates the filter"
    assert found == expected, "a document that fulfils the filter is missing"
    for name in (*filter_.beside, *(("document_ids",) if len(options) > 1 else ())):
        TRIED[f"{' and '.join(sorted(options))} beside {name}"] += 1


LIMITS = settings(max_examples=20, deadline=None)


@pytest.mark.parametrize("way", SEARCHES, ids=lambda way: way.__name__.strip("_"))
@LIMITS
@given(filter_=FILTERS)
def test_of_a_search(way: Way, server: FilteredServer, filter_: Filter) -> None:
    _holds(way, server, filter_)


@pytest.mark.parametrize("way", QUESTIONS, ids=lambda way: way.__name__.strip("_"))
@LIMITS
@given(filter_=FILTERS)
def test_of_a_question(way: Way, server: FilteredServer, filter_: Filter) -> None:
    """Without a session, what a release cannot honour is refused before anything is asked."""
    if way is not _stateless:
        _holds(way, server, filter_)
        return
    try:
        _holds(way, server, filter_)
    except UnsupportedByServerError:
        assert parts(server.emulator.version) < (0, 27, 0)
