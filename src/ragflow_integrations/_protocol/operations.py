"""The calls on chat assistants, sessions, agents and the server, each written once.

A call is a generator that yields `Request`s and is sent the JSON object of each reply; both clients drive it. Arguments are
checked before the first request. A listing is checked when it is made, and then asks for one page at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import agents, arguments, chat_settings, decoders, wire
from ragflow_integrations._protocol.compat import error_table, features, server_version
from ragflow_integrations._protocol.http import Operation, Request, Subject, path
from ragflow_integrations._protocol.listings import (
    Deletable,
    Page,
    Pages,
    check_filters,
    confirm,
    delete,
    empty_if,
    every,
    found,
    listing,
    no_such,
    only,
    stated,
)
from ragflow_integrations.errors import (
    AgentNotFoundError,
    APIError,
    ChatNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    SessionNotFoundError,
)
from ragflow_integrations.models import Health, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragflow_integrations.models import Agent, Chat, JsonValue, LLMSettings, PromptSettings, Session

# ------------------------------------------------------------------------------------------------------------------- chats


def _chat(chat_id: str) -> Subject:
    return Subject("chat assistant", chat_id, ChatNotFoundError)


def _optional_ids(name: str, ids: Sequence[str]) -> JsonValue:
    """Check ids of which there may be none."""
    return [] if isinstance(ids, list | tuple) and not ids else list(arguments.ids(name, ids))


def create_chat(
    name: str,
    *,
    dataset_ids: Sequence[str] = (),
    description: str | None = None,
    llm: LLMSettings | None = None,
    prompt: PromptSettings | None = None,
) -> Operation[Chat]:
    """Create a chat assistant."""
    body: dict[str, JsonValue] = {
        "name": arguments.text("name", name),
        "dataset_ids": _optional_ids("dataset_ids", dataset_ids),
        **chat_settings.body(llm, prompt),
        **arguments.described(description),
    }
    reply = yield Request("POST", "/chats", json=body, subject=Subject("chat assistant", name))
    return decoders.chat(wire.mapping(reply, "data"))


def update_chat(
    profile: server_version.Profile,
    chat_id: str,
    *,
    name: str | None = None,
    dataset_ids: Sequence[str] | None = None,
    description: str | None = None,
    llm: LLMSettings | None = None,
    prompt: PromptSettings | None = None,
) -> Operation[Chat]:
    """Change a chat assistant; what is not named stays."""
    arguments.text("chat_id", chat_id)
    check_filters(name=name)
    body = chat_settings.body(llm, prompt) | dict(stated({"name": name})) | arguments.described(description)
    if dataset_ids is not None:
        body["dataset_ids"] = _optional_ids("dataset_ids", dataset_ids)
    if not body:
        raise InvalidArgumentError("name", "or another setting to change must be given")
    current = yield from get_chat(chat_id)
    if (yield from server_version.find_out(profile, features.CHATS_PATCHED)):
        method = "PATCH"
    else:
        kept: dict[str, JsonValue] = (
            {"dataset_ids": list(current.dataset_ids)} if current.dataset_ids else {}
        )  # none is refused
        # 0.22–0.24 detach the datasets of an assistant whose update does not name them.
        method, body = "PUT", chat_settings.old_body({**kept, "name": current.name, **body})
    yield Request(method, path("chats", chat_id), json=body, subject=_chat(chat_id))
    changed = yield from get_chat(chat_id)
    confirm(
        "chat assistant",
        name=(name, changed.name),
        description=(description, changed.description),
        dataset_ids=(dataset_ids, changed.dataset_ids),
    )
    return changed


def list_chats(*, name: str | None = None, chat_id: str | None = None) -> Pages[Chat]:
    """List chat assistants, the newest first."""
    check_filters(name=name, chat_id=chat_id)
    wanted = chat_id or name
    subject = Subject("chat assistant", wanted, ChatNotFoundError) if wanted else None
    pages = listing("/chats", decoders.chat, ("chats",), {"name": name, "id": chat_id}, subject)
    asked_for = only(pages, lambda chat: chat_id in (None, chat.id) and name in (None, chat.name))
    return empty_if(ChatNotFoundError, asked_for)


def get_chat(chat_id: str) -> Operation[Chat]:
    """Get a chat assistant; asked for as a listing of one, which every release has."""
    arguments.text("chat_id", chat_id)
    one = next(iter((yield from every(list_chats(chat_id=chat_id)))), None)
    return found(one, ChatNotFoundError, no_such("chat assistant", chat_id, "chat_id", "client.chats.list()"))


def find_chat(name: str) -> Operation[Chat]:
    """Get a chat assistant by its exact name."""
    arguments.text("name", name)
    chats = yield from every(list_chats(name=name))
    one = next((chat for chat in chats if chat.name == name), None)
    return found(one, ChatNotFoundError, no_such("chat assistant", name, "the name", "client.chats.list()"))


def delete_chats(chat_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete chat assistants and their sessions."""
    chats = Deletable("/chats", "chat assistant", ChatNotFoundError, "chat_ids", list_chats())
    return delete(chats, chat_ids, delete_all=delete_all)


