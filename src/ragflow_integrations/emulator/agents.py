"""Routes of agents and their sessions."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

from ragflow_integrations.emulator.agent_runs import Run
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.defaults import TENANT
from ragflow_integrations.emulator.deletions import ids_to_delete
from ragflow_integrations.emulator.eras import AgentEvents
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.responses import TERMINATOR, Json, Refused, exception_reply, frame, ok, refuse
from ragflow_integrations.emulator.serializers.agent_sessions import (
    created_session,
    listed_messages,
    listed_session,
    session_detail,
)
from ragflow_integrations.emulator.serializers.agents import agent_dsl, agent_object
from ragflow_integrations.emulator.store import Agent, Session
from ragflow_integrations.emulator.text import count_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ragflow_integrations.emulator.calls import Call

_BROKEN = "'async_generator' object is not iterable"
_ERROR_PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
    "<p>The server encountered an internal error and was unable to complete your request. Either the server is "
    "overloaded or there is an error in the application.</p>\n"
)


# Running


def _broken_stream(call: Call) -> Response:
    async def frames() -> AsyncGenerator[str, None]:
        nothing: tuple[str, ...] = ()
        for text in nothing:
            yield text

    return call.stream(frames(), unfinished=True)


def _unknown_response(call: Call, refusal: Refused) -> Response:
    """Return the response if agent or session are unknown: newer servers and the oldest refuse, the others fail."""
    if call.era.agent_new_api or call.era.agent_events is AgentEvents.CHAT:
        raise refusal
    return HTMLResponse(_ERROR_PAGE, 500) if call.era.agent_unknown_is_500 else _broken_stream(call)


def _prepare(call: Call, agent_id: Any, body: dict[str, Any]) -> Run | Response:
    finish_parsing(call.backend)
    era = call.era
    agent = call.store.get(Agent, agent_id)
    if agent is None:
        return _unknown_response(call, refuse(103, "Make sure you have permission to access the agent.", data=False))
    is_new = not body.get("session_id")
    session = _session_for_run(call, agent, body) if is_new else call.store.get(Session, body["session_id"], parent=agent.id)
    if isinstance(session, Response):
        return session
    if session is None:
        unknown = f"You don't own the session {body['session_id']}" if era.agent_inputs_in_body else "Session not found!"
        return _unknown_response(call, refuse(102, unknown))
    question = _question(call, agent, session, body)
    inputs = body.get("inputs") or {}
    if era.agent_inputs_in_body:
        if agent.asks in body and (is_new or era.agent_inputs_at_runs):
            session.begin_values = {agent.asks: body[agent.asks]}
        inputs = session.begin_values
    return Run(call=call, agent=agent, session=session, is_new=is_new, question=question, inputs=inputs)


def _session_for_run(call: Call, agent: Agent, body: dict[str, Any]) -> Session | Response:
    """Return a new session for a run without one, or the reply to a run that leaves the begin form out."""
    era = call.era
    if era.agent_inputs_in_body and agent.asks and not body.get(agent.asks):
        return HTMLResponse(_ERROR_PAGE, 500)  # an assertion within the stream (source: ``canvas_service.py`` of 0.19.1)
    session = _new_session(call, agent, str(body.get("user_id") or ""))
    session.messages = []
    if era.agent_new_api and not era.agent_forgets_session:
        session.source = "workflow"
    return session


def _question(call: Call, agent: Agent, session: Session, body: dict[str, Any]) -> str:
    """Return the question of a run: an empty one repeats the agent's last [08_agent_completion_empty_question_no_session]."""
    question = str(body.get("query") or body.get("question") or session.pending_question)
    question = question or call.backend.agent_questions.get(agent.id, "")
    call.backend.agent_questions[agent.id] = question
    return question


async def _frames(run: Run, *, terminated: bool = True) -> AsyncGenerator[str, None]:
    async for event in run.events():
        if visible := run.visible_event(event):
            yield frame(visible)
    if terminated and not (run.is_new and run.era.agent_forgets_session):
        yield TERMINATOR


