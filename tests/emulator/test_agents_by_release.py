"""What agents do on some releases and not on others, as a client meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator.store import Agent
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api

QUESTION = "When is the boiler serviced?"
WITH_EVENTS = [version for version in RELEASES if parts(version) >= (0, 20, 0) and version != "0.22.1"]
OLDEST = [version for version in RELEASES if parts(version) < (0, 20, 0)]
UNKNOWN = "0" * 32


def add(api: Api, **settings: Any) -> str:
    """An agent of the test's own."""
    agent = Agent(title="Own", dataset_ids=[api.server.dataset_id], **settings)
    api.server.store.put(agent)
    return agent.id


def session_of(api: Api, agent: str, **body: Any) -> str:
    return str(api.post(f"/agents/{agent}/sessions", **body)["data"]["id"])


def run(api: Api, agent: str, session: str, question: str = QUESTION, **options: Any) -> list[Any]:
    return api.events(f"/agents/{agent}/completions", question=question, stream=True, session_id=session, **options)


def of_kind(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event != "[DONE]" and event["event"] == kind]


def text(events: list[Any]) -> str:
    return "".join(event["data"]["content"] for event in of_kind(events, "message"))


def state(api: Api, agent: str, session: str) -> dict[str, Any]:
    """What the server keeps of a session, read as the release allows."""
    if api.server.era.agent_new_api:
        return dict(api.get(f"/agents/{agent}/sessions/{session}")["data"])
    return dict(api.get(f"/agents/{agent}/sessions", id=session)["data"][0])


def node(kept: dict[str, Any], name: str) -> dict[str, Any]:
    outputs = kept["dsl"]["components"][name]["obj"]["params"].get("outputs", {})
    return {key: output["value"] for key, output in outputs.items()}


