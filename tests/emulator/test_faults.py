"""What goes wrong on demand."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ragflow_integrations.emulator import FaultPlan
from tests.emulator.api import Api, events_in

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = "When is the boiler serviced? [[LONG=100]]"


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


def stream(api: Api, fault: str | None = None, question: str = QUESTION) -> requests.Response:
    headers = {} if fault is None else {"X-Emulator-Fault": fault}
    path = f"/chats/{api.server.chat_id}/completions"
    return api.send("POST", path, json={"question": question}, headers=headers, stream=True)


def received(reply: requests.Response) -> tuple[str, bool]:
    """What came, and whether the reply was complete."""
    text = b""
    try:
        for block in reply.iter_content(None):
            text += block
    except requests.exceptions.ChunkedEncodingError:
        return text.decode(), False
    return text.decode(), True


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_is_cut_after_some_events(api: Api, count: int) -> None:
    text, complete = received(stream(api, f"cut-after={count}"))
    assert not complete
    assert len(events_in(text)) == count


def test_a_reply_is_cut_in_its_middle(api: Api) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.send("GET", "/chats", headers={"X-Emulator-Fault": "cut-after=0"})


def test_a_stream_stalls(api: Api) -> None:
    began = time.monotonic()
    text, complete = received(stream(api, "stall-after=2; stall-seconds=0.2"))
    assert complete
    assert events_in(text)[-1]["data"] is True
    assert time.monotonic() - began >= 0.2


def test_a_reply_stalls(api: Api) -> None:
    with pytest.raises(requests.exceptions.ReadTimeout):
        api.http.get(f"{api.server.base_url}/api/v1/chats", headers={"X-Emulator-Fault": "stall-after=0"}, timeout=0.2)


@pytest.mark.parametrize("retry_after", [None, 7])
def test_too_many_requests(api: Api, retry_after: int | None) -> None:
    api.server.faults = FaultPlan(status=429, retry_after=retry_after, times=1)
    first, second = api.send("GET", "/chats"), api.send("GET", "/chats")
    assert (first.status_code, second.status_code) == (429, 200)
    assert first.headers.get("retry-after") == (None if retry_after is None else "7")


def test_a_proxy_answers_with_a_page(api: Api) -> None:
    api.server.faults = FaultPlan(status=502)
    for _ in range(2):
        reply = api.send("GET", "/datasets")
        assert reply.status_code == 502
        assert reply.headers["content-type"].startswith("text/html")
        assert "502 Bad Gateway" in reply.text
    api.server.faults = FaultPlan()
    assert api.send("GET", "/datasets").status_code == 200


def test_the_model_fails(api: Api) -> None:
    api.server.faults = FaultPlan(llm_error="no money left")
    events = api.ask(QUESTION)
    assert events[0]["answer"] == "**ERROR**: GENERIC_ERROR - no money left"
    assert events[-1]["final"] is True


def test_the_server_fails(api: Api) -> None:
    text, complete = received(stream(api, "error-after=1"))
    events = events_in(text)
    assert complete
    assert [event["code"] for event in events] == [0, 500, 0]
    assert events[-1]["data"] is True


def test_bytes_that_are_no_event(api: Api) -> None:
    reply = stream(api, "garbage-after=1")
    frames = reply.content.split(b"\n\n")
    assert json.loads(frames[0].removeprefix(b"data:"))["code"] == 0
    with pytest.raises(UnicodeDecodeError):
        frames[1].decode()


def test_small_writes_change_nothing(api: Api) -> None:
    reply = stream(api, "split=5", question="东京塔有多高")
    blocks = (
        list(reply.raw.stream(None, decode_content=True))
        if not reply.raw.supports_chunked_reads()
        else list(reply.raw.read_chunked())
    )
    assert max(map(len, blocks)) == 5
    said = "".join(event["data"]["answer"] for event in events_in(b"".join(blocks).decode())[:-1])
    assert "三百三十三米" in said


def test_a_bad_header_is_refused(api: Api) -> None:
    reply = api.send("GET", "/chats", headers={"X-Emulator-Fault": "explode=1"})
    assert reply.status_code == 400
    assert "Unknown fault explode" in reply.json()["message"]


def test_only_some_paths(serve: Callable[..., Api]) -> None:
    api = serve(faults=FaultPlan(status=503, path="/retrieval"))
    assert api.send("GET", "/chats").status_code == 200
    assert api.send("POST", "/retrieval", json={}).status_code == 503


def test_every_reply_says_what_it_is_from(api: Api) -> None:
    replies: list[Any] = [
        api.send("GET", "/chats"),
        api.send("GET", "/nope"),
        stream(api, "cut-after=0"),
        stream(api, "status=502"),
    ]
    for reply in replies:
        assert reply.headers["x-emulator"] == "ragflow-integrations emulator, not RAGFlow"
        reply.close()
