"""What each release gets wrong in a search, alone and beside other options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator.store import Dataset, Document
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.emulator.api import Api

CONDITION = {"logic": "and", "conditions": [{"name": "team", "comparison_operator": "contains", "value": "ann"}]}
QUESTION = "boiler cellar garden hose"


def _search(api: Api, **body: Any) -> Any:
    given = {"question": QUESTION, "dataset_ids": [api.server.dataset_id], "similarity_threshold": 0.0, **body}
    return api.post("/retrieval", **given)


def _names(api: Api, **body: Any) -> list[str]:
    return [chunk.get("document_keyword", "") for chunk in _search(api, **body)["data"]["chunks"]]


def _tag(api: Api) -> list[str]:
    """Give one document a team; return the ids of all."""
    documents = api.server.store.all(Document)
    for document in documents:
        document.meta_fields = {"team": "ann", "year": 2020} if document.name == "heating.md" else {"team": "bob"}
        api.server.store.put(document)
    return [document.id for document in documents]


@pytest.mark.parametrize("version", RELEASES)
def test_a_condition_beside_ids_is_dropped(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    ids = _tag(api)
    both = _names(api, document_ids=ids, metadata_condition=CONDITION)
    assert sorted(both) == sorted(_names(api, document_ids=ids))
    assert len(both) > 1


@pytest.mark.parametrize("version", RELEASES)
def test_a_graph_knows_no_filter(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    ids = _tag(api)
    first = _search(api, document_ids=ids[:1], use_kg=True)["data"]["chunks"][0]
    assert not first["document_id"]
    assert "boiler" in first["content"]
    assert "hose" in first["content"]


@pytest.mark.parametrize("version", RELEASES)
def test_thresholds_that_are_dropped(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    ids = _tag(api)
    unlikely = {"question": "boiler xylophone", "similarity_threshold": 0.99}
    assert bool(_names(api, **unlikely, document_ids=ids)) == (version in ("0.19.1", "0.25.1"))
    assert bool(_names(api, **unlikely, vector_similarity_weight=0.0)) == (parts(version) >= (0, 24, 0))
    assert _names(api, **unlikely) == []


@pytest.mark.parametrize(("version", "marked"), [("0.23.1", True), ("0.24.0", False), ("0.27.0", False)])
def test_highlighting_that_is_not_turned_off(serve: Callable[..., Api], version: str, *, marked: bool) -> None:
    api = serve(version)
    assert ("highlight" in _search(api, highlight=False)["data"]["chunks"][0]) == marked
    assert "highlight" not in _search(api, highlight="false")["data"]["chunks"][0]


@pytest.mark.parametrize(("version", "fields"), [("0.25.1", None), ("0.25.3", {"year": 2020}), ("0.27.0", {"year": 2020})])
def test_fields_of_metadata(serve: Callable[..., Api], version: str, fields: dict[str, Any] | None) -> None:
    api = serve(version)
    _tag(api)
    chunks = _search(api, reference_metadata={"include": True, "fields": ["year"]})["data"]["chunks"]
    heating = next(chunk for chunk in chunks if chunk["document_keyword"] == "heating.md")
    assert heating.get("document_metadata") == fields


@pytest.mark.parametrize(("version", "words"), [("0.24.0", "not authorized"), ("0.27.0", "Provider  not found for model nope")])
def test_models_that_do_not_exist(serve: Callable[..., Api], version: str, words: str) -> None:
    refusal = _search(serve(version), rerank_id="nope")
    assert refusal["code"] == 100
    assert words in refusal["message"]


def test_datasets_of_different_models(serve: Callable[..., Api]) -> None:
    api = serve()
    other = Dataset(name="Other", embedding_model="another@Model")
    api.server.store.put(other)
    refusal = _search(api, dataset_ids=[api.server.dataset_id, other.id])
    assert refusal["code"] == 102
    assert "different embedding models" in refusal["message"]


@pytest.mark.parametrize(
    ("version", "size", "pages"),
    [
        ("0.17.2", 40, [40, 40, 40]),
        ("0.19.1", 32, [32, 32, 0]),  # one window
        ("0.19.1", 200, [0, 0, 0]),
        ("0.21.1", 1, [0, 0, 0]),
        ("0.21.1", 64, [0, 0, 0]),
        ("0.21.1", 32, [32, 0, 32]),
        ("0.22.1", 64, [64, 56, 0]),
        ("0.25.1", 100, [100, 20, 0]),
        ("0.27.0", 50, [50, 50, 20]),
    ],
)
def test_pages(serve: Callable[..., Api], tmp_path: Path, version: str, size: int, pages: list[int]) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number}.txt").write_text(f"The boiler number {number}.\n")
    api = serve(version, docs=folder)
    found = [len(_names(api, question="boiler", page=page, page_size=size)) for page in (1, 2, 3)]
    assert found == pages


def test_a_reranked_page_skips_candidates(serve: Callable[..., Api], tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number}.txt").write_text(f"The boiler number {number}.\n")
    for version, total in (("0.25.1", 64 + 20), ("0.26.4", 120)):
        api = serve(version, docs=folder)
        reranked = {"question": "boiler", "rerank_id": "emulated-rerank@Emulator", "page_size": 100}
        assert sum(len(_names(api, **reranked, page=page)) for page in (1, 2)) == total