# ---------------------------------------------------------------------------------------------------------------- sessions


def _sessions(chat_id: str) -> str:
    return path("chats", arguments.text("chat_id", chat_id), "sessions")


def create_session(chat_id: str, name: str = "New session") -> Operation[Session]:
    """Create a session of a chat assistant."""
    reply = yield Request("POST", _sessions(chat_id), json={"name": arguments.text("name", name)}, subject=_chat(chat_id))
    return decoders.session(wire.mapping(reply, "data"))


def list_sessions(chat_id: str, *, name: str | None = None, session_id: str | None = None) -> Pages[Session]:
    """List the sessions of a chat assistant, the newest first."""
    check_filters(name=name)
    filters = {"name": name, "id": session_id}
    listed = listing(_sessions(chat_id), decoders.session, ("sessions",), filters, _chat(chat_id))
    pages = only(listed, lambda session: session_id in (None, session.id) and name in (None, session.name))

    def page(number: int) -> Operation[Page[Session]]:
        try:
            return (yield from pages(number))
        except APIError as error:
            error_table.refuse_if_sessions_unreadable(error)
            raise

    return page


def get_session(chat_id: str, session_id: str) -> Operation[Session]:
    """Get a session with its messages; asked for as a listing of one, which every release has."""
    arguments.text("session_id", session_id)
    sessions = yield from every(list_sessions(chat_id, session_id=session_id))
    one = next((session for session in sessions if session.id == session_id), None)
    where = f"client.sessions.list({chat_id!r})"
    return found(one, SessionNotFoundError, no_such("session", session_id, "session_id and chat_id", where))