@pytest.mark.parametrize("version", WITH_EVENTS)
def test_a_form_is_shown_from_0_26_3_on_and_kept_in_the_session_always(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    agent = add(api, asks="topic", greets="Hello! ")
    session = session_of(api, agent)
    events = run(api, agent, session, inputs={"topic": {"value": "given too early"}})
    assert text(events) == "Hello! "
    assert bool(of_kind(events, "user_inputs")) == (parts(version) >= (0, 26, 3))
    kept = state(api, agent, session)
    assert kept["dsl"]["path"] == ["UserFillUp:Ask"]
    assert node(kept, "UserFillUp:Ask") == {"tips": "Please fill up the form"}
    resumed = run(api, agent, session, inputs={"topic": {"value": "boiler"}})
    assert "serviced every October" in text(resumed)
    assert state(api, agent, session)["dsl"]["path"][-1] == "Message:Out"


@pytest.mark.parametrize("version", WITH_EVENTS)
def test_the_session_knows_what_a_model_failed_with(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    session = session_of(api, api.server.agent_id)
    for command, cut in (("[[FAIL401]]", ""), ("[[DROPMID]]", "The boiler")):
        events = run(api, api.server.agent_id, session, f"{QUESTION} {command}")
        assert text(events).startswith(cut)
        assert "October" not in text(events)
        assert [event["data"]["error"] for event in of_kind(events, "node_finished")] == [None] * len(
            of_kind(events, "node_finished")
        )
        kept = state(api, api.server.agent_id, session)
        made = node(kept, "Agent:Main")
        assert made["content"] == {}
        assert made["_ERROR"].startswith("**ERROR**: ")
        assert not kept["errors"]
    assert "October" in text(run(api, api.server.agent_id, session))
    assert node(state(api, api.server.agent_id, session), "Agent:Main")["content"].startswith("The boiler")


@pytest.mark.parametrize("version", WITH_EVENTS)
def test_a_fixed_text_needs_no_model(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    for says in ("We are closed.", ""):
        agent = add(api, says=says)
        events = run(api, agent, session_of(api, agent))
        assert text(events) == says
        assert len(of_kind(events, "message")) == len(of_kind(events, "message_end")) == 1
        assert "Agent:Main" not in [event["data"]["component_id"] for event in of_kind(events, "node_finished")]
        for finished in of_kind(events, "workflow_finished"):
            assert finished["data"]["usage"]["calls"] == 0


@pytest.mark.parametrize("version", WITH_EVENTS)
def test_a_reference_comes_if_the_text_cites_and_from_0_25_1_on_always(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    session = session_of(api, api.server.agent_id)
    for command, cited in (("", True), (" [[NOCITE]]", False), (" [[FAIL500]]", False)):
        end = of_kind(run(api, api.server.agent_id, session, QUESTION + command), "message_end")[0]
        assert bool(end["data"].get("reference")) == (cited or parts(version) >= (0, 25, 1))


@pytest.mark.parametrize(("version", "most"), [("0.20.5", 100), ("0.21.1", 500), ("0.27.0", 500)])
def test_keys_are_hashes_below_100_or_500(serve: Callable[..., Api], version: str, most: int) -> None:
    api = serve(version)
    events = run(api, api.server.agent_id, session_of(api, api.server.agent_id), f"{QUESTION} [[CITEALL]]")
    keys = [int(key) for key in of_kind(events, "message_end")[0]["data"]["reference"]["chunks"]]
    assert all(key < most for key in keys)
    assert all(f"[ID:{key}]" in text(events) for key in keys)


def _listed(api: Api, session: str) -> Any:
    return api.get(f"/agents/{api.server.agent_id}/sessions", id=session, dsl="false")


def test_lists_give_the_last_reference_to_the_first_answer_or_fail(serve: Callable[..., Api]) -> None:
    for version, expected in (
        ("0.24.0", [[], []]),
        ("0.25.1", None),
        ("0.25.6", None),
        ("0.26.0", ["a key", None]),
        ("0.26.4", ["heating.md", None]),
        ("0.27.0", ["heating.md", None]),
    ):
        api = serve(version)
        session = session_of(api, api.server.agent_id)
        run(api, api.server.agent_id, session, "Hello? [[NOCITE]]")
        run(api, api.server.agent_id, session)
        reply = _listed(api, session)
        if expected is None:
            assert reply["message"] == "AttributeError(\"'str' object has no attribute 'get'\")"
            detail = api.get(f"/agents/{api.server.agent_id}/sessions/{session}")["data"]
            assert isinstance(detail["reference"]["chunks"], dict)
            continue
        messages = reply["data"][0].get("messages") or reply["data"][0]["message"]
        answers = [message.get("reference") for message in messages[1:] if message["role"] == "assistant"]
        if expected[0] == "a key":
            assert answers[0][0]["id"] == answers[0][0]["content"]
            assert answers[0][0]["document_name"] is None
        elif expected[0]:
            assert answers[0][0]["document_name"] == expected[0]
            assert "citation_id" in answers[0][0]
        else:
            assert answers == expected
        assert answers[1] == expected[1]


def test_a_session_without_sources_is_listed_where_others_fail(serve: Callable[..., Api]) -> None:
    api = serve("0.25.6")
    session = session_of(api, api.server.agent_id)
    assert _listed(api, session)["code"] == 0
    run(api, api.server.agent_id, session)
    assert _listed(api, session)["code"] == 100


@pytest.mark.parametrize(
    ("version", "listed", "read"),
    [("0.24.0", 102, 404), ("0.25.1", 103, 103), ("0.25.6", 103, 103), ("0.27.0", 103, 103)],
)
def test_sessions_of_an_unknown_agent(serve: Callable[..., Api], version: str, listed: int, read: int) -> None:
    api = serve(version)
    assert api.get(f"/agents/{UNKNOWN}/sessions")["code"] == listed
    assert api.get(f"/agents/{UNKNOWN}/sessions/{UNKNOWN}")["code"] == read
    if parts(version) >= (0, 25, 0):
        assert api.get(f"/agents/{UNKNOWN}")["code"] == 102  # [v0.27.0/08_agent_get_unknown]


@pytest.mark.parametrize(
    ("version", "unknown", "foreign"), [("0.25.1", 100, 0), ("0.25.6", 102, 0), ("0.26.4", 102, 102), ("0.27.0", 102, 102)]
)
def test_reading_a_session(serve: Callable[..., Api], version: str, unknown: int, foreign: int) -> None:
    api = serve(version)
    path = f"/agents/{api.server.agent_id}/sessions"
    assert api.get(f"{path}/{UNKNOWN}")["code"] == unknown
    other = session_of(api, api.server.form_agent_id)
    reply = api.get(f"{path}/{other}")
    assert reply["code"] == foreign
    if not foreign:
        assert reply["data"]["dialog_id"] == api.server.form_agent_id


@pytest.mark.parametrize("version", OLDEST)
def test_old_agents_take_begin_values_as_keys_of_the_body(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    agent = api.server.form_agent_id
    refused = api.post(f"/agents/{agent}/sessions", inputs={"topic": {"value": "boiler"}})
    assert (refused["code"], refused["message"]) == (102, "`topic` with type `line` is required")
    assert api.send("POST", f"/agents/{agent}/completions", json={"question": "x"}).status_code == 500
    session = session_of(api, agent, topic="when the boiler is serviced")
    path = f"/agents/{agent}/completions"
    assert "October" in api.events(path, question="Tell me", session_id=session)[-2]["data"]["answer"]
    later = api.events(path, question="Tell me", session_id=session, topic="garden hose reaches")[-2]["data"]
    assert ("forty metres" if version == "0.19.1" else "October") in later["answer"]  # 0.17.2 keeps the session's values
    assert (later["param"][0]["value"] == "garden hose reaches") == (version == "0.19.1")


@pytest.mark.parametrize("version", OLDEST)
def test_old_agents_say_which_node_runs_and_that_a_model_failed(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    session = session_of(api, api.server.agent_id)
    events = run(api, api.server.agent_id, session)
    assert events[0]["data"] == {"answer": "*'Retrieval_0'* is running...🕞", "running_status": True}
    failed = run(api, api.server.agent_id, session, f"{QUESTION} [[FAIL500]]")
    assert failed[-2]["data"]["answer"].startswith("\n**ERROR**: Error code: 500")
    dropped = run(api, api.server.agent_id, session, f"{QUESTION} [[DROPMID]]")
    assert dropped[-2]["code"] == 500


@pytest.mark.parametrize(
    ("version", "kind", "hides"),
    [
        ("0.24.0", "workflow_finished", False),
        ("0.25.6", "node_finished", True),
        ("0.26.4", "message_end", False),
        ("0.27.0", "message_end", False),
    ],
)
def test_replies_in_one_piece_in_a_session(serve: Callable[..., Api], version: str, kind: str, hides: bool) -> None:
    api = serve(version)
    path = f"/agents/{api.server.agent_id}/completions"
    reply = api.post(path, question=QUESTION, stream=False, session_id=session_of(api, api.server.agent_id))["data"]
    assert reply["event"] == kind
    assert "October" in reply["data"]["content"]
    agent = api.server.form_agent_id
    body = {"question": "x", "stream": False, "session_id": session_of(api, agent)}
    assert (api.post(f"/agents/{agent}/completions", **body)["data"]["event"] == "user_inputs") is not hides
