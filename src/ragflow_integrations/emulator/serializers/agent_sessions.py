"""JSON of the sessions of agents."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.defaults import NICKNAME, TENANT
from ragflow_integrations.emulator.eras import AgentReferences
from ragflow_integrations.emulator.serializers.agents import agent_dsl
from ragflow_integrations.emulator.serializers.times import times

if TYPE_CHECKING:
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Agent, Session

_LISTED = ("id", "content", "document_id", "document_name", "dataset_id", "image_id", "positions")


def _agent_owner(agent: Agent) -> dict[str, Any]:
    version = f"{NICKNAME}_{agent.title}_{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(agent.created / 1000))}"
    return {"exp_user_id": TENANT, "name": "", "version_title": version}


def _session_facts(era: Era, agent: Agent, session: Session) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": session.id, "agent_id": agent.id, "source": session.source, "user_id": session.user_id}
    return facts | (_agent_owner(agent) if era.agent_new_api else {})


def created_session(era: Era, agent: Agent, session: Session) -> dict[str, Any]:
    """Return a session of an agent, as its creation answers it."""
    return _session_facts(era, agent, session) | {"dsl": agent_dsl(agent), era.agent_session_key: session.messages}


def listed_session(era: Era, agent: Agent, session: Session, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a session of an agent, as a list answers it without its workflow."""
    facts = _session_facts(era, agent, session)
    if era.agent_session_named and not era.agent_new_api:
        facts |= {"exp_user_id": None, "name": None}
    facts |= {"duration": 0.0, "errors": session.errors, "round": 0, "thumb_up": 0, "tokens": 0}
    return facts | {era.agent_session_list_key: messages} | times(era, session)


def _listed_chunk(era: Era, key: str, chunk: dict[str, Any]) -> dict[str, Any]:
    if era.agent_references is AgentReferences.KEYS:
        return dict.fromkeys(_LISTED) | {"id": key, "content": key}
    return {name: chunk.get(name) for name in _LISTED} | {"citation_id": key}


def listed_messages(era: Era, session: Session) -> list[dict[str, Any]]:
    """Return the messages of a session, with the references that a list adds to them.

    A session that was made before its first run keeps the reference of the last run alone, and lists add it to the first
    answer; a session that a run has made keeps one for each answer (source: ``_normalize_agent_session``).

    Raises:
        AttributeError: As the server does over the first source (0.25.1 to 0.25.6).
    """
    references = session.references if session.source == "workflow" else session.references[-1:]
    messages = [dict(message) for message in session.messages]
    answers = [message for index, message in enumerate(messages) if index and message["role"] != "user"]
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


def session_detail(era: Era, agent: Agent, session: Session) -> dict[str, Any]:
    """Return a session of an agent, as a GET of it answers: under the database's own names."""
    last: dict[str, Any] | list[Any] = session.references[-1] if session.references else []
    reference = session.references if session.source == "workflow" else last
    fields = listed_session(era, agent, session, session.messages)
    fields |= {"message": session.messages, "dsl": agent_dsl(agent, session), "reference": reference}
    fields.pop("messages", None)
    del fields["agent_id"]
    return fields | {"dialog_id": agent.id}
