"""Streams that end within an event, repeat their end, or carry thinking that the LLM wrote itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import Message, ProtocolError, ReasoningDelta, StreamInterruptedError, UnsupportedByServerError
from tests.core.driver import CHAT, SESSION
from tests.support import recordings
from tests.support.sse import event
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.core.conftest import Connect
    from tests.support.exchange import Framing
    from tests.support.wire import Exchange

RECORDED = [
    ("v0.17.2", "03_completion_stream_unicode", "native"),
    ("v0.24.0", "03_completion_stream_thinking", "native"),
    ("v0.27.0", "03_completion_stream_unicode", "native"),
    ("v0.22.1", "05_openai_stream_thinking", "openai"),
    ("v0.27.0", "05_openai_new_stream", "openai"),
]
CALLS: dict[str, Any] = {
    "native": lambda client: client.stream("q", chat_id=CHAT, session_id=SESSION),
    "openai": lambda client: client.stream_complete([Message(role="user", content="q")], chat_id=CHAT),
}


def _sent(body: bytes, framing: Framing, *, broken: bool) -> Any:
    def script(exchange: Exchange) -> None:
        if not exchange.path.endswith("completions"):
            exchange.reply(json={"code": 102, "message": "not told"})
            return
        length = len(body) if framing == "length" else None
        exchange.start_stream(headers=[("Content-Type", "text/event-stream")], framing=framing, length=length)
        exchange.send(body)
        exchange.close() if broken or framing == "close" else exchange.end()

    return script


@pytest.mark.parametrize(("framing", "broken"), [("close", False), ("chunked", False), ("length", False), ("chunked", True)])
@pytest.mark.parametrize("recorded", [row for row in RECORDED if row[1] in recordings.names(row[0])], ids="-".join)
def test_a_stream_cut_anywhere_is_interrupted(
    recorded: tuple[str, str, str], framing: Framing, broken: bool, connect: Connect
) -> None:
    version, name, route = recorded
    body = recordings.load(version, name).body
    end = body.rstrip().rfind(b"data:")  # of the terminator
    step = max(1, end // 40)
    partial = ""
    for at in [*range(1, end, step), *range(max(1, end - 12), end)]:
        with WireServer(_sent(body[:at], framing, broken=broken)) as server:
            driver = connect(server.base_url)
            error = driver.drain(CALLS[route]).error
            driver.shut()
        assert type(error) is StreamInterruptedError, (at, body[max(0, at - 30) : at], error)
        assert error.partial.startswith(partial) or not partial
        partial = error.partial


def test_what_is_no_stream_at_all_is_not_an_interrupted_one(connect: Connect) -> None:
    with WireServer(_sent(b"Welcome to another service", "close", broken=False)) as server:
        assert type(connect(server.base_url).drain(CALLS["native"]).error) is ProtocolError


def _openai(*, reasoning: bool = True, **delta: Any) -> bytes:
    whole = {"content": None, "role": "assistant", **({"reasoning_content": None} if reasoning else {}), **delta}
    return event({"id": "c", "model": "model", "choices": [{"delta": whole, "finish_reason": None, "index": 0}], "usage": None})


def _last(**delta: Any) -> bytes:
    choice = {"delta": {"content": None, **delta}, "finish_reason": "stop", "index": 0}
    return event({"id": "c", "model": "model", "choices": [choice], "usage": None}) + b"data:[DONE]\n\n"


def test_0_17_repeats_the_end_of_an_answer(connect: Connect) -> None:
    """What is repeated is left out; the marker behind it stays [v0.17.2/05_openai_stream_server_inserted_citations_both]."""
    texts = ("It is 20 degrees ", "Celsius.", "lsius. ##0$$")
    pieces = [_openai(reasoning=False, content=text) for text in texts]
    with WireServer(_sent(b"".join(pieces) + _last(), "chunked", broken=False)) as server:
        outcome = connect(server.base_url).drain(CALLS["openai"])
    assert outcome.text == outcome.answer.text == "It is 20 degrees Celsius. [1]"


@pytest.mark.parametrize("final", [True, False], ids=["0.20.5", "0.19.1"])
def test_an_llm_that_writes_its_own_thinking(final: bool, connect: Connect) -> None:
    """The stateless route of 0.18.0–0.23.1: all thinking comes again when its tag is closed, and the text's begin is lost."""
    thought = "The user asks about bikes, so I look for bikes."
    pieces = [
        _openai(content=f"<think>{thought[:20]}"),
        _openai(content=thought[20:40]),
        _openai(reasoning_content=thought),
        _openai(content=" are two"),
        _openai(content=" wheels."),
    ]
    last = _last(final_content=f"<think>{thought}</think>There are two wheels.") if final else _last()
    with WireServer(_sent(b"".join(pieces) + last, "chunked", broken=False)) as server:
        outcome = connect(server.base_url).drain(CALLS["openai"])
    assert "".join(one.text for one in outcome.events if isinstance(one, ReasoningDelta)) == thought
    if final:
        assert outcome.answer.reasoning == thought
        assert outcome.answer.text == outcome.text == "There are two wheels."
    else:
        assert type(outcome.error) is UnsupportedByServerError
        assert outcome.error.since == "0.24.0"
        assert outcome.text == " are two wheels."


def test_reasoning_is_what_was_streamed_to_the_last_blank(connect: Connect) -> None:
    """0.25.0–0.25.6 repeat all of it in the final event, without the blanks at its end."""
    events = [
        {"answer": "", "final": False, "start_to_think": True},
        {"answer": "Let me see. \n", "final": False},
        {"answer": "", "final": False, "end_to_think": True},
        {"answer": "Two.", "final": False},
        {"answer": "<think>Let me see.</think>Two.", "final": True},
    ]
    body = b"".join(event({"code": 0, "data": data}) for data in events) + event({"code": 0, "data": True})
    with WireServer(_sent(body, "chunked", broken=False)) as server:
        outcome = connect(server.base_url).drain(CALLS["native"])
    assert outcome.reasoning == outcome.answer.reasoning == "Let me see. \n"
    assert outcome.answer.text == "Two."
