"""The calls on chat assistants, sessions, agents and the server, each written once.

A call is a generator that yields `Request`s and is sent the JSON object of each reply; both clients drive it. Arguments are
checked before the first request. A listing is checked when it is made, and then asks for one page at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import arguments, decoders, dialects, wire
from ragflow_integrations._protocol.http import Operation, Request, Subject, path
from ragflow_integrations._protocol.listings import (
    Page,
    Pages,
    check_filters,
    delete,
    every,
    first,
    found,
    listing,
    no_such,
    stated,
)
from ragflow_integrations.errors import (
    AgentNotFoundError,
    APIError,
    ChatNotFoundError,
    InvalidArgumentError,
    SessionNotFoundError,
)
from ragflow_integrations.models import Health, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ragflow_integrations.models import Agent, Chat, JsonValue, Session

# ------------------------------------------------------------------------------------------------------------------- chats


def _chat(chat_id: str) -> Subject:
    return Subject("chat assistant", chat_id, ChatNotFoundError)


#: Old and new names of a chat assistant's settings → where the body has them. One body serves every release: ≤ 0.24 honour
#: the new form too, and ≥ 0.25 ignore the old one (notes §9.10).
_LLM_SETTINGS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens")
_PROMPT_CONFIG = {
    "prompt": "system",
    "system": "system",
    "opener": "prologue",
    "prologue": "prologue",
    "empty_response": "empty_response",
    "show_quote": "quote",
    "quote": "quote",
    "variables": "parameters",
    "parameters": "parameters",
    "refine_multiturn": "refine_multiturn",
    "keyword": "keyword",
    "use_kg": "use_kg",
    "reasoning": "reasoning",
    "cross_languages": "cross_languages",
    "toc_enhance": "toc_enhance",
    "tts": "tts",
}
_TOP_LEVEL = {
    "similarity_threshold": "similarity_threshold",
    "vector_similarity_weight": "vector_similarity_weight",
    "top_n": "top_n",
    "top_k": "top_k",
    "rerank_model": "rerank_id",
    "rerank_id": "rerank_id",
}


def _chat_body(llm: Mapping[str, JsonValue] | None, prompt: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {}
    if llm is not None:
        arguments.mapping("llm", llm)
        arguments.known("llm", llm, ("llm_id", "model_name", *_LLM_SETTINGS))
        model = llm.get("llm_id") or llm.get("model_name")
        if model:
            body["llm_id"] = model
        settings: dict[str, JsonValue] = {name: llm[name] for name in _LLM_SETTINGS if name in llm}
        if settings:
            body["llm_setting"] = settings
    if prompt is not None:
        arguments.mapping("prompt", prompt)
        arguments.known("prompt", prompt, (*_PROMPT_CONFIG, *_TOP_LEVEL, "keywords_similarity_weight"))
        config: dict[str, JsonValue] = {new: prompt[old] for old, new in _PROMPT_CONFIG.items() if old in prompt}
        if config:
            body["prompt_config"] = config
        body |= {new: prompt[old] for old, new in _TOP_LEVEL.items() if old in prompt}
        if "keywords_similarity_weight" in prompt:
            if "vector_similarity_weight" in prompt:
                raise InvalidArgumentError(
                    "prompt",
                    "has both keywords_similarity_weight and vector_similarity_weight; they add up to 1, give one",
                )
            weight = arguments.fraction("prompt['keywords_similarity_weight']", prompt["keywords_similarity_weight"])
            body["vector_similarity_weight"] = 1 - weight
    return body


#: Chat assistants are changed with PATCH; before that with PUT and the old names.
_PATCHED = dialects.Feature("PATCH", (0, 25, 0))
_OLD_PROMPT = {
    "system": "prompt",
    "prologue": "opener",
    "quote": "show_quote",
    "parameters": "variables",
    # These releases store the weight given for the keywords as the embedding's (notes §1.3).
    "vector_similarity_weight": "keywords_similarity_weight",
    "rerank_id": "rerank_model",
}
_OLD_TOP_LEVEL = ("name", "description", "dataset_ids")


def _old_chat_body(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Write an update as ≤ 0.24 read it."""
    llm = dict(wire.mapping(body, "llm_setting"))
    if "llm_id" in body:
        llm["model_name"] = body["llm_id"]
    rest = {name: body[name] for name in body if name not in (*_OLD_TOP_LEVEL, "llm_id", "llm_setting", "prompt_config")}
    prompt = {_OLD_PROMPT.get(name, name): value for name, value in {**wire.mapping(body, "prompt_config"), **rest}.items()}
    old: dict[str, JsonValue] = {name: body[name] for name in _OLD_TOP_LEVEL if name in body}
    if llm:
        old["llm"] = llm
    if prompt:
        old["prompt"] = prompt
    return old


