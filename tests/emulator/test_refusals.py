"""What a release refuses about datasets, documents and chunks, and what it does all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator.store import new_id
from ragflow_integrations.emulator.text import count_tokens
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api

NOBODY = "0" * 32


def upload(api: Api, dataset: str, *files: tuple[str, bytes]) -> Any:
    return api.send("POST", f"/datasets/{dataset}/documents", files=[("file", file) for file in files]).json()


def uploaded(api: Api, *files: tuple[str, bytes]) -> list[str]:
    """Upload files to the dataset that the emulator comes with; return the ids of the documents."""
    return [document["id"] for document in upload(api, api.server.dataset_id, *files)["data"]]


def delete(api: Api, path: str, **body: Any) -> Any:
    return api.send("DELETE", path, json=body).json()


# -------------------------------------------------------------------------------------------------------------------- unknown


@pytest.mark.parametrize("version", RELEASES)
def test_an_upload_to_an_unknown_dataset(serve: Callable[..., Api], version: str) -> None:
    reply = upload(serve(version), NOBODY, ("a.txt", b"a"))
    message = f"Can't find the dataset with ID {NOBODY}!"
    if parts(version) < (0, 25, 0):
        assert reply == {"code": 100, "data": None, "message": repr(LookupError(message))}
    else:
        assert reply == {"code": 102, "message": message}


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ("0.17.2", 100, "AttributeError"),
        ("0.19.1", 404, "Chunk not found"),
        ("0.24.0", 404, "Chunk not found"),
        ("0.25.1", 102, "Chunk not found"),
        ("0.27.0", 102, "Chunk not found"),
    ],
)
def test_a_list_with_the_id_of_an_unknown_chunk(serve: Callable[..., Api], version: str, code: int, words: str) -> None:
    api = serve(version)
    [document] = uploaded(api, ("a.txt", b"a"))
    reply = api.send("GET", f"/datasets/{api.server.dataset_id}/documents/{document}/chunks", params={"id": "x"})
    assert (reply.status_code, reply.json()["code"]) == (200, code)
    assert words in reply.json()["message"]


def test_the_oldest_release_looks_no_chunk_without_an_image_up(serve: Callable[..., Api]) -> None:
    for version, code in (("0.17.2", 100), ("0.19.1", 0)):
        api = serve(version)
        [document] = uploaded(api, ("a.txt", b"a"))
        path = f"/datasets/{api.server.dataset_id}/documents/{document}/chunks"
        chunk = api.post(path, content="A fact.")["data"]["chunk"]["id"]
        reply = api.get(path, id=chunk)
        assert reply["code"] == code
        assert (reply.get("message") == "KeyError('img_id')") == bool(code)


# -------------------------------------------------------------------------------------------------------------------- deletes


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ("0.17.2", 102, "You don't own the dataset"),
        ("0.19.1", 101, "Invalid UUID1 format"),
        ("0.24.0", 101, "Invalid UUID1 format"),
        ("0.26.0", 101, "Invalid UUID1 format"),
        ("0.27.0", 101, "Invalid UUID format"),
    ],
)
def test_a_delete_of_a_dataset_whose_id_is_none(serve: Callable[..., Api], version: str, code: int, words: str) -> None:
    reply = delete(serve(version), "/datasets", ids=["abc"])
    assert reply["code"] == code
    assert words in reply["message"]


@pytest.mark.parametrize("version", RELEASES)
def test_a_delete_of_known_and_unknown_datasets(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    known = api.post("/datasets", name="house")["data"]["id"]
    reply = delete(api, "/datasets", ids=[known, new_id()])
    kept = known in [dataset["id"] for dataset in api.get("/datasets")["data"]]
    if parts(version) < (0, 19, 0):
        assert (reply["code"], reply["data"]["success_count"], kept) == (0, 1, False)
    else:
        assert (reply["code"], kept) == (108 if parts(version) < (0, 25, 0) else 102, True)


@pytest.mark.parametrize("version", RELEASES)
def test_a_delete_of_known_and_unknown_documents(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    first, last = uploaded(api, ("a.txt", b"a"), ("b.txt", b"b"))
    path = f"/datasets/{api.server.dataset_id}/documents"
    reply = delete(api, path, ids=[first, NOBODY, last])
    left = {document["id"] for document in api.get(path)["data"]["docs"]} & {first, last}
    assert reply["code"] == 102
    if parts(version) < (0, 18, 0):
        assert (reply["message"], left) == ("Document not found!", {last})
    elif parts(version) < (0, 25, 2):
        assert (reply["message"], left) == (f"Documents not found: ['{NOBODY}']", set())
    else:
        assert left == {first, last}
        assert f"do not belong to dataset {api.server.dataset_id}" in reply["message"]


@pytest.mark.parametrize(("version", "code"), [("0.17.2", 0), ("0.25.1", 0), ("0.25.3", 102), ("0.27.0", 102)])
def test_a_delete_of_a_document_of_another_dataset(serve: Callable[..., Api], version: str, code: int) -> None:
    api = serve(version)
    other = api.post("/datasets", name="house")["data"]["id"]
    [document] = [one["id"] for one in upload(api, other, ("a.txt", b"a"))["data"]]
    assert delete(api, f"/datasets/{api.server.dataset_id}/documents", ids=[document])["code"] == code
    left = [one["id"] for one in api.get(f"/datasets/{other}/documents")["data"]["docs"]]
    assert left == ([document] if code else [])


@pytest.mark.parametrize(("version", "left"), [("0.17.2", 1), ("0.19.1", 0), ("0.27.0", 0)])
def test_a_delete_of_known_and_unknown_sessions_and_chats(serve: Callable[..., Api], version: str, left: int) -> None:
    api = serve(version)
    sessions = [api.session(), api.session()]
    path = f"/chats/{api.server.chat_id}/sessions"
    delete(api, path, ids=[sessions[0], NOBODY, sessions[1]])
    assert len(api.get(path)["data"]) == left
    chats = [api.post("/chats", name=name, dataset_ids=[api.server.dataset_id])["data"]["id"] for name in "ab"]
    delete(api, "/chats", ids=[chats[0], NOBODY, chats[1]])
    listed = api.get("/chats")["data"]
    listed = listed["chats"] if isinstance(listed, dict) else listed
    assert len({chat["id"] for chat in listed} & set(chats)) == left


# ------------------------------------------------------------------------------------------------------- uploads and downloads


@pytest.mark.parametrize("version", RELEASES)
def test_unsupported_files_are_refused_and_the_others_stored(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    reply = upload(api, api.server.dataset_id, ("ok1.txt", b"one"), ("bad.xyz", b"bad"), ("README", b"none"))
    unsupported = "This type of file has not been supported yet!"
    assert (reply["code"], reply["message"]) == (500, f"bad.xyz: {unsupported}\nREADME: {unsupported}")
    if parts(version) >= (0, 26, 3):
        assert [document["name"] for document in reply["data"]] == ["ok1.txt"]
    else:
        assert "data" not in reply
    names = [document["name"] for document in api.get(f"/datasets/{api.server.dataset_id}/documents")["data"]["docs"]]
    assert names[0] == "ok1.txt"
    assert not {"bad.xyz", "README"} & set(names)


@pytest.mark.parametrize(
    ("version", "name", "code"),
    [
        ("0.17.2", "book.jsonl", 500),
        ("0.20.5", "book.jsonl", 0),
        ("0.20.5", "mail.msg", 500),
        ("0.21.1", "mail.msg", 0),
        ("0.22.1", "page.mdx", 500),
        ("0.23.1", "page.mdx", 0),
        ("0.24.0", "book.epub", 500),
        ("0.25.1", "book.epub", 0),
        ("0.26.4", "picture.bmp", 500),
        ("0.27.0", "picture.bmp", 0),
        ("0.17.2", "ü" * 123 + ".txt", 0),
        ("0.17.2", "x" * 124 + ".txt", 500),
        ("0.19.1", "x" * 251 + ".txt", 0),
        ("0.19.1", "x" * 252 + ".txt", 101),
        ("0.27.0", "ü" * 126 + ".txt", 101),
        ("0.24.0", "broken.pdf", 500),
        ("0.25.1", "broken.pdf", 0),
    ],
)
def test_what_each_release_takes(serve: Callable[..., Api], version: str, name: str, code: int) -> None:
    api = serve(version)
    reply = upload(api, api.server.dataset_id, ("before.txt", b"x"), (name, b"x"))
    assert reply["code"] == code
    listed = api.get(f"/datasets/{api.server.dataset_id}/documents")["data"]["docs"]
    # Only a name that is too long keeps the other file out.
    assert ("before.txt" in [document["name"] for document in listed]) == (code != 101)


def test_a_broken_pdf_fails_when_it_is_parsed(serve: Callable[..., Api]) -> None:
    api = serve()
    [document] = uploaded(api, ("broken.pdf", b"no PDF"))
    path = f"/datasets/{api.server.dataset_id}"
    api.post(f"{path}/chunks", document_ids=[document])
    api.get(f"{path}/documents")
    seen = api.get(f"{path}/documents", id=document)["data"]["docs"][0]
    assert (seen["run"], seen["progress"], seen["chunk_count"]) == ("FAIL", -1.0, 0)
    assert "Is this really a PDF?" in seen["progress_msg"]


def test_downloads(serve: Callable[..., Api]) -> None:
    api = serve()
    path = f"/datasets/{api.server.dataset_id}/documents"
    refusal = b'{"code":102,"message":"x"}'
    json_file, empty, quoted = uploaded(api, ("j.json", refusal), ("empty.txt", b""), ('quo"ted.txt', b"text"))
    reply = api.send("GET", f"{path}/{json_file}")
    assert (reply.content, reply.headers["content-type"]) == (refusal, "application/json")
    assert reply.headers["content-disposition"] == "attachment; filename=j.json"
    reply = api.send("GET", f"{path}/{empty}")
    assert reply.json() == {"code": 102, "message": "This file is empty."}
    assert "content-disposition" not in reply.headers
    assert api.get(path, id=quoted)["data"]["docs"][0]["name"] == 'quo"ted.txt'


# --------------------------------------------------------------------------------------------------------------------- parsing


@pytest.mark.parametrize("version", RELEASES)
def test_parsing_of_known_and_unknown_documents(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    first, last = uploaded(api, ("a.txt", b"a"), ("b.txt", b"b"))
    path = f"/datasets/{api.server.dataset_id}"
    reply = api.post(f"{path}/chunks", document_ids=[first, NOBODY, last])
    assert reply["code"] == 102
    runs = {document["id"]: document["run"] for document in api.get(f"{path}/documents")["data"]["docs"]}
    assert runs[first] == "RUNNING"
    old = parts(version) < (0, 18, 0)
    assert runs[last] == ("UNSTART" if old else "RUNNING")
    assert reply["message"] == (f"You don't own the document {NOBODY}." if old else f"Documents not found: ['{NOBODY}']")


@pytest.mark.parametrize(("version", "again"), [("0.17.2", 102), ("0.19.1", 0), ("0.27.0", 0)])
def test_parsing_a_document_again(serve: Callable[..., Api], version: str, again: int) -> None:
    api = serve(version)
    [document] = uploaded(api, ("a.txt", b"a"))
    path = f"/datasets/{api.server.dataset_id}"
    assert api.post(f"{path}/chunks", document_ids=[document])["code"] == 0
    running = api.post(f"{path}/chunks", document_ids=[document])
    assert running["code"] == 102
    assert ("currently being processed" in running["message"]) == (not again)
    api.get(f"{path}/documents")
    assert api.get(f"{path}/documents", id=document)["data"]["docs"][0]["run"] == "DONE"
    assert api.post(f"{path}/chunks", document_ids=[document])["code"] == again


# --------------------------------------------------------------------------------------------------------- names and settings


@pytest.mark.parametrize("version", RELEASES)
def test_a_dataset_whose_name_is_taken(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    first = api.post("/datasets", name="house")
    second = api.post("/datasets", name="house")
    other = api.post("/datasets", name="garden")["data"]["id"]
    if parts(version) < (0, 19, 0):
        assert (second["code"], second["message"]) == (102, "Duplicated dataset name in creating dataset.")
    elif parts(version) < (0, 22, 0):
        assert (second["code"], second["message"]) == (103, "Dataset name 'house' already exists")
    else:
        assert second["data"]["name"] == "house(1)"
    assert api.send("PUT", f"/datasets/{other}", json={"name": "house"}).json()["code"] == 102
    assert api.send("PUT", f"/datasets/{first['data']['id']}", json={"name": "house"}).json()["code"] == 0


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ("0.17.2", 102, "`embedding_model` nope@X doesn't exist"),
        ("0.19.1", 101, "Unsupported model: <nope@X>"),
        ("0.24.0", 101, "Unsupported model: <nope@X>"),
        ("0.25.6", 102, "Unsupported model: <nope@X>"),
        ("0.27.0", 102, "Provider X not found for model nope."),
    ],
)
def test_unknown_embedding_models(serve: Callable[..., Api], version: str, code: int, words: str) -> None:
    api = serve(version)
    reply = api.post("/datasets", name="house", embedding_model="nope@X")
    assert (reply["code"], reply["message"]) == (code, words)
    dataset = api.post("/datasets", name="house", embedding_model="emulated-embedding-2@Emulator")["data"]
    assert dataset["embedding_model"] == "emulated-embedding-2@Emulator"
    path = f"/datasets/{dataset['id']}"
    assert api.send("PUT", path, json={"embedding_model": "nope@X"}).json()["message"] == words
    assert api.send("PUT", path, json={"embedding_model": "emulated-embedding@Emulator"}).json()["code"] == 0
    if parts(version) >= (0, 19, 0):
        assert api.post("/datasets", name="garden", embedding_model="nope")["code"] == 101


@pytest.mark.parametrize("version", RELEASES)
def test_models_that_do_not_fit(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    filled = f"/datasets/{api.server.dataset_id}"
    second = "emulated-embedding-2@Emulator"
    changed = api.send("PUT", filled, json={"embedding_model": second}).json()
    assert changed["code"] == 102
    words = "is not changeable" if parts(version) < (0, 19, 0) else "embedding_model must remain emulated-embedding@Emulator"
    assert words in changed["message"]
    other = api.post("/datasets", name="house", embedding_model=second)["data"]["id"]
    [document] = [one["id"] for one in upload(api, other, ("a.txt", b"A fact."))["data"]]
    api.post(f"/datasets/{other}/chunks", document_ids=[document])
    mixed = api.post("/chats", name="mixed", dataset_ids=[api.server.dataset_id, other])
    assert mixed["code"] == (109 if parts(version) < (0, 25, 0) else 102)
    assert "Datasets use different embedding models" in mixed["message"]
    old = parts(version) < (0, 25, 0)
    rerank: dict[str, Any] = {"prompt": {"rerank_model": "nope"}} if old else {"rerank_id": "nope"}
    ranked = api.post("/chats", name="ranked", dataset_ids=[other], **rerank)
    assert (ranked["code"], ranked["message"]) == (102, f"`{'rerank_model' if old else 'rerank_id'}` nope doesn't exist")


@pytest.mark.parametrize("version", RELEASES)
def test_document_settings_that_are_refused(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    first, _ = uploaded(api, ("a.txt", b"a"), ("b.txt", b"b"))
    path = f"/datasets/{api.server.dataset_id}/documents/{first}"

    def change(**settings: Any) -> int:
        return int(api.send("PUT", path, json=settings).json()["code"])

    assert change(name="a.md") == 101
    assert change(name="b.txt") == 102
    assert change(name="c.txt") == 0
    assert change(name="x" * 252 + ".txt") == (101 if parts(version) >= (0, 19, 1) else 0)
    nested = 102 if parts(version) >= (0, 25, 0) else 0
    assert change(meta_fields={"a": {"b": 1}}) == nested
    assert change(meta_fields={"a": [{"b": 1}]}) == nested
    assert change(meta_fields={"a": None}) == nested
    assert change(meta_fields=["a"]) == 102
    assert change(meta_fields={"a": 1, "b": "x", "c": [1, "x"]}) == 0


# --------------------------------------------------------------------------------------------------------------------- chunks


def test_the_same_text_twice_is_one_chunk(serve: Callable[..., Api]) -> None:
    api = serve()
    [document] = uploaded(api, ("a.txt", b"a"))
    path = f"/datasets/{api.server.dataset_id}/documents/{document}/chunks"
    made = [api.post(path, content=text)["data"]["chunk"]["id"] for text in ("A fact.", "Another.", "A fact.")]
    assert made[0] == made[2] != made[1]
    assert sorted(chunk["id"] for chunk in api.get(path)["data"]["chunks"]) == sorted(made[:2])


def test_a_long_text_with_single_newlines_is_split(serve: Callable[..., Api]) -> None:
    api = serve()
    lines = [f"Line {number} tells how the pump of house {number} is serviced" for number in range(3000)]
    [document] = uploaded(api, ("book.txt", "\n".join(lines).encode()))
    path = f"/datasets/{api.server.dataset_id}"
    api.post(f"{path}/chunks", document_ids=[document])
    seen = api.get(f"{path}/documents/{document}/chunks", page_size=100)["data"]
    assert seen["total"] > 100
    assert all(count_tokens(chunk["content"]) <= 512 for chunk in seen["chunks"])
    assert seen["chunks"][0]["content"].split("\n") == lines[: seen["chunks"][0]["content"].count("\n") + 1]


def test_chunks_found_by_keywords_show_the_highlight(serve: Callable[..., Api]) -> None:
    api = serve()
    [document] = uploaded(api, ("a.txt", b"a"))
    path = f"/datasets/{api.server.dataset_id}/documents/{document}/chunks"
    api.post(path, content="The cellar Pump drains 40 litres.")
    [chunk] = api.get(path, keywords="pump")["data"]["chunks"]
    assert "<em>pump</em>" in chunk["content"]
    assert "Pump" not in chunk["content"]