async def _reply(run: Run) -> Response:
    """Return the last event, with the text of all and the reference added to it.

    In a session, 0.25.1 to 0.26.2 take the last event that a stream would show, and later ones the last of the messages,
    with the usage (source: ``agent_api.py``) [transcripts/0.27.0-agent_llm_failure].
    """
    era = run.era
    last: dict[str, Any] = {}
    async for event in run.events():
        visible = run.visible_event(event) if era.agent_new_api and not run.is_new else event
        if visible is None or (era.agent_new_api and not run.is_new and not era.agent_hides_forms and not _of_message(visible)):
            continue
        last = visible
    content = "" if run.failure and not run.text else run.thought + run.full_text
    data = {key: value for key, value in last["data"].items() if key != "audio_binary"}
    data |= {"content": content, "reference": run.reference}
    return ok(last | {"data": data | (run.usage() if _of_message(last) else {})})


def _of_message(event: dict[str, Any]) -> bool:
    return event["event"] in ("message", "message_end", "user_inputs")


async def _chat_frames(run: Run) -> AsyncGenerator[str, None]:
    """Yield the frames up to 0.19: an agent answers like a chat; a new session sends only its opener."""
    call = run.call
    asks = run.agent.asks
    values = [{"key": asks, "type": "line", "optional": False, "value": run.inputs.get(asks)}] if asks else []
    labels: dict[str, Any] = {"id": run.message_id, "session_id": run.session.id, "param": values}
    if run.is_new:
        yield call.native(labels | {"answer": run.agent.prologue, "reference": {}, "id": None}, message="")
        yield call.native(True, message="")
        return
    for node in ("Retrieval_0", "Generate_0"):  # which is no text (source: ``canvas_service.py`` of 0.19.1)
        yield call.native({"answer": f"*'{node}'* is running...🕞", "running_status": True}, message="")
    async for event in run.events():
        if event["event"] == "message":
            whole = (f"<think>{run.thought}</think>" if run.thought else "") + run.full_text
            yield call.native({"answer": whole, "reference": []} | labels, message="")
    failure = run.failure
    if failure is not None and failure.dropped:
        yield call.error_event(failure.detail)
    else:
        chunks = list(run.reference.get("chunks", {}).values())
        aggregates = list(run.reference.get("doc_aggs", {}).values())
        reference = {"chunks": chunks, "doc_aggs": aggregates, "total": len(chunks)} if chunks else {}
        # An error ends the text that came before it (source: ``chat_model.py``).
        text = run.full_text if failure is None else f"{run.full_text}\n**ERROR**: {failure.detail}"
        yield call.native({"answer": text, "reference": reference} | labels, message="")
    yield call.native(True, message="")


async def _answer(call: Call, agent_id: Any, body: dict[str, Any]) -> Response:
    era = call.era
    streamed = bool(body.get("stream", era.agent_stream_default))
    if era.agent_events is AgentEvents.BROKEN:
        if not streamed:
            raise Refused(exception_reply(TypeError(_BROKEN)))
        return _broken_stream(call)
    run = _prepare(call, agent_id, body)
    if not isinstance(run, Run):
        return run
    if era.agent_events is AgentEvents.CHAT:
        return call.stream(_chat_frames(run), question=run.question)
    return call.stream(_frames(run), question=run.question) if streamed else await _reply(run)


async def complete(call: Call) -> Response:
    """Answer ``POST /agents/{agent_id}/completions``."""
    return await _answer(call, call.arg("agent_id"), await call.body())


async def complete_embedded(call: Call) -> Response:
    """Answer ``POST /agentbots/{agent_id}/completions``: a stream without ``[DONE]``."""
    body = await call.body()
    reply = _prepare(call, call.arg("agent_id"), body)
    return call.stream(_frames(reply, terminated=False), question=reply.question) if isinstance(reply, Run) else reply