def create_chat(
    name: str,
    *,
    dataset_ids: Sequence[str] = (),
    description: str | None = None,
    llm: Mapping[str, JsonValue] | None = None,
    prompt: Mapping[str, JsonValue] | None = None,
) -> Operation[Chat]:
    """Create a chat assistant."""
    body: dict[str, JsonValue] = {
        "name": arguments.text("name", name),
        "dataset_ids": cast("JsonValue", arguments.ids("dataset_ids", dataset_ids) if dataset_ids else []),
        **_chat_body(llm, prompt),
    }
    if description is not None:
        body["description"] = description
    reply = yield Request("POST", "/chats", json=body, subject=Subject("chat assistant", name))
    return decoders.chat(wire.mapping(reply, "data"))


def update_chat(
    profile: dialects.Profile,
    chat_id: str,
    *,
    name: str | None = None,
    dataset_ids: Sequence[str] | None = None,
    description: str | None = None,
    llm: Mapping[str, JsonValue] | None = None,
    prompt: Mapping[str, JsonValue] | None = None,
) -> Operation[Chat]:
    """Change a chat assistant; what is not named stays."""
    arguments.text("chat_id", chat_id)
    check_filters(name=name)
    body = _chat_body(llm, prompt)
    if dataset_ids is not None:
        body["dataset_ids"] = cast("JsonValue", arguments.ids("dataset_ids", dataset_ids) if dataset_ids else [])
    body |= dict(stated({"name": name, "description": description}))
    if not body:
        raise InvalidArgumentError("name", "or another setting to change must be given")
    current = yield from get_chat(chat_id)
    if profile.supports(_PATCHED):
        method = "PATCH"
    else:
        kept: dict[str, JsonValue] = (
            {"dataset_ids": list(current.dataset_ids)} if current.dataset_ids else {}
        )  # none is refused
        # 0.22–0.24 detach the datasets of an assistant whose update does not name them.
        method, body = "PUT", _old_chat_body({**kept, "name": current.name, **body})
    yield Request(method, path("chats", chat_id), json=body, subject=_chat(chat_id))
    return (yield from get_chat(chat_id))


def list_chats(*, name: str | None = None, chat_id: str | None = None) -> Pages[Chat]:
    """List chat assistants, the newest first."""
    check_filters(name=name, chat_id=chat_id)
    wanted = chat_id or name
    subject = Subject("chat assistant", wanted, ChatNotFoundError) if wanted else None
    pages = listing("/chats", decoders.chat, ("chats",), {"name": name, "id": chat_id}, subject)

    def page(number: int) -> Operation[Page[Chat]]:
        try:
            return (yield from pages(number))
        except ChatNotFoundError:  # ≤ 0.24 refuse a filter that nothing matches
            return Page((), last=True)

    return page


def get_chat(chat_id: str) -> Operation[Chat]:
    """Get a chat assistant; asked for as a listing of one, which every release has."""
    arguments.text("chat_id", chat_id)
    one = yield from first(list_chats(chat_id=chat_id))
    return found(one, ChatNotFoundError, no_such("chat assistant", chat_id, "chat_id", "client.chats.list()"))


