"""What real releases get wrong in answers, each for the releases that do."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ragflow_integrations.emulator.store import Chat
from tests.emulator.api import Api, events_in
from tests.support.llm import ScriptedModel
from tests.support.releases import RELEASES, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Serve = Callable[..., Api]

QUESTION = "When is the boiler serviced?"
NOTHING = "zzqq xylophone wombat"
SENTENCE = "The boiler in the cellar is serviced every October"
REFERENCE = {"reference": True, "extra_body": {"reference": True}}
NO_REFERENCE = "AttributeError(\"'list' object has no attribute 'get'\")"

SINCE_RESEARCH = [version for version in RELEASES if parts(version) >= (0, 24, 0)]
CUT = [version for version in SINCE_RESEARCH if parts(version) < (0, 27, 0)]
FAILING_REFERENCE = [version for version in RELEASES if (0, 20, 0) <= parts(version) < (0, 24, 0)]


@pytest.fixture
def scripted(serve: Serve) -> Iterator[Callable[..., tuple[ScriptedModel, Api]]]:
    """Starts emulators behind a model that says what the test wants."""
    with ExitStack() as running:

        def start(version: str, *pieces: str) -> tuple[ScriptedModel, Api]:
            model = ScriptedModel(pieces=pieces or ("Fine.",))
            server = running.enter_context(model.serve())
            return model, serve(version, llm_base_url=server.base_url)

        yield start


def change(api: Api, **prompt_config: Any) -> None:
    """Change the assistant's settings."""
    chat = assistant(api)
    chat.prompt_config |= prompt_config
    api.server.store.touch(chat)


def assistant(api: Api) -> Chat:
    chat = api.server.store.get(Chat, api.server.chat_id)
    assert chat is not None
    return chat


def turn(api: Api, question: str = QUESTION, /, **body: Any) -> Any:
    """The reply to a turn that does not stream."""
    session = body.pop("session_id", None) or api.session()
    asked = {"messages": [{"role": "user", "content": question}]} if api.server.version in ("0.25.1", "0.25.3") else {}
    return api.post(
        f"/chats/{api.server.chat_id}/completions",
        **{"question": question, "session_id": session, "stream": False} | asked | body,
    )


def openai(api: Api, question: str = QUESTION, /, **body: Any) -> requests.Response:
    asked = {"model": "model", "messages": [{"role": "user", "content": question}], "stream": False} | body
    return api.send("POST", f"/chats_openai/{api.server.chat_id}/chat/completions", json=asked)


# Deep research


@pytest.mark.parametrize("version", CUT)
@pytest.mark.parametrize("by", ["switch", "request"])
def test_deep_research_is_cut_to_its_first_event_when_not_streamed(serve: Serve, version: str, by: str) -> None:
    api = serve(version)
    session = api.session()
    if by == "switch":
        change(api, reasoning=True)
    data = turn(api, session_id=session, **({"reasoning": True} if by == "request" else {}))["data"]
    assert data["final"] is False
    flagged = parts(version) < (0, 25, 2)
    assert data["answer"] == ("" if flagged else "<retrieving>")
    assert ("start_to_think" in data) == flagged
    stored = api.get(f"/chats/{api.server.chat_id}/sessions", id=session)["data"][0]["messages"]
    assert stored[-1]["content"] == ("<think>" if flagged else "<retrieving>")


@pytest.mark.parametrize("version", CUT)
def test_deep_research_of_the_openai_route_is_cut_too_and_shows_nothing(serve: Serve, version: str) -> None:
    api = serve(version)
    change(api, reasoning=True)
    message = openai(api, **REFERENCE).json()["choices"][0]["message"]
    assert message["content"] == ("" if parts(version) < (0, 25, 2) else "<retrieving>")
    assert message["reference"] == []
    change(api, reasoning=False)
    assert SENTENCE in openai(api, reasoning=True).json()["choices"][0]["message"]["content"]  # the body has no say here


@pytest.mark.parametrize("version", [version for version in RELEASES if version not in CUT])
def test_deep_research_is_whole_elsewhere(serve: Serve, version: str) -> None:
    api = serve(version)
    change(api, reasoning=True)
    assert SENTENCE in turn(api)["data"]["answer"]
    assert SENTENCE in openai(api).json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("version", SINCE_RESEARCH)
