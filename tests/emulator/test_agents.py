"""Agents: what their runs send, and what they remember."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from ragflow_integrations.emulator import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api

QUESTION = "When is the boiler serviced?"


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


def run(api: Api, question: str = QUESTION, *, form: bool = False, **options: Any) -> list[Any]:
    agent = api.server.form_agent_id if form else api.server.agent_id
    return api.events(f"/agents/{agent}/completions", question=question, stream=True, **options)


def said(events: list[Any]) -> str:
    return "".join(event["data"]["content"] for event in events if event != "[DONE]" and event["event"] == "message")


def names(events: list[Any]) -> list[str]:
    """Event names; repeats count once."""
    listed = [event if event == "[DONE]" else event["event"] for event in events]
    return [name for at, name in enumerate(listed) if listed[at - 1 : at] != [name]]


def test_markers_are_keys_of_the_reference(api: Api) -> None:
    events = run(api)
    reference = next(event["data"]["reference"] for event in events if event != "[DONE]" and event["event"] == "message_end")
    key = next(iter(reference["chunks"]))
    assert said(events) == f"The boiler in the cellar is serviced every October [ID:{key}]."
    assert reference["doc_aggs"]["heating.md"]["count"] == 1


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.20.5", ["message", "message_end", "[DONE]"]),
        ("0.24.0", ["node_finished", "message", "message_end", "node_finished", "[DONE]"]),
        ("0.26.4", ["workflow_started", "node_started", "node_finished", "node_started", "node_finished", "node_started"]),
    ],
)
def test_what_a_run_sends(serve: Callable[..., Api], version: str, expected: list[str]) -> None:
    assert names(run(serve(version)))[: len(expected)] == expected


def test_a_run_without_session_can_be_forgotten(serve: Callable[..., Api]) -> None:
    api = serve("0.25.3")
    events = run(api)
    assert events[-1]["event"] == "workflow_finished"
    assert not any("session_id" in event for event in events)


def test_one_release_cannot_run_agents(serve: Callable[..., Api]) -> None:
    api = serve("0.22.1")
    path = f"/agents/{api.server.agent_id}/completions"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.send("POST", path, json={"question": QUESTION})
    assert "async_generator" in api.post(path, question=QUESTION, stream=False)["message"]


@pytest.mark.parametrize("version", ["0.17.2", "0.19.1"])
def test_the_oldest_agents_answer_like_chats(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    path = f"/agents/{api.server.agent_id}/completions"
    opener = api.events(path, question=QUESTION)[0]["data"]
    assert opener["answer"] == "Hi! I am the emulator's agent."
    events = api.events(path, question=QUESTION, session_id=opener["session_id"])
    assert "serviced every October" in events[-2]["data"]["answer"]
    assert events[-2]["data"]["reference"]["total"] == 1
    assert events[-1]["data"] is True
    assert api.post(path, question="x", session_id="y")["code"] == 102


def test_a_run_pauses_for_the_user_and_goes_on(api: Api) -> None:
    paused = run(api, "Tell me", form=True)
    asked = paused[-2]
    assert asked["event"] == "user_inputs"
    assert list(asked["data"]["inputs"]) == ["topic"]
    inputs = {"topic": {"type": "line", "value": "when the boiler is serviced"}}
    events = run(api, "", form=True, session_id=asked["session_id"], inputs=inputs)
    assert "serviced every October" in said(events)
    assert said(run(api, "Tell me", form=True, inputs={"topic": "boiler serviced"})) == ""  # nothing asked for it yet
    reply = api.post(f"/agents/{api.server.form_agent_id}/completions", question="x", stream=False)
    assert reply["data"]["event"] == "user_inputs"


def test_reasoning_stands_between_flags(api: Api) -> None:
    events = [event["data"] for event in run(api, "Think: boiler?") if event != "[DONE]" and event["event"] == "message"]
    assert events[0]["start_to_think"] is True
    assert sum("end_to_think" in event for event in events) == 1


def test_a_failure_says_nothing_and_sticks_until_reset(api: Api) -> None:
    session = api.post(f"/agents/{api.server.agent_id}/sessions")["data"]["id"]
    assert said(run(api, "boiler [[FAIL500]]", session_id=session)) == ""
    events = run(api)
    assert "message" not in names(events)
    assert events[-2]["data"]["error"].startswith("**ERROR**: MAX_RETRIES_EXCEEDED")
    reply = api.post(f"/agents/{api.server.agent_id}/completions", question=QUESTION)["data"]
    assert (reply["event"], reply["data"]["content"]) == ("node_finished", "")
    assert said(run(api, session_id=session)).startswith("The boiler")
    assert "_ERROR" in run(api, session_id=session)[-4]["data"]["outputs"]
    api.post(f"/agents/{api.server.agent_id}/reset")
    assert said(run(api)).startswith("The boiler")


def test_a_fault_fails_the_model(api: Api) -> None:
    api.server.faults = FaultPlan(llm_error="no")
    assert said(run(api)) == ""


def test_an_empty_question_repeats_the_last(api: Api) -> None:
    assert said(run(api)) == said(run(api, ""))


def test_sessions_of_agents(api: Api) -> None:
    path = f"/agents/{api.server.agent_id}/sessions"
    session = api.post(path)["data"]["id"]
    run(api, session_id=session)
    assert [message["role"] for message in api.get(f"{path}/{session}")["data"]["message"]] == [
        "assistant",
        "user",
        "assistant",
    ]
    assert "dsl" in api.get(path)["data"][0]
    assert api.get(f"{path}/x")["code"] == api.get("/agents/x")["code"] == 102
    assert api.send("DELETE", f"{path}/x").json()["code"] == 102
    assert api.send("DELETE", f"{path}/{session}").json()["data"] is True
    other = api.post(path)["data"]["id"]
    assert api.send("DELETE", path, json={"ids": ["x"]}).json()["code"] == 102
    assert api.send("DELETE", path, json={"ids": [other]}).json()["code"] == 0
    assert api.get(path)["total"] == 0


@pytest.mark.parametrize(("version", "code"), [("0.25.3", 103), ("0.27.0", 103)])
def test_unknown_agents_are_refused(serve: Callable[..., Api], version: str, code: int) -> None:
    api = serve(version)
    assert api.post("/agents/nope/completions", question="x")["code"] == code
    assert api.post("/agents/chat/completions", question="x")["code"] == 101


def test_unknown_agents_on_old_servers(serve: Callable[..., Api]) -> None:
    assert serve("0.20.5").send("POST", "/agents/nope/completions", json={"question": "x"}).status_code == 500
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        serve("0.24.0").send("POST", "/agents/nope/completions", json={"question": "x"})


def test_openai_form(api: Api) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}
    path = f"/agents_openai/{api.server.agent_id}/chat/completions"
    whole = api.post(path, **body, stream=False)["choices"][0]["message"]["content"]
    chunks = api.events(path, **body, stream=True)
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks[:-1]) == whole
    named = {"agent_id": api.server.agent_id, "openai-compatible": True, "stream": False}
    assert api.post("/agents/chat/completions", **body, **named)["choices"][0]["message"]["content"] == whole
    assert api.post(path, model="m", messages=[])["code"] == 102
    assert api.post("/agents_openai/x/chat/completions", **body)["code"] == 103


def test_embedded_agents(api: Api) -> None:
    api.http.headers["Authorization"] = f"Bearer {api.server.beta_key}"
    events = api.events(f"/agentbots/{api.server.agent_id}/completions", question=QUESTION)
    assert events[-1]["event"] == "workflow_finished"
    assert api.post("/agentbots/x/completions", question=QUESTION)["code"] == 103