def find_chat(name: str) -> Operation[Chat]:
    """Get a chat assistant by its exact name."""
    arguments.text("name", name)
    chats = yield from every(list_chats(name=name))
    one = next((chat for chat in chats if chat.name == name), None)
    return found(one, ChatNotFoundError, no_such("chat assistant", name, "the name", "client.chats.list()"))


def delete_chats(chat_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete chat assistants and their sessions."""
    subject = Subject("chat assistant", "", ChatNotFoundError)
    return delete("/chats", subject, "chat_ids", chat_ids, list_chats() if delete_all is True else None)


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
    return listing(_sessions(chat_id), decoders.session, ("sessions",), {"name": name, "id": session_id}, _chat(chat_id))


def get_session(chat_id: str, session_id: str) -> Operation[Session]:
    """Get a session with its messages; asked for as a listing of one, which every release has."""
    arguments.text("session_id", session_id)
    sessions = yield from every(list_sessions(chat_id, session_id=session_id))
    one = next((session for session in sessions if session.id == session_id), None)
    where = f"client.sessions.list({chat_id!r})"
    return found(one, SessionNotFoundError, no_such("session", session_id, "session_id and chat_id", where))


def delete_sessions(chat_id: str, session_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete sessions of a chat assistant."""
    subject = Subject("session", "", SessionNotFoundError)
    everything = list_sessions(chat_id) if delete_all is True else None
    return delete(_sessions(chat_id), subject, "session_ids", session_ids, everything)


def update_session(chat_id: str, session_id: str, *, name: str) -> Operation[Session]:
    """Rename a session; PUT is an alias of PATCH where that is the verb (≥ 0.25.1)."""
    where = _session(chat_id, session_id)
    yield Request("PUT", where, json={"name": arguments.text("name", name)}, subject=_chat(chat_id))
    return (yield from get_session(chat_id, session_id))


MESSAGES = dialects.Feature("Deleting and rating messages", (0, 25, 0))


def _session(chat_id: str, session_id: str) -> str:
    return _sessions(chat_id) + path(arguments.text("session_id", session_id))


def delete_message(profile: dialects.Profile, chat_id: str, session_id: str, message_id: str) -> Operation[None]:
    """Delete a turn: question and answer, which share the id."""
    where = _session(chat_id, session_id) + path("messages", arguments.text("message_id", message_id))
    yield from dialects.require(profile, MESSAGES)
    yield Request("DELETE", where, subject=_chat(chat_id))


def rate_message(
    profile: dialects.Profile, chat_id: str, session_id: str, message_id: str, *, helpful: bool, comment: str | None
) -> Operation[None]:
    """Rate an answer."""
    where = _session(chat_id, session_id) + path("messages", arguments.text("message_id", message_id), "feedback")
    body: dict[str, JsonValue] = {"thumbup": arguments.flag("helpful", helpful), **dict(stated({"feedback": comment}))}
    yield from dialects.require(profile, MESSAGES)
    yield Request("PUT", where, json=body, subject=_chat(chat_id))


# ------------------------------------------------------------------------------------------------------------------ agents

#: 0.22.x runs no agent: streams end at once, other replies are an exception (notes §9.12).
AGENTS = dialects.Feature("Running an agent", (0, 17, 0), broken=((0, 22, 0), (0, 22, 99)))


def _agent(agent_id: str) -> Subject:
    return Subject("agent", agent_id, AgentNotFoundError)


def _agent_sessions(agent_id: str) -> str:
    return path("agents", arguments.text("agent_id", agent_id), "sessions")


def list_agents(*, title: str | None = None, agent_id: str | None = None) -> Pages[Agent]:
    """List agents; filters are applied here too, since ≥ 0.25 ignore them."""
    check_filters(title=title, agent_id=agent_id)
    wanted = agent_id or title
    subject = _agent(wanted) if wanted else None
    pages = listing("/agents", decoders.agent, ("canvas", "agents"), {"title": title, "id": agent_id}, subject)

    def page(number: int) -> Operation[Page[Agent]]:
        try:
            some = yield from pages(number)
        except AgentNotFoundError:  # ≤ 0.24 refuse a filter that nothing matches
            return Page((), last=True)
        kept = (item for item in some.items if title in (None, item.title) and agent_id in (None, item.id))
        return Page(tuple(kept), some.last)

    return page


def get_agent(agent_id: str) -> Operation[Agent]:
    """Get an agent."""
    arguments.text("agent_id", agent_id)
    agents = yield from every(list_agents(agent_id=agent_id))
    one = agents[0] if agents else None
    return found(one, AgentNotFoundError, no_such("agent", agent_id, "agent_id", "client.agents.list()"))


def find_agent(title: str) -> Operation[Agent]:
    """Get an agent by its exact title."""
    arguments.text("title", title)
    agents = yield from every(list_agents(title=title))
    one = agents[0] if agents else None
    return found(one, AgentNotFoundError, no_such("agent", title, "the title", "client.agents.list()"))


def create_agent_session(profile: dialects.Profile, agent_id: str) -> Operation[Session]:
    """Create a session of an agent."""
    where = _agent_sessions(agent_id)
    yield from dialects.require(profile, AGENTS)
    reply = yield Request("POST", where, json={}, subject=_agent(agent_id))
    return decoders.session(wire.mapping(reply, "data"))


def list_agent_sessions(agent_id: str, *, session_id: str | None = None) -> Pages[Session]:
    """List the sessions of an agent, the newest first."""
    filters = {"id": session_id, "dsl": "false"}  # the workflow of each would come with it
    return listing(_agent_sessions(agent_id), decoders.session, ("sessions",), filters, _agent(agent_id))


def get_agent_session(agent_id: str, session_id: str) -> Operation[Session]:
    """Get a session of an agent with its messages."""
    arguments.text("session_id", session_id)
    sessions = yield from every(list_agent_sessions(agent_id, session_id=session_id))
    one = next((session for session in sessions if session.id == session_id), None)
    where = f"client.agents.list_sessions({agent_id!r})"
    return found(one, SessionNotFoundError, no_such("session", session_id, "session_id and agent_id", where))


def delete_agent_sessions(agent_id: str, session_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete sessions of an agent."""
    subject = Subject("session", "", SessionNotFoundError)
    everything = list_agent_sessions(agent_id) if delete_all is True else None
    return delete(_agent_sessions(agent_id), subject, "session_ids", session_ids, everything)


# ------------------------------------------------------------------------------------------------------------------ server


def related_questions(question: str) -> Operation[list[str]]:
    """Ask the tenant's LLM for questions related to one; the oldest path exists in every release."""
    body: dict[str, JsonValue] = {"question": arguments.text("question", question)}
    reply = yield Request("POST", "/sessions/related_questions", json=body, repeat="unanswered")
    return list(wire.strings(reply, "data"))


def server(profile: dialects.Profile) -> Operation[ServerInfo]:
    """Find out what the server is."""
    profile.forget()
    yield from dialects.probe(profile)
    return profile.info()


def health() -> Operation[Health]:
    """Ask the server how it is, by the path its release has; ≤ 0.21 have none, and answering is all they can say."""
    for where, root in (("/system/healthz", False), ("/v1/system/healthz", True)):
        try:
            parts = yield Request("GET", where, root=root, repeat="always", plain=True)
        except dialects.EndpointMissing:
            continue
        except APIError as error:  # a failing part is told with HTTP 500
            return Health(ok=False, parts={"error": error.message})
        return Health(ok=wire.text(parts, "status") in ("", "ok"), parts=parts)
    yield Request("GET", "/chats", params={"page": 1, "page_size": 1}, repeat="always")
    return Health(ok=True)
