"""Refusals and facts that no recording shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api


def test_an_unknown_path_without_a_code(serve: Callable[..., Api]) -> None:
    reply = serve("0.23.1").send("GET", "/nope")
    assert reply.status_code == 404
    assert set(reply.json()) == {"error", "message"}


def test_the_status_says_that_it_is_emulated(serve: Callable[..., Api]) -> None:
    api = serve()
    assert api.get("/system/status")["data"]["doc_engine"]["version_comment"] == "not RAGFlow"
    assert api.get("/language")["data"] == {"language": "python"}


@pytest.mark.parametrize(("version", "status", "code"), [("0.22.1", 200, 401), ("0.24.0", 200, 0)])
def test_the_old_version_route_with_a_key(serve: Callable[..., Api], version: str, status: int, code: int) -> None:
    api = serve(version)
    reply = api.http.get(f"{api.server.base_url}/v1/system/version", timeout=5)
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.parametrize(("version", "accepted"), [("0.24.0", False), ("0.25.3", True), ("0.27.0", True)])
def test_a_key_without_bearer(serve: Callable[..., Api], version: str, *, accepted: bool) -> None:
    api = serve(version)
    api.http.headers["Authorization"] = api.server.api_key
    reply = api.get("/chats")
    assert ("data" in reply and bool(reply["data"])) == accepted


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/chats/{chat}/sessions", {"name": " "}, 102),
        ("PATCH", "/chats/{chat}/sessions/{session}", {"name": ""}, 102),
        ("PATCH", "/chats/{chat}/sessions/{session}", {"reference": []}, 102),
        ("GET", "/chats/{other}/sessions/{session}", None, 102),
        ("POST", "/chats/{chat}/completions", {"question": "x", "llm_id": "nope"}, 102),
        ("POST", "/chats/{chat}/completions", {"messages": [{"role": "system", "content": "x"}]}, 101),
        ("PATCH", "/chats/{other}", {"name": "Emulator assistant"}, 102),
        ("PATCH", "/chats/{other}", {"llm_id": "nope"}, 102),
        ("POST", "/openai/nope/chat/completions", {"model": "model", "messages": [{"role": "user", "content": "x"}]}, 102),
        ("POST", "/openai/{chat}/chat/completions", {"model": "model", "messages": []}, 102),
        ("GET", "/datasets/nope/documents", None, 102),
        ("POST", "/datasets/{dataset}/chunks", {}, 102),
        ("POST", "/datasets/{dataset}/chunks", {"document_ids": ["x"]}, 102),
        ("DELETE", "/datasets/{dataset}/chunks", {}, 102),
        ("GET", "/datasets/{dataset}/documents/nope/chunks", None, 102),
    ],
)
def test_refusals(serve: Callable[..., Api], method: str, path: str, body: Any, code: int) -> None:
    api = serve()
    server = api.server
    names = {"chat": server.chat_id, "other": api.direct_chat(), "session": api.session(), "dataset": server.dataset_id}
    reply = api.send(method, path.format(**names), json=body).json()
    assert reply["code"] == code, reply


def test_refusals_of_old_servers(serve: Callable[..., Api]) -> None:
    api = serve("0.22.1")
    path = f"/chats/{api.server.chat_id}"
    assert api.post("/chats", name="x", llm={"model_name": "nope"})["message"] == "`model_name` nope doesn't exist"
    assert api.send("PUT", f"{path}/sessions/x", json={"name": "y"}).json()["message"] == "Session does not exist"
    for field in ("chat_id", "tenant_id"):
        reply = api.post(f"{path}/completions", question="x", session_id=api.session(), **{field: "y"})
        assert f"multiple values for argument '{field}'" in reply["message"]


def test_embedded_chats_must_exist(serve: Callable[..., Api]) -> None:
    api = serve()
    api.http.headers["Authorization"] = f"Bearer {api.server.beta_key}"
    assert api.post("/chatbots/nope/completions", question="x")["code"] == 102
    assert api.get("/chatbots/nope/info")["code"] == 102
