"""How agents and their sessions look on the wire of each era."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.shapes import CHAT_MODEL, NICKNAME, TENANT, times
from ragflow_integrations.emulator.variants import AgentReferences

if TYPE_CHECKING:
    from ragflow_integrations.emulator.era import Era
    from ragflow_integrations.emulator.store import Agent, Session

TIPS = "Please fill up the form"


def form_of(agent: Agent) -> dict[str, Any]:
    """The fields of the form that an agent asks for."""
    return {agent.asks: {"type": "line", "name": agent.asks, "optional": False, "options": []}} if agent.asks else {}


def node_names(agent: Agent) -> list[str]:
    """The nodes of an agent, in their order."""
    names = ["begin"]
    names += ["Message:Hello"] if agent.greets else []
    names += ["UserFillUp:Question"] if agent.asks else []
    if agent.says is None:
        names += ["Retrieval:Kb"] if agent.dataset_ids else []
        names += ["Agent:Main"]
    return [*names, "Message:Out"]


def agent_dsl(agent: Agent, session: Session | None = None) -> dict[str, Any]:
    """The workflow of an agent; with a session, also where its last run ended and what the nodes made.

    The output of a node whose model failed is not a text but an empty object: what Python's ``partial``, which stood for the
    text to come, is written as (source: ``ComponentParamBase.as_dict``, 0.20.5 to 0.27.0).
    """
    names = node_names(agent)
    params: dict[str, dict[str, Any]] = {
        "begin": {"mode": "conversational", "prologue": agent.prologue, "inputs": {}},
        "Message:Hello": {"content": [agent.greets]},
        "UserFillUp:Question": {"enable_tips": True, "tips": TIPS, "inputs": form_of(agent)},
        "Retrieval:Kb": {"kb_ids": agent.dataset_ids, "query": "sys.query"},
        "Agent:Main": {"llm_id": CHAT_MODEL, "cite": True, "prompts": [{"role": "user", "content": "{sys.query}"}]},
        "Message:Out": {"content": ["{Agent:Main@content}" if agent.says is None else agent.says]},
    }
    made = session.outputs if session else {}
    components = {
        name: {
            "obj": {
                "component_name": "UserFillUp" if name.startswith("UserFillUp") else name.partition(":")[0].capitalize(),
                "params": params[name]
                | {"outputs": {key: {"type": "string", "value": value} for key, value in made.get(name, {}).items()}},
            },
            "upstream": names[max(at - 1, 0) : at],
            "downstream": names[at + 1 : at + 2],
        }
        for at, name in enumerate(names)
    }
    return {
        "components": components,
        "globals": {"sys.query": "", "sys.user_id": "", "sys.conversation_turns": 0, "sys.files": []},
        "graph": {"nodes": [], "edges": []},
        "history": [],
        "memory": [],
        "messages": [],
        "path": list(session.path) if session else [],
        "retrieval": [],
        "task_id": agent.id,
        "variables": {},
    }


def agent_object(era: Era, agent: Agent, *, listed: bool = False) -> dict[str, Any]:
    """An agent."""
    facts: dict[str, Any] = {
        "id": agent.id,
        "title": agent.title,
        "avatar": None,
        "canvas_category": "agent_canvas",
        "description": agent.description,
        "permission": "me",
    }
    if not era.agent_canvas_list:
        facts |= {"canvas_type": None, "dsl": agent_dsl(agent), "user_id": TENANT}
        return facts | times(era, agent)
    facts |= {"nickname": NICKNAME, "tenant_avatar": None}
    if not listed:
        facts |= {"dsl": agent_dsl(agent), "last_publish_time": None, "user_id": TENANT}
        return facts | times(era, agent)
    optional = {"tags": "", "canvas_type": "", "type": "agent"}
    facts |= {"release_time": None, "tenant_id": TENANT, "update_time": agent.updated}
    return facts | {key: optional[key] for key in era.agent_list_keys}


def _agent_owner(agent: Agent) -> dict[str, Any]:
    version = f"{NICKNAME}_{agent.title}_{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(agent.created / 1000))}"
    return {"exp_user_id": TENANT, "name": "", "version_title": version}


def _session_facts(era: Era, agent: Agent, session: Session) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": session.id, "agent_id": agent.id, "source": session.source, "user_id": session.user_id}
    return facts | (_agent_owner(agent) if era.agent_new_api else {})


def created_session(era: Era, agent: Agent, session: Session) -> dict[str, Any]:
    """A session of an agent, as its creation answers it."""
    return _session_facts(era, agent, session) | {"dsl": agent_dsl(agent), era.agent_session_key: session.messages}


def listed_session(era: Era, agent: Agent, session: Session, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """A session of an agent, as a list answers it without its workflow."""
    facts = _session_facts(era, agent, session)
    if era.agent_session_named and not era.agent_new_api:
        facts |= {"exp_user_id": None, "name": None}
    facts |= {"duration": 0.0, "errors": session.errors, "round": 0, "thumb_up": 0, "tokens": 0}
    return facts | {era.agent_session_list_key: messages} | times(era, session)


def listed_messages(era: Era, session: Session) -> list[dict[str, Any]]:
    """The messages of a session, with the references that a list hangs on them.

    A session that was made before its first run keeps the reference of the last run alone, and lists hang it on the first
    answer; a session that a run has made keeps one for each answer (source: ``_normalize_agent_session``).

    Raises:
        AttributeError: As the server does over the first source (0.25.1 to 0.25.6).
    """
    references = session.references if session.source == "workflow" else session.references[-1:]
    messages = [dict(message) for message in session.messages]
    answers = [message for at, message in enumerate(messages) if at and message["role"] != "user"]
    if era.agent_references is AgentReferences.NONE:
        for message in answers if any(references) else []:
            message["reference"] = []
        return messages
    for message, reference in zip(answers, references, strict=False):
        chunks: dict[str, dict[str, Any]] = reference.get("chunks", {})
        if chunks and era.agent_references is AgentReferences.FAIL:
            raise AttributeError("'str' object has no attribute 'get'")
        message["reference"] = [_listed_chunk(era, key, chunk) for key, chunk in chunks.items()]
    return messages


_LISTED = ("id", "content", "document_id", "document_name", "dataset_id", "image_id", "positions")


def _listed_chunk(era: Era, key: str, chunk: dict[str, Any]) -> dict[str, Any]:
    if era.agent_references is AgentReferences.KEYS:
        return dict.fromkeys(_LISTED) | {"id": key, "content": key}
    return {name: chunk.get(name) for name in _LISTED} | {"citation_id": key}


def session_detail(era: Era, agent: Agent, session: Session) -> dict[str, Any]:
    """A session of an agent, as a GET of it answers: under the database's own names."""
    last: dict[str, Any] | list[Any] = session.references[-1] if session.references else []
    reference = session.references if session.source == "workflow" else last
    seen = listed_session(era, agent, session, session.messages)
    seen |= {"message": session.messages, "dsl": agent_dsl(agent, session), "reference": reference}
    seen.pop("messages", None)
    del seen["agent_id"]
    return seen | {"dialog_id": agent.id}
