"""Calls on agents and their sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields, models_from_json, validation
from ragflow_integrations._protocol.calls.paging import (
    Deletable,
    Page,
    PageFetcher,
    check_filters,
    collect,
    delete,
    empty_on,
    listing,
    not_found_message,
    require_found,
)
from ragflow_integrations._protocol.compat import error_table, features, server_version
from ragflow_integrations._protocol.steps import Operation, Request, Subject, path
from ragflow_integrations.errors import (
    AgentNotFoundError,
    APIError,
    ServerError,
    SessionNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations.models import Agent, JsonObject, JsonValue, Session


def _agent(agent_id: str) -> Subject:
    return Subject("agent", agent_id, AgentNotFoundError)


def _agent_sessions(agent_id: str) -> str:
    return path("agents", validation.text("agent_id", agent_id), "sessions")


def list_agents(*, title: str | None = None, agent_id: str | None = None) -> PageFetcher[Agent]:
    """List agents; filters are applied here too, since ≥ 0.25 ignore them."""
    check_filters(title=title, agent_id=agent_id)
    wanted = agent_id or title
    subject = _agent(wanted) if wanted else None
    filters = {"title": title, "id": agent_id}
    pages = empty_on(AgentNotFoundError, listing("/agents", models_from_json.agent, ("canvas", "agents"), filters, subject))

    def page(number: int) -> Operation[Page[Agent]]:
        some = yield from pages(number)
        kept = (item for item in some.items if title in (None, item.title) and agent_id in (None, item.id))
        return Page(tuple(kept), some.last)

    return page


def get_agent(agent_id: str) -> Operation[Agent]:
    """Get an agent; listed only if it cannot be read by itself (≤ 0.25.0), since newer lists leave out when it was made."""
    validation.text("agent_id", agent_id)
    one: Agent | None
    try:
        reply = yield Request("GET", path("agents", agent_id), retry="idempotent", subject=_agent(agent_id))
    except error_table.EndpointNotFound:
        one = next(iter((yield from collect(list_agents(agent_id=agent_id)))), None)
    else:
        agent = models_from_json.agent(fields.mapping(reply, "data"))
        one = agent if agent.id == agent_id else None
    return require_found(one, AgentNotFoundError, not_found_message("agent", agent_id, "agent_id", "client.agents.list()"))


def find_agent(title: str) -> Operation[Agent]:
    """Get an agent by its exact title."""
    validation.text("title", title)
    one = next(iter((yield from collect(list_agents(title=title)))), None)
    return require_found(one, AgentNotFoundError, not_found_message("agent", title, "the title", "client.agents.list()"))


def create_agent_session(
    profile: server_version.ServerProfile, agent_id: str, inputs: Mapping[str, JsonValue] | None = None
) -> Operation[Session]:
    """Create a session of an agent; up to 0.19.1 it needs the values of the agent's begin form."""
    url_path = _agent_sessions(agent_id)
    yield from server_version.require(profile, features.AGENTS)
    values: dict[str, JsonValue] = {}
    if inputs and (yield from server_version.may_be(profile, features.INPUTS_IN_BODY)):
        values = plain_inputs(inputs)
    reply = yield Request("POST", url_path, json=values, subject=_agent(agent_id))
    return read_session(fields.mapping(reply, "data"), agent_id)


def plain_inputs(inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the values of a form by name; a value may be given as the object that ≥ 0.20 want."""
    return {
        name: value["value"] if isinstance(value, Mapping) and "value" in value else value for name, value in inputs.items()
    }


def list_agent_sessions(agent_id: str, *, session_id: str | None = None) -> PageFetcher[Session]:
    """List the sessions of an agent, the newest first."""
    filters = {"id": session_id, "dsl": "false"}  # the workflow of each would come with it
    read = partial(read_session, agent_id=agent_id)
    pages = listing(_agent_sessions(agent_id), read, ("sessions",), filters, _agent(agent_id))

    def page(number: int) -> Operation[Page[Session]]:
        try:
            return (yield from pages(number))
        except APIError as error:
            error_table.refuse_if_agent_sessions_unreadable(error)
            raise

    return page


def get_agent_session(agent_id: str, session_id: str) -> Operation[Session]:
    """Get a session of an agent with its messages."""
    data = yield from session_object(agent_id, session_id, workflow=False)
    return read_session(data, agent_id)


def delete_agent_sessions(agent_id: str, session_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete sessions of an agent."""
    owner = _agent(agent_id)
    sessions = Deletable(
        _agent_sessions(agent_id), "session", SessionNotFoundError, "session_ids", list_agent_sessions(agent_id), owner
    )
    return delete(sessions, session_ids, delete_all=delete_all)


def session_object(agent_id: str, session_id: str, *, workflow: bool) -> Operation[JsonObject]:
    """Read the server's object of a session; listed only if it cannot be read by itself (≤ 0.25.0).

    Args:
        agent_id: The agent.
        session_id: The session.
        workflow: Whether its workflow, with the state of the last run, is needed.

    Raises:
        SessionNotFoundError: The agent has no such session.
    """
    sessions = path("agents", validation.text("agent_id", agent_id), "sessions")
    path_of_one = sessions + path(validation.text("session_id", session_id))
    subject = Subject("session", session_id, SessionNotFoundError)
    one: JsonObject | None = None
    try:
        reply = yield Request("GET", path_of_one, retry="idempotent", subject=subject)
    except error_table.EndpointNotFound:
        filters = {"id": session_id, **({} if workflow else {"dsl": "false"})}
        agent = Subject("agent", agent_id, AgentNotFoundError)
        listed = yield from collect(listing(sessions, dict, ("sessions",), filters, agent))
        one = next((item for item in listed if item.get("id") == session_id), None)
    except ServerError as error:
        if "has no attribute 'to_dict'" not in error.message:  # 0.25.1–0.25.5 fall over an unknown session
            raise
    else:
        data = fields.mapping(reply, "data")
        # ≤ 0.26.2 give any agent's session.
        if data.get("id") == session_id and fields.text(data, "dialog_id", "agent_id") in ("", agent_id):
            one = data
    where = f"client.agents.list_sessions({agent_id!r})"
    return require_found(one, SessionNotFoundError, not_found_message("session", session_id, "session_id and agent_id", where))


def read_session(data: JsonObject, agent_id: str) -> Session:
    """Read a session of an agent.

    A session that was made before its first run keeps the reference of its last answer alone: under `reference`, or, in lists,
    on its first answer, where 0.26.0 and 0.26.1 have nothing but the keys of the chunks (docs/protocol.md, "Agent sessions").
    """
    session = replace(models_from_json.session(data), chat_id=None, agent_id=agent_id)
    messages = list(session.messages)
    answers = models_from_json.answers(messages)
    if not answers or fields.text(data, "source") == "workflow":
        return session
    stored = data.get("reference")
    last = models_from_json.reference(stored) if isinstance(stored, dict) else None
    if last is None:
        last = next((messages[index].reference for index in answers if messages[index].reference is not None), None)
    for index in answers:
        messages[index] = replace(messages[index], reference=None)
    if last is not None and any(chunk.document_id or chunk.document_name for chunk in last.chunks):
        messages[answers[-1]] = replace(messages[answers[-1]], reference=last)
    return replace(session, messages=tuple(messages))