async def complete_by_body(call: Call) -> Response:
    """Answer ``POST /agents/chat/completions``: the agent is named in the body."""
    body = await call.body()
    if not body.get("agent_id"):
        raise refuse(101, "`agent_id` is required.", data=False)
    if body.get("openai-compatible"):
        return await _answer_openai(call, body["agent_id"], body)
    return await _answer(call, body["agent_id"], body)


# OpenAI-compatible


async def _openai_frames(call: Call, run: Run | None, agent_id: str) -> AsyncGenerator[str, None]:
    """Yield one chunk for each word and an empty one; unlike chats', they have a space behind ``data:``."""
    era = call.era

    def chunk(content: str, finish: str | None = None) -> str:
        delta: dict[str, Any] = {"content": content}
        choice: dict[str, Any] = {"delta": delta, "finish_reason": finish, "index": 0}
        body: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "object": "chat.completion.chunk",
            "model": agent_id,
            "choices": [choice],
        }
        if era.agent_openai_full_chunks:
            delta |= {"role": "assistant", "function_call": None, "tool_calls": None}
            choice["logprobs"] = None
            body |= {"created": int(time.time()), "system_fingerprint": "", "usage": None}
        return frame(body, prefix="data: ")

    if run is None:
        yield chunk(f"**ERROR**: {_BROKEN}", "stop")
    else:
        async for event in run.events():
            if event["event"] == "message":
                yield chunk(event["data"]["content"])
        yield chunk("")
    yield TERMINATOR.replace("data:", "data: ")


async def _answer_openai(call: Call, agent_id: str, body: dict[str, Any]) -> Response:
    era = call.era
    messages = [message for message in body.get("messages") or [] if message.get("role") in ("user", "assistant")]
    if not messages:
        raise refuse(102, "You must provide at least one message.")
    question = str(messages[-1].get("content", ""))
    run: Run | None = None
    if era.agent_events is not AgentEvents.BROKEN:
        prepared = _prepare(call, agent_id, {"question": question, "session_id": body.get("session_id")})
        if not isinstance(prepared, Run):
            return prepared
        # These routes do not see the errors that stick [08_agent_zz1c_openai_stream_not_poisoned].
        run = prepared
        run.is_new = False
    if body.get("stream", era.openai_stream_default):
        return call.stream(_openai_frames(call, run, agent_id), question=question)
    text = f"**ERROR**: {_BROKEN}"
    if run is not None:
        async for _ in run.events():
            pass
        text = run.text
    prompt_tokens, completion_tokens = count_tokens(question), count_tokens(text)
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    message = {"role": "assistant", "content": text}
    choice = {"message": message, "finish_reason": "stop", "index": 0, "logprobs": None}
    created = int(time.time()) if era.agent_openai_created else None
    head = {"id": str(uuid.uuid4()), "object": "chat.completion", "created": created, "model": agent_id, "param": None}
    return Json(head | {"choices": [choice], "usage": usage})


async def complete_openai(call: Call) -> Response:
    """Answer ``POST /agents_openai/{agent_id}/chat/completions``."""
    return await _answer_openai(call, call.arg("agent_id"), await call.body())


# Agents and sessions


async def list_agents(call: Call) -> Response:
    """Answer ``GET /agents``: newer releases ignore ``id`` and ``title`` [08_agent_list_unknown_id]."""
    agents = call.store.all(Agent)
    if call.era.agent_canvas_list:
        page = [agent_object(call.era, agent, listed=True) for agent in call.page(agents)]
        return ok({"canvas": page, "total": len(agents)}, "success")
    matching = find(agents, id=call.query("id"), title=call.query("title"))
    if not matching and (call.query("id") or call.query("title")):
        raise refuse(102, "The agent doesn't exist.")
    return ok([agent_object(call.era, agent, listed=True) for agent in call.page(matching)])


def _agent(call: Call, message: str, *, access: bool = True) -> Agent:
    """Return the agent of a request.

    Args:
        call: The request.
        message: What an unknown one is refused with, with code 102.
        access: Whether newer releases check the access first, with code 103.
    """
    agent = call.store.get(Agent, call.arg("agent_id"))
    if agent is None and access and call.era.agent_no_access is not None:
        raise refuse(103, call.era.agent_no_access, data=False)
    if agent is None:
        raise refuse(102, message)
    return agent