def test_streams_of_deep_research_begin_twice_and_end_once(serve: Serve, version: str) -> None:
    api = serve(version)
    change(api, reasoning=True)
    body = {"messages": [{"role": "user", "content": QUESTION}]} if version in ("0.25.1", "0.25.3") else {}
    events = api.ask(QUESTION, session_id=api.session(), **body)
    said = "".join(event["answer"] for event in events)
    begun = sum("start_to_think" in event for event in events) + said.count("<retrieving>")
    ended = sum("end_to_think" in event for event in events) + said.count("</retrieving>")
    assert (begun, ended) == ((1, 1) if version == "0.27.0" else (2, 1))
    assert ("Searching by" in said) == (version != "0.27.0")
    assert SENTENCE in said


def test_old_streams_think_in_front_of_the_text(serve: Serve) -> None:
    api = serve("0.23.1")
    change(api, reasoning=True)
    assert api.ask(QUESTION, session_id=api.session())[-1]["answer"].startswith("<think>Searching by")


# References that are not there


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("why", ["nothing found", "quotes off"])
def test_an_answer_without_references_fails_where_they_are_asked_for(serve: Serve, version: str, why: str) -> None:
    api = serve(version)
    change(api, empty_response="", **({"quote": False} if why == "quotes off" else {}))
    question = NOTHING if why == "nothing found" else QUESTION
    whole = openai(api, question, **REFERENCE).json()
    if version not in FAILING_REFERENCE:
        assert whole["choices"][0]["message"]["content"]
        return
    assert whole == {"code": 100, "data": None, "message": NO_REFERENCE}
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        openai(api, question, **REFERENCE, stream=True)
    assert openai(api, question).json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("version", FAILING_REFERENCE)
def test_the_text_comes_before_the_stream_is_cut(serve: Serve, version: str) -> None:
    api = serve(version)
    change(api, empty_response="")
    path = f"{api.server.base_url}/api/v1/chats_openai/{api.server.chat_id}/chat/completions"
    body = {"model": "model", "messages": [{"role": "user", "content": NOTHING}], **REFERENCE}
    received: list[bytes] = []
    with api.http.post(path, json=body, stream=True, timeout=10) as reply, pytest.raises(requests.RequestException):
        received.extend(reply.iter_content(None))
    events = events_in(b"".join(received).decode())
    assert "".join(event["choices"][0]["delta"]["content"] or "" for event in events) == f"Echo: {NOTHING}"
    assert all(event["choices"][0]["finish_reason"] is None for event in events)


@pytest.mark.parametrize("version", FAILING_REFERENCE)
def test_an_empty_response_has_a_reference_object(serve: Serve, version: str) -> None:
    assert openai(serve(version), NOTHING, **REFERENCE).json()["choices"][0]["message"]["reference"] == []


# Settings, variables, the prompt


@pytest.mark.parametrize("version", ["0.25.1", "0.25.3", "0.25.6", "0.26.4", "0.27.0"])
def test_a_setting_of_zero_beside_a_model(scripted: Callable[..., tuple[ScriptedModel, Api]], version: str) -> None:
    model, api = scripted(version)
    body = {"llm_id": assistant(api).llm_id, "temperature": 0, "top_p": 0.5, "presence_penalty": 0.0, "max_tokens": 5}
    turn(api, **body)
    assert {key: model.asked[-1].get(key) for key in ("temperature", "top_p", "presence_penalty", "max_tokens")} == {
        "temperature": 0 if parts(version) >= (0, 26, 0) else None,
        "top_p": 0.5,
        "presence_penalty": 0.0 if parts(version) >= (0, 26, 0) else None,
        "max_tokens": None,
    }


@pytest.mark.parametrize("version", RELEASES)
def test_a_missing_variable_is_an_error(serve: Serve, version: str) -> None:
    api = serve(version)
    change(api, parameters=[{"key": "knowledge", "optional": False}, {"key": "style", "optional": False}])
    refused = {"code": 100, "data": None, "message": "KeyError('Miss parameter: style')"}
    if version not in ("0.25.1", "0.25.3"):
        assert turn(api) == refused
        assert SENTENCE in turn(api, style="short")["data"]["answer"]
    assert openai(api).json() == refused
    streamed = events_in(openai(api, stream=True).text)
    assert streamed[0]["choices"][0]["delta"]["content"] == "**ERROR**: 'Miss parameter: style'"
    body = {"messages": [{"role": "user", "content": QUESTION}]} if version in ("0.25.1", "0.25.3") else {}
    (event,) = api.ask(QUESTION, session_id=api.session(), **body)
    assert event["answer"] == "**ERROR**: 'Miss parameter: style'"


