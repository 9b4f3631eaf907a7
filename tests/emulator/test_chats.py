"""Chats, sessions and turns: what a reply by itself does not show."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator.store import Document
from tests.support.leaks import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api

QUESTION = "When is the boiler serviced?"
SENTENCE = "The boiler in the cellar is serviced every October"


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


def history(api: Api, session: str, chat_id: str | None = None) -> Any:
    listed = api.get(f"/chats/{chat_id or api.server.chat_id}/sessions", id=session)["data"]
    return listed[0]


# Answers


def test_an_answer_quotes_and_cites(api: Api) -> None:
    events = api.ask(QUESTION)
    assert "".join(event["answer"] for event in events) == f"{SENTENCE} [ID:0]."
    assert events[-1]["reference"]["chunks"][0]["document_name"] == "heating.md"
    assert events[-1]["reference"]["doc_aggs"][0]["doc_name"] == "heating.md"


def test_old_servers_repeat_the_whole_answer(serve: Callable[..., Api]) -> None:
    api = serve("0.17.2")
    answers = [event["answer"] for event in api.ask(f"{QUESTION} [[LONG=60]]", session_id=api.session())]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(answers))
    assert answers[-1].startswith(f"{SENTENCE} ##0$$.")


@pytest.mark.parametrize("version", ["0.22.1", "0.24.0", "0.25.6", "0.26.4", "0.27.0"])
def test_chinese_is_found(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    events = api.ask("东京塔有多高", session_id=api.session())
    assert "三百三十三米" in "".join(event["answer"] for event in events)
    assert events[-1]["reference"]["chunks"][0]["document_name"] == "tower.html"


@pytest.mark.parametrize(
    ("version", "texts"),
    [("0.22.1", 1), ("0.23.1", 2), ("0.24.0", 1), ("0.26.0", 1), ("0.26.4", 2), ("0.27.0", 2)],
)
def test_nothing_found_is_said_once_or_twice(serve: Callable[..., Api], version: str, texts: int) -> None:
    api = serve(version)
    events = api.ask("zzqq xylophone wombat", session_id=api.session())
    assert [event["answer"] for event in events] == ["Sorry! No relevant content was found in the knowledge base!"] * texts


def test_the_empty_response_is_escaped(api: Api) -> None:
    api.send("PATCH", f"/chats/{api.server.chat_id}", json={"prompt_config": {"empty_response": "<b>no</b>"}})
    assert api.ask("zzqq")[-1]["answer"] == "&lt;b&gt;no&lt;/b&gt;"


@pytest.mark.parametrize(
    ("version", "streamed", "at_once"),
    [("0.17.2", True, True), ("0.23.1", True, True), ("0.24.0", False, True), ("0.25.6", True, True), ("0.27.0", False, True)],
)
def test_the_server_inserts_markers(serve: Callable[..., Api], version: str, *, streamed: bool, at_once: bool) -> None:
    api = serve(version)
    question = f"{QUESTION} [[NOCITE]]"
    said = api.ask(question, session_id=api.session())
    whole = api.post(f"/chats/{api.server.chat_id}/completions", question=question, session_id=api.session(), stream=False)[
        "data"
    ]["answer"]
    marked = ("[ID:0]", "##0$$")
    assert any(mark in event["answer"] for event in said for mark in marked) == streamed
    assert any(mark in whole for mark in marked) == at_once


def test_documents_can_be_chosen(api: Api) -> None:
    garden = next(document.id for document in api.server.store.all(Document) if document.name == "garden.txt")
    events = api.ask("boiler cellar garden hose", doc_ids=garden)
    assert {chunk["document_name"] for chunk in events[-1]["reference"]["chunks"]} == {"garden.txt"}


def test_metadata_filters_turns_on_old_servers(serve: Callable[..., Api]) -> None:
    api = serve("0.24.0")
    condition = {"logic": "and", "conditions": [{"name": "a", "comparison_operator": "is", "value": "b"}]}
    assert api.ask(QUESTION, session_id=api.session(), metadata_condition=condition)[-1]["answer"].startswith("Sorry!")


def test_more_datasets_for_one_turn(serve: Callable[..., Api]) -> None:
    api = serve("0.22.1")
    chat_id = api.direct_chat()
    path = f"/chats/{chat_id}/completions"
    body = {"question": QUESTION, "session_id": api.session(chat_id), "kb_ids": [api.server.dataset_id]}
    assert SENTENCE in api.events(path, **body)[-2]["data"]["answer"]


def test_reasoning_is_flagged_or_inline(serve: Callable[..., Api]) -> None:
    new, old = serve("0.27.0"), serve("0.22.1")
    flags = [
        next((flag for flag in ("start_to_think", "end_to_think") if event.get(flag)), None)
        for event in new.ask("Think: boiler?")
    ]
    assert flags[0] == "start_to_think"
    assert "end_to_think" in flags
    assert old.ask("Think: boiler?", session_id=old.session())[-1]["answer"].startswith("<think>The user asks")


def test_reasoning_before_retrieval(api: Api) -> None:
    events = api.ask(QUESTION, reasoning=2)
    assert [bool(event.get("start_to_think")) for event in events[:2]] == [True, False]
    assert events[1]["end_to_think"] is True
    assert SENTENCE in "".join(event["answer"] for event in events)


def test_metadata_of_documents_on_request(api: Api) -> None:
    heating = next(document for document in api.server.store.all(Document) if document.name == "heating.md")
    path = f"/datasets/{api.server.dataset_id}/documents/{heating.id}"
    assert api.send("PUT", path, json={"meta_fields": {"author": "Ann"}}).json()["code"] == 0
    body = {"model": "model", "messages": [{"role": "user", "content": QUESTION}]}
    extra = {"reference": True, "reference_metadata": {"include": True}}
    message = api.post(f"/openai/{api.server.chat_id}/chat/completions", **body, extra_body=extra)["choices"][0]["message"]
    assert message["reference"][0]["document_metadata"] == {"author": "Ann"}


def test_a_talk_without_chat(api: Api) -> None:
    reply = api.post("/chat/completions", question="hello", stream=False)
    assert reply["data"]["answer"] == "Echo: hello"
    assert reply["data"]["session_id"] == ""
    assert api.post("/chat/completions", question="x", session_id="s")["code"] == 102


# History


@pytest.mark.parametrize(
    ("version", "carriers"),
    [
        ("0.17.2", [None, 1, 1]),
        ("0.19.1", [None, None, None]),
        ("0.20.5", [0, 1, 1]),
        ("0.22.1", [0, 1, 1]),
        ("0.23.1", [1, 1, None]),
        ("0.24.0", [1, 1, None]),
    ],
)
def test_references_in_old_histories(serve: Callable[..., Api], version: str, carriers: list[int | None]) -> None:
    """How many chunks the opener and two answers carry; None where the key is missing."""
    api = serve(version)
    session = api.session()
    for _ in range(2):
        api.ask(QUESTION, session_id=session)
    messages = [message for message in history(api, session)["messages"] if message["role"] == "assistant"]
    assert [len(message["reference"]) if "reference" in message else None for message in messages] == carriers


def test_references_stand_beside_new_histories(api: Api) -> None:
    session = api.session()
    for _ in range(2):
        api.ask(QUESTION, session_id=session)
    stored = history(api, session)
    assert [message["role"] for message in stored["messages"]] == ["assistant", "user", "assistant", "user", "assistant"]
    assert stored["messages"][1]["id"] == stored["messages"][2]["id"]
    assert [len(reference["chunks"]) for reference in stored["reference"]] == [1, 1]


def test_one_release_overwrites_its_history(serve: Callable[..., Api]) -> None:
    api = serve("0.25.3")
    session = api.session()
    path = f"/chats/{api.server.chat_id}/completions"
    for question in (QUESTION, "What reaches forty metres?"):
        api.events(path, messages=[{"role": "user", "content": question}], session_id=session)
    stored = history(api, session)
    assert [message["content"] for message in stored["messages"]][:1] == ["What reaches forty metres?"]
    assert len(stored["reference"]) == 2


def test_one_release_cuts_replies_that_are_not_streamed(serve: Callable[..., Api]) -> None:
    api = serve("0.25.3")
    body = {"messages": [{"role": "user", "content": f"{QUESTION} [[LONG=60]]"}], "stream": False}
    data = api.post(f"/chats/{api.server.chat_id}/completions", **body)["data"]
    assert data["final"] is False
    assert "w59" not in data["answer"]
    openai = api.post(f"/openai/{api.server.chat_id}/chat/completions", **body, model="model")
    assert "w59" in openai["choices"][0]["message"]["content"]


def test_a_dropped_model_is_stored_only_where_it_is_text(serve: Callable[..., Api]) -> None:
    for version, stored in (("0.22.1", 0), ("0.24.0", 2)):
        api = serve(version)
        session = api.session()
        api.ask(f"{QUESTION} [[DROPMID]]", session_id=session)
        assert len(history(api, session)["messages"]) == 1 + stored


def test_history_can_be_given_and_not_stored(api: Api) -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": QUESTION},
    ]
    path = f"/chats/{api.server.chat_id}/completions"
    options = {"messages": messages, "pass_all_history_messages": True, "store_history_messages": False, "stream": False}
    before = len(api.get(f"/chats/{api.server.chat_id}/sessions")["data"])
    assert api.post(path, **options)["data"]["session_id"] is None
    assert len(api.get(f"/chats/{api.server.chat_id}/sessions")["data"]) == before
    assert api.post(path, question="x", store_history_messages=False)["code"] == 102
    session = api.session()
    api.post(path, messages=messages, pass_all_history_messages=True, session_id=session, stream=False)
    assert [message["content"] for message in history(api, session)["messages"]][:3] == ["first", "x", QUESTION]


def test_of_two_turns_at_once_the_later_wins(api: Api) -> None:
    # As in 13_concurrent_2_session_afterwards of 0.27.0.
    session = api.session()
    slow = threading.Thread(target=api.ask, args=(f"{QUESTION} [[LONG=40]] [[DELAY=0.1]]",), kwargs={"session_id": session})
    slow.start()
    assert wait_until(lambda: api.server.open_streams == 1)
    api.ask("What reaches forty metres?", session_id=session)
    slow.join()
    questions = [message["content"] for message in history(api, session)["messages"] if message["role"] == "user"]
    assert questions == [f"{QUESTION} [[LONG=40]] [[DELAY=0.1]]"]


def test_messages_can_be_deleted_and_rated(api: Api) -> None:
    session = api.session()
    first, second = (api.ask(question, session_id=session)[-1]["id"] for question in (QUESTION, "apples"))
    path = f"/chats/{api.server.chat_id}/sessions/{session}/messages"
    api.send("PUT", f"{path}/{second}/feedback", json={"thumbup": False, "feedback": "wrong"})
    stored = api.send("DELETE", f"{path}/{first}").json()["data"]
    assert [message.get("id") for message in stored["messages"]] == [None, second, second]
    assert (stored["messages"][2]["thumbup"], stored["messages"][2]["feedback"]) == (False, "wrong")
    assert [reference["chunks"][0]["document_name"] for reference in stored["reference"]] == ["garden.txt"]


# Chats and sessions


@pytest.mark.parametrize(("version", "left"), [("0.20.5", 1), ("0.22.1", 0), ("0.24.0", 0), ("0.27.0", 1)])
def test_an_update_may_detach_datasets(serve: Callable[..., Api], version: str, left: int) -> None:
    api = serve(version)
    api.send("PUT", f"/chats/{api.server.chat_id}", json={"name": "renamed"})
    listed = api.get("/chats", id=api.server.chat_id)["data"]
    chat = listed["chats"][0] if isinstance(listed, dict) else listed[0]
    assert len(chat["dataset_ids"] if "dataset_ids" in chat else chat["datasets"]) == left
    assert chat["name"] == "renamed"


@pytest.mark.parametrize("version", ["0.24.0", "0.27.0"])
def test_deleting_nothing_in_particular(serve: Callable[..., Api], version: str) -> None:
    api = serve(version)
    api.session()
    path = f"/chats/{api.server.chat_id}/sessions"
    api.send("DELETE", path, json={})
    assert bool(api.get(path)["data"]) == (version == "0.27.0")
    assert api.send("DELETE", path, json={"delete_all": True}).json()["code"] == 0
    assert api.get(path)["data"] == []


def test_old_and_new_bodies_mean_the_same(serve: Callable[..., Api]) -> None:
    api = serve("0.22.1")
    old = {
        "name": "old",
        "prompt": {"opener": "Hello", "show_quote": False, "top_n": 3, "rerank_model": "emulated-rerank"},
        "avatar": "a",
    }
    new = {
        "name": "new",
        "prompt_config": {"prologue": "Hello", "quote": False},
        "top_n": 3,
        "rerank_id": "emulated-rerank",
        "icon": "a",
    }
    first, second = (api.post("/chats", **body)["data"] for body in (old, new))
    assert first["prompt"] == second["prompt"]
    assert first["avatar"] == second["avatar"] == "a"


def test_pages_and_order(api: Api) -> None:
    for number in range(5):
        api.session(name=f"s{number}")
    path = f"/chats/{api.server.chat_id}/sessions"
    assert [one["name"] for one in api.get(path, page=2, page_size=2)["data"]] == ["s2", "s1"]
    assert [one["name"] for one in api.get(path, desc="false", page_size=2)["data"]] == ["s0", "s1"]
    oldest = api.get(path, desc="false", page_size=1)["data"][0]["id"]
    api.send("PATCH", f"{path}/{oldest}", json={"name": "touched"})
    assert api.get(path, orderby="update_time", page_size=1)["data"][0]["name"] == "touched"
    assert api.get("/chats", page_size=101)["code"] == 100


def test_a_chat_needs_parsed_documents(api: Api) -> None:
    dataset = api.post("/datasets", name="empty")["data"]["id"]
    assert api.post("/chats", name="c", dataset_ids=[dataset])["message"].endswith("doesn't own parsed file")
    assert api.post("/chats", name="c", dataset_ids=["x"])["message"] == "You don't own the dataset x"


def test_chats_are_found_by_words(api: Api) -> None:
    assert api.get("/chats", keywords="ASSIST")["data"]["total"] == 1
    assert api.get("/chats", keywords="zzz")["data"]["total"] == 0


def test_chats_are_deleted_with_their_sessions(api: Api) -> None:
    session = api.session()
    both = {"ids": [api.server.chat_id, "x"]}
    assert api.send("DELETE", "/chats", json=both).json()["data"] == {"success_count": 1, "errors": ["Chat(x) not found."]}
    assert api.get(f"/chats/{api.server.chat_id}/sessions/{session}")["code"] == 109


def test_a_broken_request_is_code_100(api: Api) -> None:
    reply = api.send("POST", f"/openai/{api.server.chat_id}/chat/completions", json={"model": "model", "messages": [5]})
    assert reply.json()["code"] == 100
    assert "AttributeError" in reply.json()["message"]


def test_embedded_pages_need_their_own_key(api: Api) -> None:
    path = f"/chatbots/{api.server.chat_id}/completions"
    assert api.post(path, question=QUESTION)["code"] == 102
    api.http.headers["Authorization"] = f"Bearer {api.server.beta_key}"
    first = api.events(path, question=QUESTION)
    assert first[0]["data"]["answer"].startswith("Hi!")
    second = api.events(path, question=QUESTION, session_id=first[0]["data"]["session_id"])
    assert second[0]["data"]["answer"] == f"{SENTENCE}."
