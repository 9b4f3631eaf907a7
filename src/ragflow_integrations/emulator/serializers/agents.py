"""JSON of agents and their workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.defaults import CHAT_MODEL, NICKNAME, TENANT
from ragflow_integrations.emulator.serializers.times import times

if TYPE_CHECKING:
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Agent, Session

TIPS = "Please fill up the form"


def form_of(agent: Agent) -> dict[str, Any]:
    """Return the fields of the form that an agent asks for."""
    return {agent.asks: {"type": "line", "name": agent.asks, "optional": False, "options": []}} if agent.asks else {}


def node_names(agent: Agent) -> list[str]:
    """Return the nodes of an agent, in their order."""
    names = ["begin"]
    names += ["Message:Hello"] if agent.greets else []
    names += ["UserFillUp:Ask"] if agent.asks else []
    if agent.says is None:
        names += ["Retrieval:Kb"] if agent.dataset_ids else []
        names += ["Agent:Main"]
    return [*names, "Message:Out"]


def agent_dsl(agent: Agent, session: Session | None = None) -> dict[str, Any]:
    """Return the workflow of an agent; with a session, also the path of its last run and the outputs of its nodes.

    The output of a node whose model failed is not a text but an empty object: what Python's ``partial``, which stood for the
    text to come, is written as (source: ``ComponentParamBase.as_dict``, 0.20.5 to 0.27.0).
    """
    names = node_names(agent)
    params: dict[str, dict[str, Any]] = {
        "begin": {"mode": "conversational", "prologue": agent.prologue, "inputs": {}},
        "Message:Hello": {"content": [agent.greets]},
        "UserFillUp:Ask": {"enable_tips": True, "tips": TIPS, "inputs": form_of(agent)},
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
            "upstream": names[max(index - 1, 0) : index],
            "downstream": names[index + 1 : index + 2],
        }
        for index, name in enumerate(names)
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
    """Return an agent."""
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
