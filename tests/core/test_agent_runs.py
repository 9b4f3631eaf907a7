"""Runs of agents, event by event: markers that cite nothing, failures that are none, what the session settles."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import (
    AgentStep,
    GenerationError,
    StreamInterruptedError,
    TextDelta,
    UnsupportedByServerError,
)
from ragflow_integrations._protocol.answers.reader import AnswerContext, AnswerReader
from ragflow_integrations._protocol.steps import Request, Subject
from tests.core.driver import AGENT, SESSION
from tests.core.scripts import raw, said
from tests.support.sse import DONE, chunk, event
from tests.support.wire import WireServer, replay_map

if TYPE_CHECKING:
    from tests.core.conftest import Connect
    from tests.core.driver import Outcome
    from tests.support.wire import Exchange, Script

ASKED: dict[str, Any] = {"agent_id": AGENT, "session_id": SESSION}


def told(kind: str, **data: Any) -> bytes:
    return event({"event": kind, "message_id": "m", "session_id": SESSION, "created_at": 1, "task_id": "t", "data": data})


def text(content: str) -> bytes:
    return told("message", content=content)


def finished(component: str, *uses: str, error: str | None = None, **outputs: Any) -> bytes:
    inputs = {f"{name}@content": "x" for name in uses}
    return told("node_finished", component_id=component, inputs=inputs, outputs=outputs, error=error)


def end(*keys: int, **more: Any) -> bytes:
    if not keys:
        return told("message_end", **more)
    chunks = {str(key): chunk(f"Fact {key}.") for key in keys}
    return told("message_end", reference={"chunks": chunks, "doc_aggs": {}}, **more)


def component(kind: str = "Agent", *, inputs: Any = None, tips: str = "", **outputs: Any) -> dict[str, Any]:
    made = {name: {"type": "string", "value": value} for name, value in outputs.items()}
    return {"obj": {"component_name": kind, "params": {"inputs": inputs or {}, "tips": tips, "outputs": made}}}


def kept(components: dict[str, Any] | None = None, *, path: list[str] | None = None, errors: str | None = "") -> Script:
    """A server's answer to the question what it keeps of the session."""
    dsl = {"components": components or {}, "path": path or []}
    return said({"id": SESSION, "dialog_id": AGENT, "errors": errors, "dsl": dsl, "message": []})


def failing(exchange: Exchange) -> None:
    """A server that cannot tell what it keeps."""
    exchange.reply(500, json={"code": 500, "message": "no"})


def drain(
    connect: Connect, script: Script, *, session: Script | None = None, version: str = "v0.27.0", **options: Any
) -> Outcome:
    routes = {("POST", ".*/completions"): script, ("GET", f"/api/v1/agents/{AGENT}/sessions/{SESSION}"): session or kept()}
    with WireServer(replay_map(routes), version=version) as server:
        return connect(server.base_url, max_retries=0).drain(lambda client: client.stream("q", **ASKED, **options))


# --------------------------------------------------------------------------------------------------------------------- markers


def test_a_marker_without_a_source_is_not_shown(connect: Connect) -> None:
    """Seen with 0.27.0: an LLM counts from 0 and repeats keys of earlier turns."""
    pieces = ["First [ID:0]. Second ", "[ID:3", "53][ID:0]. Third [ID:418] and [ID:353].\n```\n[ID:0]\n```\nEnd [ID:7]"]
    stream = raw(*map(text, pieces), end(353, 418), DONE)
    outcome = drain(connect, stream)
    answer = outcome.answer
    assert answer.text == "First. Second [1]. Third [2] and [1].\n```\n[ID:0]\n```\nEnd"
    assert outcome.text == answer.text
    assert [(cited.number, cited.chunk.content) for cited in answer.citations] == [
        (1, "Fact 353."),
        (2, "Fact 418."),
        (1, "Fact 353."),
    ]
    for cited in answer.citations:
        assert answer.text[cited.start : cited.end] == f"[{cited.number}]"
        assert answer.reference.chunks[cited.index] == cited.chunk


@pytest.mark.parametrize("style", ["raw", "none"])
def test_other_styles_leave_or_remove_all_markers(connect: Connect, style: str) -> None:
    outcome = drain(connect, raw(text("First [ID:0]. Second [ID:353]."), end(353), DONE), citation_style=style)
    assert outcome.text == outcome.answer.text
    assert outcome.text == ("First [ID:0]. Second [ID:353]." if style == "raw" else "First. Second.")
    assert [cited.chunk.content for cited in outcome.answer.citations] == ["Fact 353."]


def _key(chunk_id: str) -> int:
    return int(hashlib.sha1(chunk_id.encode(), usedforsecurity=False).hexdigest(), 16) % 500


