from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeRelationship, QueryBundle

from ragflow_integrations import AsyncRAGFlowClient, DatasetNotFoundError, InvalidArgumentError
from ragflow_integrations.llamaindex import RAGFlowRetriever
from ragflow_integrations.llamaindex._nodes import node
from ragflow_integrations.models import Chunk
from tests.contract.tape import exporting
from tests.llamaindex.scripted import Scripted
from tests.llamaindex.test_chat_engine import QUESTION

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator


def retriever_of(server: Emulator, **settings: Any) -> RAGFlowRetriever:
    named = {} if "dataset_names" in settings else {"dataset_ids": [server.dataset_id]}
    return RAGFlowRetriever(base_url=server.base_url, api_key=server.api_key, **{**named, **settings})


def test_retrieve(server: Emulator) -> None:
    nodes = retriever_of(server, similarity_top_k=3).retrieve(QUESTION)
    assert len(nodes) == 3
    assert len({found.node.node_id for found in nodes}) == 3
    scores = [found.score for found in nodes]
    assert None not in scores
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    best = nodes[0]
    assert best.node.metadata["file_name"] == best.node.metadata["document_name"] == "charging-stations.md"
    assert best.node.ref_doc_id == best.node.metadata["document_id"]
    assert best.node.relationships[NodeRelationship.SOURCE].metadata == {"file_name": "charging-stations.md"}  # type: ignore[union-attr]  # one
    assert best.node.get_content(MetadataMode.LLM).startswith("file_name: charging-stations.md\n\n")
    assert retriever_of(server).retrieve(QueryBundle(QUESTION))[0].node == best.node


async def test_retrieve_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        retriever = RAGFlowRetriever.from_defaults(client, dataset_names=["Emulator documents"])
        assert await retriever.aretrieve(QUESTION) == retriever_of(server).retrieve(QUESTION)
    assert retriever_of(server, dataset_names=["Emulator documents"]).retrieve(QUESTION)


def test_options(server: Emulator) -> None:
    everything = retriever_of(server).retrieve(QUESTION)
    document = everything[-1].node.ref_doc_id
    only = retriever_of(server, document_ids=[document], highlight=True).retrieve(QUESTION)
    assert {found.node.ref_doc_id for found in only} == {document}
    assert "<em>" in only[0].node.metadata["highlight"]
    strict = retriever_of(server, similarity_threshold=0.6).retrieve(QUESTION)
    assert 0 < len(strict) < len(everything)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset_ids": None},
        {"dataset_names": ["x"], "dataset_ids": ["y"]},
        {"similarity_top_k": 0},
        {"limit": 3},
        {"dataset_ids": "x"},
    ],
)
def test_wrong_arguments(server: Emulator, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        RAGFlowRetriever(base_url=server.base_url, api_key=server.api_key, **{"dataset_ids": ["a"], **wrong})


def test_unknown_datasets(server: Emulator) -> None:
    with pytest.raises(DatasetNotFoundError):
        retriever_of(server, dataset_names=["No such dataset"]).retrieve(QUESTION)
    with pytest.raises(DatasetNotFoundError):
        retriever_of(server, dataset_ids=["00000000000000000000000000000000"]).retrieve(QUESTION)


def test_tracing(server: Emulator) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    with exporting() as exporter:
        nodes = retriever_of(server, callback_manager=CallbackManager([handler]), similarity_top_k=2).retrieve(QUESTION)
        span = exporter.get_finished_spans()[-1]
    assert len(handler.get_event_pairs(CBEventType.RETRIEVE)) == 1
    attributes = dict(span.attributes or {})
    assert attributes["openinference.span.kind"] == "RETRIEVER"
    assert attributes["retrieval.documents.1.document.id"] == nodes[1].node.node_id
    assert server.api_key not in str(attributes)


def test_behind_a_postprocessor(server: Emulator) -> None:
    llm = Scripted("Four hours.")
    engine = RetrieverQueryEngine.from_args(
        retriever_of(server), llm=llm, node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.6)]
    )
    response = engine.query(QUESTION)
    assert str(response) == "Four hours."
    assert response.source_nodes
    assert all((found.score or 0) >= 0.6 for found in response.source_nodes)
    assert "file_name: charging-stations.md" in llm.prompts[0]
    assert "similarity" not in llm.prompts[0]


async def test_under_a_citation_query_engine(server: Emulator) -> None:
    llm = Scripted("A full charge takes four hours [1].")
    engine = CitationQueryEngine.from_args(index=None, llm=llm, retriever=retriever_of(server, similarity_top_k=2))  # type: ignore[arg-type]  # a retriever is enough
    for response in (engine.query(QUESTION), await engine.aquery(QUESTION)):
        assert str(response).endswith("[1].")
        assert response.source_nodes[0].node.get_content().startswith("Source 1:")
        assert response.source_nodes[0].node.metadata["file_name"] == "charging-stations.md"


def test_nodes_of_strange_chunks() -> None:
    bare = node(Chunk(id="", content="A summary of the graph."))
    assert bare.score is None
    assert bare.node.node_id
    assert bare.node.ref_doc_id is None
    assert "file_name" not in bare.node.metadata
    web = node(Chunk(id="w", content="From the web", url="https://example.org", positions=((3, 3, 3, 3, 3),), similarity=0.0))
    assert (web.score, web.node.metadata["url"]) == (0.0, "https://example.org")
    assert "page_label" not in web.node.metadata  # an ordinal is no page
    page = node(Chunk(id="p", positions=((12.0, 70, 540, 60, 80),)))
    assert page.node.metadata["page_label"] == "12"
