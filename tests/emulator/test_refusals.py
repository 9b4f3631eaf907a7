"""What a release refuses about datasets, documents and chunks, and what it does all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator.store import new_id
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