FOUND = "476cf9518e6d6a6c"  # a chunk of the transcript agent-0.24.0-raw, whose key is 41


def _retrieval() -> bytes:
    assert _key(FOUND) == 41
    row = {"chunk_id": FOUND, "content_with_weight": "The cellar pump.", "doc_id": "d", "docnm_kwd": "pumps.md", "kb_id": "k"}
    shown = "\nID: 41\n├── Title: pumps.md\n└── Content:\nThe cellar pump."
    return finished("Retrieval:KB", formalized_content=shown, json=[row])


def test_text_waits_for_the_sources_of_its_markers_only_if_they_are_unknown() -> None:
    request = Request("POST", "/agents/a/completions", subject=Subject("agent", AGENT))

    def shown(*events: bytes) -> list[str]:
        """What is shown after each event."""
        reader = AnswerReader(AnswerContext("agent", request, session_id=SESSION))
        return ["".join(one.text for one in reader.feed(data) if isinstance(one, TextDelta)) for data in events]

    pieces = [text("Pump [ID:41]. "), text("Runs [ID:0]. "), text("More.")]
    assert shown(_retrieval(), *pieces, end(41)) == ["", "Pump [1].", " Runs", "", ". More."]
    assert shown(*pieces, end(41)) == ["Pump", "", "", " [1]. Runs. More."]


def test_a_source_may_be_known_from_the_retrieval_alone(connect: Connect) -> None:
    """Up to 0.25.0 the reference comes only if the text has a marker of the usual form; LLMs write others."""
    answer = drain(connect, raw(_retrieval(), text("Pump (ID:41)."), end(), DONE), version="v0.24.0").answer
    assert answer.text == "Pump [1]."
    assert [(cited.chunk.id, cited.chunk.document_name) for cited in answer.citations] == [(FOUND, "pumps.md")]
    assert drain(connect, raw(_retrieval(), text("Pump."), end(), DONE)).answer.reference.chunks == ()


def test_text_that_waits_is_kept_when_the_stream_breaks(connect: Connect) -> None:
    broken = drain(connect, raw(text("One [ID:5]. "), text("Two."), end=lambda exchange: exchange.close()))
    assert isinstance(broken.error, StreamInterruptedError)
    assert broken.error.partial == "One. Two."
    ended = drain(connect, raw(text("One [ID:5]. "), text("Two.")))
    assert isinstance(ended.error, StreamInterruptedError)
    assert ended.error.partial == ended.text == "One. Two."


def test_a_reference_of_each_message(connect: Connect) -> None:
    stream = raw(text("One [ID:5]. "), end(5), text("Two [ID:6][ID:5]."), end(5, 6), DONE)
    answer = drain(connect, stream).answer
    assert answer.text == "One [1]. Two [2][1]."
    assert [item.content for item in answer.reference.chunks] == ["Fact 5.", "Fact 6."]


# -------------------------------------------------------------------------------------------------------------------- failures

FAILED = component(content={}, _ERROR="**ERROR**: AUTH_ERROR - bad key")
FINE = component(content="What the LLM said.")


def test_the_session_tells_why_an_llm_failed(connect: Connect) -> None:
    for said_before in ("", "Cut of"):
        stream = raw(text(said_before) if said_before else b"", end(), finished("Message:Out", "Agent:Main"), DONE)
        error = drain(connect, stream, session=kept({"Agent:Main": FAILED})).error
        assert type(error) is GenerationError
        assert (error.kind, error.detail, error.partial) == ("AUTH_ERROR", "bad key", said_before)


def test_a_component_of_an_earlier_turn_has_not_failed(connect: Connect) -> None:
    """After a form, a message uses what was written before it; or a branch that was not taken this time."""
    stream = raw(text("Fine."), end(), finished("Message:Out", "Agent:Main"), DONE)
    assert drain(connect, stream, session=kept({"Agent:Main": FINE})).answer.text == "Fine."
    error = drain(connect, stream, session=failing).error  # nothing but the events is known then
    assert type(error) is GenerationError
    assert "Agent:Main" in str(error)
    assert error.partial == "Fine."


def test_an_error_that_the_workflow_went_on_from_is_none(connect: Connect) -> None:
    stream = raw(finished("Tool:A", error="no such tool"), text("Instead."), end(), finished("Message:Out"), DONE)
    assert drain(connect, stream).answer.text == "Instead."
    error = drain(connect, stream, session=kept(errors="no such tool")).error
    assert type(error) is GenerationError
    assert (error.detail, error.partial) == ("no such tool", "Instead.")
    # Sessions that a run has made do not keep the error; there the end of the workflow is told.
    assert drain(connect, stream, session=kept(errors=None)).error is not None
    went_on = raw(finished("Tool:A", error="no such tool"), text("Instead."), end(), told("workflow_finished"), DONE)
    assert drain(connect, went_on, session=kept(errors=None)).answer.text == "Instead."


