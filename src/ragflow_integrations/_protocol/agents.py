"""Reading a session of an agent, in the way that works on each release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import arguments, decoders, wire
from ragflow_integrations._protocol.compat import error_table
from ragflow_integrations._protocol.http import Operation, Request, Subject, path
from ragflow_integrations._protocol.listings import every, found, listing, no_such
from ragflow_integrations.errors import AgentNotFoundError, ServerError, SessionNotFoundError

if TYPE_CHECKING:
    from ragflow_integrations.models import JsonObject, Session


def session_object(agent_id: str, session_id: str, *, workflow: bool) -> Operation[JsonObject]:
    """Read the server's object of a session; listed only if it cannot be read by itself (≤ 0.25.0).

    Args:
        agent_id: The agent.
        session_id: The session.
        workflow: Whether its workflow, with the state of the last run, is needed.

    Raises:
        SessionNotFoundError: The agent has no such session.
    """
    sessions = path("agents", arguments.text("agent_id", agent_id), "sessions")
    path_of_one = sessions + path(arguments.text("session_id", session_id))
    subject = Subject("session", session_id, SessionNotFoundError)
    one: JsonObject | None = None
    try:
        reply = yield Request("GET", path_of_one, repeat="always", subject=subject)
    except error_table.EndpointMissing:
        filters = {"id": session_id, **({} if workflow else {"dsl": "false"})}
        agent = Subject("agent", agent_id, AgentNotFoundError)
        listed = yield from every(listing(sessions, dict, ("sessions",), filters, agent))
        one = next((item for item in listed if item.get("id") == session_id), None)
    except ServerError as error:
        if "has no attribute 'to_dict'" not in error.message:  # 0.25.1–0.25.5 fall over an unknown session
            raise
    else:
        data = wire.mapping(reply, "data")
        # ≤ 0.26.2 give any agent's session.
        if data.get("id") == session_id and wire.text(data, "dialog_id", "agent_id") in ("", agent_id):
            one = data
    where = f"client.agents.list_sessions({agent_id!r})"
    return found(one, SessionNotFoundError, no_such("session", session_id, "session_id and agent_id", where))


def read_session(data: JsonObject, agent_id: str) -> Session:
    """Read a session of an agent.

    A session that was made before its first run keeps the reference of its last answer alone: under `reference`, or, in lists,
    on its first answer, where 0.26.0 and 0.26.1 have nothing but the keys of the chunks (docs/protocol.md, "Agent sessions").
    """
    session = replace(decoders.session(data), chat_id=None, agent_id=agent_id)
    messages = list(session.messages)
    answers = decoders.answers(messages)
    if not answers or wire.text(data, "source") == "workflow":
        return session
    stored = data.get("reference")
    last = decoders.reference(stored) if isinstance(stored, dict) else None
    if last is None:
        last = next((messages[index].reference for index in answers if messages[index].reference is not None), None)
    for index in answers:
        messages[index] = replace(messages[index], reference=None)
    if last is not None and any(chunk.document_id or chunk.document_name for chunk in last.chunks):
        messages[answers[-1]] = replace(messages[answers[-1]], reference=last)
    return replace(session, messages=tuple(messages))
