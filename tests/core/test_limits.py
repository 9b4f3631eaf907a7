"""Limits of a retrieval: as many chunks as asked for, best first, none twice, on every release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ragflow_integrations import RAGFlowClient, UnsupportedByServerError
from ragflow_integrations.emulator import Emulator
from tests.support.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 135
QUESTION = "Which harbour has a lighthouse?"


@pytest.fixture(scope="module", params=RELEASES)
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder: Path = tmp_path_factory.mktemp("docs")
    for number in range(COUNT):
        extra = " lighthouse" * (number % 7)
        (folder / f"{number}.txt").write_text(f"Harbour {number} of the coast.{extra}\n")
    with Emulator(docs=folder, version=request.param) as emulator:
        yield emulator


@pytest.mark.parametrize("rerank_id", [None, "emulated-rerank@Emulator"])
@pytest.mark.parametrize("limit", [1, 2, 8, 30, 63, 64, 100, 120, 200])
def test_limit(limit: int, rerank_id: str | None, emulator: Emulator) -> None:
    with RAGFlowClient(emulator.base_url, emulator.api_key) as client:
        dataset_ids = [emulator.dataset_id]

        def search() -> list[tuple[str, float]]:
            result = client.retrieve(
                QUESTION, dataset_ids=dataset_ids, limit=limit, similarity_threshold=0.0, rerank_id=rerank_id
            )
            return [(chunk.id, chunk.similarity or 0.0) for chunk in result.chunks]

        most = {"0.19.1": 128, "0.20.5": 128, "0.21.1": 63}.get(emulator.version, 10_000)
        if limit > most:
            with pytest.raises(UnsupportedByServerError, match="`limit` above"):
                search()
            return
        found = search()
    assert len({key for key, _ in found}) == len(found) == min(limit, COUNT)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
