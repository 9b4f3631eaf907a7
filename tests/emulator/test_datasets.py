"""Datasets, documents, chunks and retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api

PAGE = "<html><body><h1>Attic</h1><p>The attic window is 80 cm wide.</p><script>x</script></body></html>"


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


def upload(api: Api, dataset: str, *files: tuple[str, str]) -> Any:
    parts = [("file", (name, text.encode())) for name, text in files]
    return api.send("POST", f"/datasets/{dataset}/documents", files=parts).json()


@pytest.mark.parametrize("version", ["0.17.2", "0.22.1", "0.25.6", "0.27.0"])
def test_from_upload_to_retrieval(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    dataset = api.post("/datasets", name="house")["data"]["id"]
    uploaded = upload(api, dataset, ("attic.html", PAGE), ("note.txt", "A note."), ("note.txt", "Another."))["data"]
    assert [one["name"] for one in uploaded] == ["attic.html", "note.txt", "note(1).txt"]
    assert {one["run"] for one in uploaded} == {"UNSTART"}
    ids = [one["id"] for one in uploaded]
    assert api.post(f"/datasets/{dataset}/chunks", document_ids=ids)["code"] == 0

    def runs() -> set[tuple[str, float]]:
        return {(one["run"], one["progress"]) for one in api.get(f"/datasets/{dataset}/documents")["data"]["docs"]}

    assert runs() == {("RUNNING", 0.1)}
    assert runs() == {("DONE", 1.0)}
    chunks = api.get(f"/datasets/{dataset}/documents/{ids[0]}/chunks")["data"]
    assert [chunk["content"] for chunk in chunks["chunks"]] == ["# Attic\n\nThe attic window is 80 cm wide."]
    found = api.post("/retrieval", question="How wide is the attic?", dataset_ids=[dataset])["data"]
    assert [chunk["document_keyword"] for chunk in found["chunks"]] == ["attic.html"]
    assert found["doc_aggs"] == [{"doc_name": "attic.html", "doc_id": ids[0], "count": 1}]


def test_retrieval_finds_what_is_still_being_parsed(api: Api) -> None:
    dataset = api.post("/datasets", name="house")["data"]["id"]
    document = upload(api, dataset, ("attic.html", PAGE))["data"][0]["id"]
    api.post(f"/datasets/{dataset}/documents/parse", document_ids=[document])
    assert api.post("/retrieval", question="attic", dataset_ids=[dataset])["data"]["total"] == 1


def test_parsing_can_be_stopped(api: Api) -> None:
    dataset = api.post("/datasets", name="house")["data"]["id"]
    document = upload(api, dataset, ("attic.html", PAGE))["data"][0]["id"]
    path = f"/datasets/{dataset}/chunks"
    assert api.send("DELETE", path, json={"document_ids": [document]}).json()["code"] == 102
    api.post(path, document_ids=[document])
    assert api.send("DELETE", path, json={"document_ids": [document]}).json()["code"] == 0
    for _ in range(2):
        assert api.get(f"/datasets/{dataset}/documents")["data"]["docs"][0]["run"] == "CANCEL"
    assert api.send("DELETE", path, json={"document_ids": ["x"]}).json()["message"] == "You don't own the document x."


def test_documents_are_filtered_changed_downloaded_and_deleted(api: Api) -> None:
    path = f"/datasets/{api.server.dataset_id}/documents"
    listed = api.get(path, keywords="HEAT")["data"]
    assert [one["name"] for one in listed["docs"]] == ["heating.md"]
    document = listed["docs"][0]["id"]
    assert api.get(path, run="UNSTART")["data"]["total"] == 0
    assert api.get(path, name="x")["message"] == "You don't own the document x."
    assert api.send("GET", f"{path}/{document}").content.startswith(b"# Heating")
    changed = api.send("PATCH", f"{path}/{document}", json={"name": "warm.md", "meta_fields": {"a": 1}, "enabled": False})
    assert (changed.json()["data"]["name"], changed.json()["data"]["meta_fields"]) == ("warm.md", {"a": 1})
    assert api.post("/retrieval", question="boiler", dataset_ids=[api.server.dataset_id])["data"]["total"] == 0
    assert api.send("PATCH", f"{path}/{document}", json={"meta_fields": []}).json()["code"] == 102
    assert api.send("DELETE", path, json={"ids": [document]}).json()["data"] == {"deleted": 1}
    assert api.send("DELETE", path, json={"ids": [document]}).json()["code"] == 102
    assert api.send("GET", f"{path}/{document}").json()["code"] == 102
    assert api.get(path)["data"]["total"] == 2


@pytest.mark.parametrize("files", [{}, {"other": ("a.txt", b"x")}])
def test_an_upload_needs_a_file(api: Api, files: Any) -> None:
    reply = api.send("POST", f"/datasets/{api.server.dataset_id}/documents", files=files)
    assert reply.json() == {"code": 101, "message": "No file part!"}


def test_chunks_are_added_changed_and_deleted(api: Api) -> None:
    document = api.get(f"/datasets/{api.server.dataset_id}/documents")["data"]["docs"][0]
    path = f"/datasets/{api.server.dataset_id}/documents/{document['id']}/chunks"
    chunk = api.post(path, content="Zebras sleep.", important_keywords=["stripes"], questions=["Who?"])["data"]["chunk"]
    found = api.post("/retrieval", question="stripes", dataset_ids=[api.server.dataset_id])["data"]["chunks"]
    assert [one["id"] for one in found] == [chunk["id"]]
    assert api.get(path)["data"]["chunks"][0]["id"] == chunk["id"]
    assert api.get(path, id=chunk["id"], keywords="ZEBRA")["data"]["total"] == 1
    assert api.get(path, id="nope")["code"] == 102
    assert api.send("PATCH", f"{path}/{chunk['id']}", json={"content": "Lions sleep."}).json() == {"code": 0}
    assert api.get(f"{path}/{chunk['id']}")["data"]["content"] == "Lions sleep."
    assert api.send("DELETE", path, json={"chunk_ids": [chunk["id"], "x"]}).json()["code"] == 102
    assert api.get(f"{path}/{chunk['id']}")["code"] == 102


def test_datasets_are_changed_listed_and_deleted(api: Api) -> None:
    dataset = api.post("/datasets", name="a", parser_config={"chunk_token_num": 64})["data"]
    assert dataset["parser_config"]["chunk_token_num"] == 64
    assert api.send("PUT", f"/datasets/{dataset['id']}", json={"name": "b"}).json()["data"]["name"] == "b"
    assert api.send("PUT", "/datasets/x", json={"name": "b"}).json()["code"] == 102
    assert api.get("/datasets", id=dataset["id"])["total_datasets"] == 1
    assert api.send("DELETE", "/datasets", json={}).json()["code"] == 101
    assert api.send("DELETE", "/datasets", json={"ids": None}).json()["data"] == {"success_count": 2}


@pytest.mark.parametrize(
    "body", [{}, {"name": 5}, {"name": "x" * 129}, {"name": "x", "chunk_method": "y"}, {"name": "x", "nme": "y"}]
)
def test_bad_datasets_are_named_field_by_field(api: Api, body: dict[str, Any]) -> None:
    reply = api.post("/datasets", **body)
    assert reply["code"] == 101
    assert reply["message"].startswith("Field: <")


def test_unknown_parameters_are_refused(serve: Callable[..., Api]) -> None:
    assert serve("0.27.0").get("/datasets", nme="x")["code"] == 101
    assert serve("0.17.2").get("/datasets", nme="x")["code"] == 0


@pytest.mark.parametrize(
    ("version", "unknown_name", "unknown_id"),
    [("0.17.2", 102, 102), ("0.19.1", 108, 101), ("0.24.0", 108, 101), ("0.26.0", 102, 101), ("0.26.4", 102, 102)],
)
def test_unknown_datasets(serve: Callable[..., Api], version: str, unknown_name: int, unknown_id: int) -> None:
    api = serve(version)
    assert api.get("/datasets", name="nope")["code"] == unknown_name
    assert api.get("/datasets", id="0" * 32)["code"] == unknown_id


# Retrieval


def test_retrieval_pages_and_thresholds(api: Api) -> None:
    body = {"question": "boiler cellar garden hose apples", "dataset_ids": [api.server.dataset_id]}
    whole = api.post("/retrieval", **body)["data"]
    assert whole["total"] == 2
    similarities = [chunk["similarity"] for chunk in whole["chunks"]]
    assert similarities == sorted(similarities, reverse=True)
    second = api.post("/retrieval", **body, page=2, page_size=1)["data"]
    assert [chunk["id"] for chunk in second["chunks"]] == [whole["chunks"][1]["id"]]
    assert api.post("/retrieval", **body, similarity_threshold=0.99)["data"]["total"] == 0
    assert api.post("/retrieval", **body, page_size=101)["code"] == 100
    assert api.post("/retrieval", **body, top_k=0)["code"] == 102
    assert api.post("/retrieval", **body, highlight="yes")["code"] == 102
    assert api.post("/retrieval", question="x", dataset_ids="x")["code"] == 102
    assert api.post("/retrieval", **body, document_ids="x")["code"] == 102


@pytest.mark.parametrize(("version", "marked"), [("0.22.1", True), ("0.24.0", False)])
def test_highlighting_is_the_default_on_old_servers(serve: Callable[..., Api], version: str, *, marked: bool) -> None:
    api = serve(version)
    body = {"question": "boilers", "dataset_ids": [api.server.dataset_id]}
    assert ("highlight" in api.post("/retrieval", **body)["data"]["chunks"][0]) == marked
    chunk = api.post("/retrieval", **body, highlight=True)["data"]["chunks"][0]
    assert "<em>boiler</em>" in chunk["highlight"]


@pytest.mark.parametrize(
    ("version", "matching", "other"), [("0.17.2", 2, 2), ("0.22.1", 1, 2), ("0.24.0", 0, 0), ("0.25.3", 1, 0)]
)
def test_metadata_conditions(serve: Callable[..., Api], version: str, matching: int, other: int) -> None:
    api = serve(version)
    path = f"/datasets/{api.server.dataset_id}/documents"
    heating = next(one for one in api.get(path)["data"]["docs"] if one["name"] == "heating.md")
    api.send("PUT", f"{path}/{heating['id']}", json={"meta_fields": {"author": "Ann"}})

    def total(author: str) -> Any:
        condition = {"logic": "and", "conditions": [{"name": "author", "comparison_operator": "is", "value": author}]}
        body = {"question": "boiler cellar garden hose", "dataset_ids": [api.server.dataset_id]}
        return api.post("/retrieval", **body, metadata_condition=condition)["data"]["total"]

    assert (total("Ann"), total("Bob")) == (matching, other)


def test_metadata_of_hits_on_request(api: Api) -> None:
    body = {"question": "boiler", "dataset_ids": [api.server.dataset_id], "include_metadata": True}
    assert api.post("/retrieval", **body)["data"]["chunks"][0]["document_metadata"] == {}


def test_dify_and_related_questions(api: Api) -> None:
    body = {"knowledge_id": api.server.dataset_id, "query": "boiler", "retrieval_setting": {"top_k": 1}}
    assert [record["title"] for record in api.post("/dify/retrieval", **body)["records"]] == ["heating.md"]
    assert api.post("/dify/retrieval", knowledge_id="x", query="y")["code"] == 404
    for path in ("/sessions/related_questions", "/chat/recommendation"):
        related = api.post(path, question="boiler")["data"]
        assert related
        assert all(question.endswith("?") for question in related)
    assert api.post("/chat/recommendation")["code"] == 102