def test_old_streams_are_held_against_the_session_whatever_they_say(connect: Connect) -> None:
    """0.20 and 0.21 tell nothing of components: a cut text looks like a whole one."""
    stream = raw(text("Cut of"), end(), DONE)
    session = kept({"Agent:Main": FAILED})
    assert type(drain(connect, stream, session=session, version="v0.24.0").error) is GenerationError
    assert drain(connect, stream, session=kept({"Agent:Main": FINE}), version="v0.24.0").answer.text == "Cut of"
    assert drain(connect, stream, session=failing, version="v0.24.0").answer.text == "Cut of"


def test_a_whole_run_of_a_new_release_asks_nothing_more(connect: Connect) -> None:
    stream = raw(
        finished("Agent:Main"), text("Fine."), end(), finished("Message:Out", "Agent:Main"), told("workflow_finished"), DONE
    )
    with WireServer(replay_map({("POST", ".*/completions"): stream})) as server:
        connect(server.base_url).do(lambda client: client.ask("q", **ASKED))
        assert [request.method for request in server.requests] == ["POST"]


# ----------------------------------------------------------------------------------------------------------------------- forms

FIELDS = {"topic": {"type": "line", "name": "topic", "optional": False}}


def test_a_hidden_form_is_read_from_the_session(connect: Connect) -> None:
    form = component("UserFillUp", inputs=FIELDS, tips="Fill {x} in")
    form["obj"]["params"]["outputs"] = {"tips": {"value": "Fill it in"}}
    waiting = kept({"UserFillUp:Ask": form, "begin": component("Begin")}, path=["UserFillUp:Ask"])
    for stream in (raw(DONE), raw(finished("begin"), DONE), raw(text("Hello!"), end(), DONE)):
        answer = drain(connect, stream, session=waiting, version="v0.24.0").answer
        assert answer.input_request is not None
        assert (answer.input_request.inputs, answer.input_request.tips) == (FIELDS, "Fill it in")
    # A form at the very end of a workflow that has been filled in is waited for no more.
    done = raw(finished("UserFillUp:Ask"), text("Thanks."), end(), DONE)
    assert drain(connect, done, session=waiting, version="v0.24.0").answer.input_request is None


def test_a_run_that_says_nothing_is_never_an_empty_answer(connect: Connect) -> None:
    stream = raw(finished("begin"), DONE)
    error = drain(connect, stream, session=failing, version="v0.24.0").error
    assert type(error) is UnsupportedByServerError
    assert error.since == "0.26.3"
    assert SESSION in str(error)
    ended = drain(connect, stream, session=kept(path=["begin", "Agent:Main"]), version="v0.24.0").error
    assert type(ended) is GenerationError
    assert "without a message" in str(ended)


# ---------------------------------------------------------------------------------------------------------------------- extras


def test_files_and_structured_output_of_an_agent(connect: Connect) -> None:
    stream = raw(
        finished("Agent:Main", structured={"price": 12}),
        finished("Agent:List", structured=[]),
        text("Done."),
        end(attachment={"doc_id": "f1", "format": "pdf", "file_name": "f1.pdf", "size": 3}),
        DONE,
    )
    answer = drain(connect, stream).answer
    assert answer.structured == {"Agent:Main": {"price": 12}, "Agent:List": []}
    assert [(one.id, one.name, one.format, one.raw["size"]) for one in answer.attachments] == [("f1", "f1.pdf", "pdf", 3)]


def test_steps_begin_and_end(connect: Connect) -> None:
    """A session that a run has made, without one before it, tells of beginnings too (≥ 0.25.1)."""
    begun = told("node_started", component_id="Agent:Main", component_name="Writer", inputs=None, thoughts="…")
    done = told("node_finished", component_id="Agent:Main", component_name="Writer", inputs={}, outputs={}, elapsed_time=0.5)
    stream = raw(begun, text("Fine."), end(), done, DONE)
    steps = [one for one in drain(connect, stream, agent_steps=True).events if isinstance(one, AgentStep)]
    assert [(step.state, step.title, step.seconds) for step in steps] == [
        ("started", "Writer", None),
        ("finished", "Writer", 0.5),
    ]
    assert not [one for one in drain(connect, stream).events if isinstance(one, AgentStep)]


def test_structured_output_is_an_answer_without_a_message(connect: Connect) -> None:
    answer = drain(connect, raw(finished("Agent:Main", structured={"price": 12}), DONE)).answer
    assert (answer.text, answer.structured) == ("", {"Agent:Main": {"price": 12}})