def delete_sessions(chat_id: str, session_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete sessions of a chat assistant."""
    owner = _chat(chat_id)
    sessions = Deletable(_sessions(chat_id), "session", SessionNotFoundError, "session_ids", list_sessions(chat_id), owner)
    return delete(sessions, session_ids, delete_all=delete_all)


def update_session(chat_id: str, session_id: str, *, name: str) -> Operation[Session]:
    """Rename a session; PUT is an alias of PATCH where that is the verb (≥ 0.25.1)."""
    where = _session(chat_id, session_id)
    body: dict[str, JsonValue] = {"name": arguments.text("name", name)}
    yield Request("PUT", where, json=body, subject=_chat(chat_id), part=session_subject(session_id))
    changed = yield from get_session(chat_id, session_id)
    confirm("session", name=(name, changed.name))
    return changed


def _session(chat_id: str, session_id: str) -> str:
    return _sessions(chat_id) + path(arguments.text("session_id", session_id))


def session_subject(session_id: str) -> Subject:
    """Return a session as messages name it."""
    return Subject("session", session_id, SessionNotFoundError)


def delete_message(profile: server_version.Profile, chat_id: str, session_id: str, message_id: str) -> Operation[None]:
    """Delete a turn: question and answer, which share the id."""
    where = _session(chat_id, session_id) + path("messages", arguments.text("message_id", message_id))
    yield from server_version.require(profile, features.MESSAGES)
    yield from _check_message(chat_id, session_id, message_id)
    yield Request("DELETE", where, subject=_chat(chat_id), part=session_subject(session_id))


def _check_message(chat_id: str, session_id: str, message_id: str) -> Operation[None]:
    """Make sure that a message exists: the server accepts changes of any id, and does nothing then.

    Raises:
        NotFoundError: The session has no message with this id.
    """
    session = yield from get_session(chat_id, session_id)
    if message_id not in [message.id for message in session.messages]:
        where = f"client.sessions.get({chat_id!r}, {session_id!r}).messages"
        raise NotFoundError(no_such("message", message_id, "message_id", where))


def rate_message(
    profile: server_version.Profile, chat_id: str, session_id: str, message_id: str, *, helpful: bool, comment: str | None
) -> Operation[None]:
    """Rate an answer."""
    where = _session(chat_id, session_id) + path("messages", arguments.text("message_id", message_id), "feedback")
    body: dict[str, JsonValue] = {"thumbup": arguments.flag("helpful", helpful)}
    if comment is not None:
        body["feedback"] = arguments.string("comment", comment)
    yield from server_version.require(profile, features.MESSAGES)
    yield from _check_message(chat_id, session_id, message_id)
    yield Request("PUT", where, json=body, subject=_chat(chat_id), part=session_subject(session_id))


# ------------------------------------------------------------------------------------------------------------------ agents


def _agent(agent_id: str) -> Subject:
    return Subject("agent", agent_id, AgentNotFoundError)


def _agent_sessions(agent_id: str) -> str:
    return path("agents", arguments.text("agent_id", agent_id), "sessions")


def list_agents(*, title: str | None = None, agent_id: str | None = None) -> Pages[Agent]:
    """List agents; filters are applied here too, since ≥ 0.25 ignore them."""
    check_filters(title=title, agent_id=agent_id)
    wanted = agent_id or title
    subject = _agent(wanted) if wanted else None
    filters = {"title": title, "id": agent_id}
    pages = empty_if(AgentNotFoundError, listing("/agents", decoders.agent, ("canvas", "agents"), filters, subject))

    def page(number: int) -> Operation[Page[Agent]]:
        some = yield from pages(number)
        kept = (item for item in some.items if title in (None, item.title) and agent_id in (None, item.id))
        return Page(tuple(kept), some.last)

    return page


def get_agent(agent_id: str) -> Operation[Agent]:
    """Get an agent; listed only if it cannot be read by itself (≤ 0.25.0), since newer lists leave out when it was made."""
    arguments.text("agent_id", agent_id)
    one: Agent | None
    try:
        reply = yield Request("GET", path("agents", agent_id), repeat="always", subject=_agent(agent_id))
    except error_table.EndpointMissing:
        one = next(iter((yield from every(list_agents(agent_id=agent_id)))), None)
    else:
        agent = decoders.agent(wire.mapping(reply, "data"))
        one = agent if agent.id == agent_id else None
    return found(one, AgentNotFoundError, no_such("agent", agent_id, "agent_id", "client.agents.list()"))


def find_agent(title: str) -> Operation[Agent]:
    """Get an agent by its exact title."""
    arguments.text("title", title)
    one = next(iter((yield from every(list_agents(title=title)))), None)
    return found(one, AgentNotFoundError, no_such("agent", title, "the title", "client.agents.list()"))


def create_agent_session(
    profile: server_version.Profile, agent_id: str, inputs: Mapping[str, JsonValue] | None = None
) -> Operation[Session]:
    """Create a session of an agent; up to 0.19.1 it needs the values of the agent's begin form."""
    where = _agent_sessions(agent_id)
    yield from server_version.require(profile, features.AGENTS)
    values: dict[str, JsonValue] = {}
    if inputs and (yield from server_version.may_be(profile, features.INPUTS_IN_BODY)):
        values = plain_inputs(inputs)
    reply = yield Request("POST", where, json=values, subject=_agent(agent_id))
    return agents.read_session(wire.mapping(reply, "data"), agent_id)


def plain_inputs(inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the values of a form by name; a value may be given as the object that ≥ 0.20 want."""
    return {
        name: value["value"] if isinstance(value, Mapping) and "value" in value else value for name, value in inputs.items()
    }


def list_agent_sessions(agent_id: str, *, session_id: str | None = None) -> Pages[Session]:
    """List the sessions of an agent, the newest first."""
    filters = {"id": session_id, "dsl": "false"}  # the workflow of each would come with it
    read = partial(agents.read_session, agent_id=agent_id)
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
    data = yield from agents.session_object(agent_id, session_id, workflow=False)
    return agents.read_session(data, agent_id)


def delete_agent_sessions(agent_id: str, session_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete sessions of an agent."""
    owner = _agent(agent_id)
    sessions = Deletable(
        _agent_sessions(agent_id), "session", SessionNotFoundError, "session_ids", list_agent_sessions(agent_id), owner
    )
    return delete(sessions, session_ids, delete_all=delete_all)


# ------------------------------------------------------------------------------------------------------------------ server


def related_questions(question: str) -> Operation[list[str]]:
    """Ask the tenant's LLM for questions related to one; the oldest path exists in every release."""
    body: dict[str, JsonValue] = {"question": arguments.text("question", question)}
    reply = yield Request("POST", "/sessions/related_questions", json=body, repeat="unanswered")
    return list(wire.strings(reply, "data"))


def server(profile: server_version.Profile) -> Operation[ServerInfo]:
    """Find out what the server is."""
    known = yield from server_version.probe(profile)
    return known.info()


def health() -> Operation[Health]:
    """Ask the server how it is, by the path its release has; ≤ 0.21 have none, and answering is all they can say."""
    for where, root in (("/system/healthz", False), ("/v1/system/healthz", True)):
        try:
            parts = yield Request("GET", where, root=root, repeat="always", plain=True)
        except error_table.EndpointMissing:
            continue
        except APIError as error:  # a failing part is told with HTTP 500
            return Health(ok=False, parts={"error": error.message})
        return Health(ok=wire.text(parts, "status") in ("", "ok"), parts=parts)
    yield Request("GET", "/chats", params={"page": 1, "page_size": 1}, repeat="always")
    return Health(ok=True)