@pytest.mark.parametrize("version", RELEASES)
def test_the_model_gets_the_prompt_filled_in_and_no_opener(
    scripted: Callable[..., tuple[ScriptedModel, Api]], version: str
) -> None:
    model, api = scripted(version)
    change(
        api,
        system="Be {style}. Knowledge: {knowledge} {left_out}",
        parameters=[{"key": "style", "optional": False}, {"key": "left_out", "optional": True}],
    )
    session = api.session()
    for question in (QUESTION, "And how long is the garden hose?"):
        only_messages = version in ("0.25.1", "0.25.3")
        body = {"messages": [{"role": "user", "content": question}]} if only_messages else {}
        api.ask(question, **{"session_id": session, "style": "brief"} | body)
    system, *said = model.asked[-1]["messages"]
    assert system["content"].startswith("Be brief. Knowledge: \n------\nID: 0\n")
    assert "forty metres" in system["content"]
    assert "{left_out}" not in system["content"]
    roles = [message["role"] for message in said]
    assert roles == (["user"] if version in ("0.25.1", "0.25.3") else ["user", "assistant", "user"])


@pytest.mark.parametrize("version", RELEASES)
def test_a_follow_up_is_searched_for_with_what_it_refers_to(serve: Serve, version: str) -> None:
    api = serve(version)
    history = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "In October."}]
    messages = [*history, {"role": "user", "content": "What is its pressure?"}]
    message = openai(api, messages=messages).json()["choices"][0]["message"]
    assert "one and two bar" in message["content"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "AUTH_ERROR"), (429, "MAX_RETRIES_EXCEEDED"), (500, "MAX_RETRIES_EXCEEDED"), (400, "INVALID_REQUEST")],
)
def test_failures_of_a_model_have_kinds(scripted: Callable[..., tuple[ScriptedModel, Api]], status: int, kind: str) -> None:
    model, api = scripted("0.27.0")
    model.status = status
    assert turn(api)["data"]["answer"].startswith(f"**ERROR**: {kind} - Error code: {status} - ")


# Texts


def test_no_marker_is_inserted_into_code(scripted: Callable[..., tuple[ScriptedModel, Api]]) -> None:
    code = f"```text\n{SENTENCE}.\n```"
    model, api = scripted("0.27.0", f"See:\n\n{code}\n\nThe garden hose reaches forty metres.")
    answer = turn(api, "boiler cellar garden hose")["data"]["answer"]
    assert code in answer
    assert "[ID:" in answer
    assert len(model.asked) == 1


@pytest.mark.parametrize("version", ["0.19.1", *FAILING_REFERENCE])
def test_an_open_tag_of_the_model_is_content_until_it_is_closed(serve: Serve, version: str) -> None:
    api = serve(version)
    events = events_in(openai(api, f"{QUESTION} [[THINKTAG=40]]", **REFERENCE, stream=True).text)[:-1]
    deltas = [event["choices"][0]["delta"] for event in events]
    thought = "inner thoughts here" + "".join(f" t{number}" for number in range(40))
    content = "".join(delta["content"] or "" for delta in deltas)
    assert content.startswith("<think>inner thoughts here t0")
    assert "</think>" not in content
    assert "".join(delta["reasoning_content"] or "" for delta in deltas) == thought
    final = deltas[-1].get("final_content")
    assert (final is None) == (version == "0.19.1")
    assert final is None or final.startswith(f"<think>{thought}</think>{SENTENCE}")


@pytest.mark.parametrize("version", ["0.25.1", "0.25.3"])
def test_messages_have_no_ids_on_some_releases(serve: Serve, version: str) -> None:
    api = serve(version)
    session = api.session()
    events = api.ask(QUESTION, session_id=session, messages=[{"role": "user", "content": QUESTION}])
    assert {event["id"] for event in events} == {None}
    stored = api.get(f"/chats/{api.server.chat_id}/sessions/{session}")["data"]["messages"]
    assert not any(message.get("id") for message in stored)
    api.send("DELETE", f"/chats/{api.server.chat_id}/sessions/{session}/messages/{'0' * 32}")
    assert api.get(f"/chats/{api.server.chat_id}/sessions/{session}")["data"]["messages"] == stored


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_had_no_more_room_says_so(scripted: Callable[..., tuple[ScriptedModel, Api]], *, streamed: bool) -> None:
    model, api = scripted("0.27.0", "One ", "two")
    model.finish_reason = "length"
    said = "".join(event["answer"] for event in api.ask(QUESTION)) if streamed else turn(api)["data"]["answer"]
    assert said.startswith("One two")
    assert "...\nThe answer is truncated by your chosen LLM" in said
    assert model.asked[-1]["stream"] == streamed
