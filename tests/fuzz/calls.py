"""Every call of the protocol, ready to be given replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ragflow_integrations._protocol.calls import (
    agents,
    chats,
    chunks,
    completion_options,
    completions,
    datasets,
    documents,
    retrieval,
    sessions,
    system,
)
from ragflow_integrations._protocol.calls.history import history
from ragflow_integrations._protocol.steps import Subject, Upload
from ragflow_integrations.errors import AgentNotFoundError, ChatNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragflow_integrations._protocol.calls.completion import Completion
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Operation
    from ragflow_integrations.models import CompletionOptions

_CHAT = Subject("chat assistant", "c", ChatNotFoundError)
_AGENT = Subject("agent", "a", AgentNotFoundError)


def _answered(prepare: Operation[Completion]) -> Operation[Any]:
    completion = yield from prepare
    body = yield completion.request
    return completion.answer(body)


def _turn(profile: ServerProfile, target: Subject, **options: Any) -> Operation[Any]:
    given = cast("CompletionOptions", options)
    session_id, given = yield from completions.ensure_session(profile, target, None, given)
    prepared = completions.session_completion(profile, "q", target=target, session_id=session_id, stream=False, options=given)
    return (yield from _answered(prepared))


def _stateless(profile: ServerProfile, **options: Any) -> Operation[Any]:
    messages = history([{"role": "user", "content": "q"}])
    checked = completion_options.check(cast("CompletionOptions", options), "stateless")
    prepared = completions.stateless_completion(profile, messages, target=_CHAT, stream=False, options=checked)
    return (yield from _answered(prepared))


#: A new call is put at the end: cases in the corpus name theirs by its place.
CALLS: tuple[Callable[[ServerProfile], Operation[Any]], ...] = (
    lambda _: chats.create_chat("n", dataset_ids=["d"]),
    lambda profile: chats.update_chat(profile, "c", name="n"),
    lambda _: chats.list_chats()(1),
    lambda _: chats.get_chat("c"),
    lambda _: chats.find_chat("n"),
    lambda _: chats.delete_chats(["c"], delete_all=False),
    lambda _: chats.delete_chats(None, delete_all=True),
    lambda _: sessions.create_session("c"),
    lambda _: sessions.list_sessions("c")(1),
    lambda _: sessions.get_session("c", "s"),
    lambda _: sessions.delete_sessions("c", ["s"], delete_all=False),
    lambda _: sessions.update_session("c", "s", name="n"),
    lambda profile: sessions.delete_message(profile, "c", "s", "m"),
    lambda profile: sessions.rate_message(profile, "c", "s", "m", helpful=True, comment="x"),
    lambda _: agents.list_agents(title="t")(1),
    lambda _: agents.get_agent("a"),
    lambda _: agents.find_agent("t"),
    lambda profile: agents.create_agent_session(profile, "a"),
    lambda _: agents.list_agent_sessions("a")(1),
    lambda _: agents.get_agent_session("a", "s"),
    lambda _: agents.delete_agent_sessions("a", None, delete_all=True),
    lambda _: system.related_questions("q"),
    system.server,
    lambda _: system.health(),
    lambda _: datasets.list_datasets(name="n")(1),
    lambda _: datasets.find_dataset("n"),
    lambda _: datasets.get_dataset("d"),
    lambda _: datasets.create_dataset("n"),
    lambda _: datasets.update_dataset("d", name="n"),
    lambda _: datasets.delete_datasets(["d"], delete_all=False),
    lambda _: documents.upload_documents("d", [Upload(name="f", content=b"x")]),
    lambda _: documents.list_documents("d")(1),
    lambda _: documents.get_document("d", "x"),
    lambda _: documents.delete_documents("d", None, delete_all=True),
    lambda _: documents.parse_documents("d", ["x"]),
    lambda _: documents.stop_parsing("d", ["x"]),
    lambda _: documents.parsing_states("d", ["x"]),
    lambda _: chunks.list_chunks("d", "x")(1),
    lambda _: chunks.create_chunk("d", "x", "text"),
    lambda _: chunks.delete_chunks("d", "x", ["k"]),
    lambda profile: retrieval.retrieve(profile, "q", dataset_ids=["d"], limit=250, options={}),
    lambda profile: retrieval.retrieve(profile, "q", dataset_ids=["d"], limit=30, options={"cross_languages": ["en"]}),
    lambda profile: _turn(profile, _CHAT),
    lambda profile: _turn(profile, _CHAT, internet=True, reasoning_effort="high"),
    lambda profile: _turn(profile, _AGENT, return_trace=True),
    _stateless,
    lambda profile: _stateless(profile, document_ids=["x"], reasoning_effort="low"),
)
