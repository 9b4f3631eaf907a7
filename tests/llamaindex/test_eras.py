"""The same content on servers of every kind gives the same."""

from __future__ import annotations

from typing import Any

import pytest

from ragflow_integrations.emulator import Emulator
from ragflow_integrations.llamaindex import RAGFlowChatEngine, RAGFlowRetriever
from tests.support.releases import RELEASES

QUESTION = "Tell me all about the battery range, charging, and winter operation of the bikes."


def _nodes(nodes: list[Any]) -> list[tuple[Any, ...]]:
    return [(node.text, node.score, node.node.metadata["file_name"], "page_label" in node.node.metadata) for node in nodes]


def _everything(version: str) -> dict[str, Any]:
    with Emulator(version=version, delay=0.002) as server:
        engine = RAGFlowChatEngine(base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id)
        whole = engine.chat(QUESTION)
        with engine.stream_chat(QUESTION) as response:
            deltas = list(response.response_gen)
        assert response.metadata is not None
        retriever = RAGFlowRetriever(base_url=server.base_url, api_key=server.api_key, dataset_ids=[server.dataset_id])
        return {
            "deltas": deltas,
            "text": str(response),
            "whole": str(whole),
            "nodes": _nodes(response.source_nodes),
            "citations": [
                {key: citation[key] for key in ("index", "number", "start", "end", "claim_start", "claim_end", "document_name")}
                for citation in response.metadata["citations"]
            ],
            "found": _nodes(retriever.retrieve(QUESTION)),
            "history": [[block.block_type for block in message.blocks] for message in engine.chat_history],
        }


@pytest.fixture(scope="module")
def newest() -> dict[str, Any]:
    return _everything(RELEASES[-1])


@pytest.mark.parametrize("version", RELEASES[:-1])
def test_eras(version: str, newest: dict[str, Any]) -> None:
    assert newest["citations"]
    assert newest["nodes"]
    assert "".join(newest["deltas"]) == newest["text"]
    found = _everything(version)
    if version == "0.17.2":  # it sends no scores with an answer
        found["nodes"] = [
            (node[0], expected[1], *node[2:]) for node, expected in zip(found["nodes"], newest["nodes"], strict=True)
        ]
    assert found == newest