async def get_agent(call: Call) -> Response:
    """Answer ``GET /agents/{agent_id}``."""
    return ok(agent_object(call.era, _agent(call, "canvas not found.", access=False)), "success")


async def reset_agent(call: Call) -> Response:
    """Answer ``POST /agents/{agent_id}/reset``: forgets the error that sticks to the agent."""
    agent = _agent(call, "canvas not found.", access=False)
    call.backend.agent_errors.pop(agent.id, None)
    return ok(agent_dsl(agent), "success")


def _new_session(call: Call, agent: Agent, user_id: str) -> Session:
    opener = {"role": "assistant", "content": agent.prologue}
    session = Session(owner_id=agent.id, name="", user_id=user_id or TENANT, messages=[opener])
    call.store.put(session)
    return session


async def create_session(call: Call) -> Response:
    """Answer ``POST /agents/{agent_id}/sessions``."""
    agent = _agent(call, "Agent not found.")
    body = await call.body() if call.era.agent_inputs_in_body else {}
    if call.era.agent_inputs_in_body and agent.asks and not body.get(agent.asks):
        raise refuse(102, f"`{agent.asks}` with type `line` is required")
    session = _new_session(call, agent, str(call.query("user_id") or ""))
    if agent.asks in body:
        session.begin_values = {agent.asks: body[agent.asks]}
        call.store.put(session)
    return ok(created_session(call.era, agent, session))


async def list_sessions(call: Call) -> Response:
    """Answer ``GET /agents/{agent_id}/sessions``."""
    agent = _agent(call, f"You don't own the agent {call.arg('agent_id')}.")
    sessions = find(call.store.all(Session, parent=agent.id), id=call.query("id"), user_id=call.query("user_id"))
    page = []
    for session in call.page(sessions):
        try:
            messages = listed_messages(call.era, session)
        except AttributeError as error:
            raise Refused(exception_reply(error)) from error
        fields = listed_session(call.era, agent, session, messages)
        with_dsl = (call.query("dsl") or "true").lower() != "false"
        page.append(fields | {"dsl": agent_dsl(agent, session)} if with_dsl else fields)
    return ok(page, "success", total=len(sessions)) if call.era.agent_new_api else ok(page)


async def get_session(call: Call) -> Response:
    """Answer ``GET /agents/{agent_id}/sessions/{session_id}``."""
    agent = _agent(call, "canvas not found.")
    session = call.store.get(Session, call.arg("session_id"))
    if session is None and not call.era.agent_session_lookup_checked:
        raise Refused(exception_reply(AttributeError("'NoneType' object has no attribute 'to_dict'")))
    if session is None or (session.owner_id != agent.id and call.era.agent_session_owner_checked):
        raise refuse(102, "Session not found!")
    owner = call.store.get(Agent, session.owner_id) or agent
    return ok(session_detail(call.era, owner, session), "success")


async def delete_sessions(call: Call) -> Response:
    """Answer ``DELETE /agents/{agent_id}/sessions``."""
    agent = _agent(call, f"You don't own the agent {call.arg('agent_id')}")
    body = await call.body()
    everything = [session.id for session in call.store.all(Session, parent=agent.id)]
    ids = ids_to_delete(call, body, everything)
    sessions = [session for key in ids if (session := call.store.get(Session, key, parent=agent.id))]
    for session in sessions:
        call.store.delete(session)
    if ids and not sessions:
        raise refuse(102, f"The agent doesn't own the session {ids[0]}")
    return ok()


async def delete_session(call: Call) -> Response:
    """Answer ``DELETE /agents/{agent_id}/sessions/{session_id}``."""
    agent = _agent(call, "canvas not found.")
    session = call.store.get(Session, call.arg("session_id"), parent=agent.id)
    if session is None:
        raise refuse(102, "Session not found!")
    call.store.delete(session)
    return ok(True, "success")
