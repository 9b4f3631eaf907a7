"""Questions: what is sent for a turn of a session, and for a stateless answer.

A turn goes to the native route, which stores it; the path with the chat id in it exists in every release. A stateless answer
goes to the OpenAI-compatible route, which stores nothing, exists in every release, and reports usage; only options it lacks
take it to the native route of ≥ 0.27.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import validation
from ragflow_integrations._protocol.calls import (
    agents,
    chats,
    completion_options,
    metadata_filters,
    scope,
    sessions,
    whole_answers,
)
from ragflow_integrations._protocol.calls.completion import Completion, session_exists
from ragflow_integrations._protocol.compat import features, pairs, server_version
from ragflow_integrations._protocol.steps import Operation, Request, Subject, path
from ragflow_integrations.errors import (
    AgentNotFoundError,
    ChatNotFoundError,
    InvalidArgumentError,
)

if TYPE_CHECKING:
    from ragflow_integrations._protocol.calls.metadata_filters import Group
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations.models import CompletionOptions, JsonValue

#: Stateless options that only the native route has.
_NATIVE_ONLY = ("document_ids", "reasoning_effort", "internet")


def resolve_target(chat_id: str | None, agent_id: str | None) -> Subject:
    """Check who is asked.

    Raises:
        InvalidArgumentError: Not exactly one is named.
    """
    if validation.exactly_one(chat_id=chat_id, agent_id=agent_id) == "chat_id":
        return Subject("chat assistant", validation.text("chat_id", chat_id), ChatNotFoundError)
    return Subject("agent", validation.text("agent_id", agent_id), AgentNotFoundError)


def check_turn(
    question: str, chat_id: str | None, agent_id: str | None, options: CompletionOptions, *, stream: bool
) -> tuple[Subject, CompletionOptions]:
    """Check what a turn of a session is asked with.

    Raises:
        InvalidArgumentError: Something is missing, malformed or contradictory.
    """
    target = resolve_target(chat_id, agent_id)
    validation.text("question", question)  # empty, an agent answers an earlier one: docs/protocol.md, "Agents"
    if options.get("agent_steps") and not stream:
        raise InvalidArgumentError("agent_steps", "gives events of a stream; use `client.stream`")
    return target, completion_options.check(options, "agent" if target.not_found_error is AgentNotFoundError else "turn")


def ensure_session(
    profile: ServerProfile, target: Subject, session_id: str | None, options: CompletionOptions
) -> Operation[tuple[str, CompletionOptions]]:
    """Make sure that the server honours the options, and that there is a session.

    A session is created if none is named, since ≤ 0.24 throw the question away otherwise.

    Returns:
        Id of the session, and the options to ask with: filters have become `document_ids`.
    """
    if session_id is not None:
        validation.text("session_id", session_id)
    of_agent = target.not_found_error is AgentNotFoundError
    if of_agent:
        yield from server_version.require(profile, features.AGENTS)
    yield from _require(profile, features.AGENT_FEATURES if of_agent else features.SESSION_FEATURES, options)
    zero = next((name for name, value in completion_options.generation(options).items() if value == 0), None)
    if "model" in options and zero is not None:
        what = f"`{zero}` of 0 beside `model` in a session"
        yield from server_version.require(profile, replace(features.ZERO_SETTINGS, what=what))
    if not of_agent:
        options = yield from _within_filters(profile, target, options)
    if session_id is not None:
        return session_id, options
    if of_agent:
        session = yield from agents.create_agent_session(profile, target.id, options.get("inputs"))
    else:
        session = yield from sessions.create_session(target.id)
    return session.id, options


def _within_filters(profile: ServerProfile, target: Subject, options: CompletionOptions) -> Operation[CompletionOptions]:
    """Make `document_ids` of all filters: every release honours these in a session, and only these in every combination."""
    if "document_ids" not in options and "metadata_condition" not in options:
        return options
    chat = yield from chats.get_chat(target.id)
    condition = _condition(options)
    document_ids = yield from scope.documents_of_chat(profile, chat, condition, options.get("document_ids"))
    rest = {name: value for name, value in options.items() if name != "metadata_condition"}
    return cast("CompletionOptions", {**rest, "document_ids": document_ids})


def _condition(options: CompletionOptions) -> Group | None:
    given = options.get("metadata_condition")
    return None if given is None else metadata_filters.parse("metadata_condition", given)


def _require(profile: ServerProfile, needed: Mapping[str, features.Feature], options: CompletionOptions) -> Operation[None]:
    for name, feature in needed.items():
        if name in options:
            yield from server_version.require(profile, feature)
    if options.get("reasoning_effort", "off") not in ("off", "medium"):
        yield from server_version.require(profile, features.EFFORT_LEVELS)


def session_completion(
    profile: ServerProfile, question: str, *, target: Subject, session_id: str, stream: bool, options: CompletionOptions
) -> Operation[Completion]:
    """Prepare one turn of a session; question and options are checked, see `check_turn` and `ensure_session`."""
    if target.not_found_error is AgentNotFoundError:
        return (yield from _agent_completion(profile, question, target, session_id, options))
    body: dict[str, JsonValue] = {"question": question, "session_id": session_id, "stream": stream}
    metadata: dict[str, JsonValue] = {"include": True}  # of the documents cited; others than ≥ 0.25.6 leave it aside
    style = options.get("citation_style", "bracket")
    body = {**options.get("variables", {}), **body, **completion_options.generation(options), "reference_metadata": metadata}
    if "model" in options:
        body["llm_id"] = options["model"]
    if "document_ids" in options:
        body["doc_ids"] = ",".join(options["document_ids"])
    yield from _native_only(profile, body, options)
    yield from whole_answers.check_research_off(profile, target, options)
    only_messages = yield from server_version.takes_only_messages(profile)
    gathered = not stream and (only_messages or (yield from whole_answers.researches(profile, target.id, options)))
    stream = stream or gathered
    body["stream"] = stream
    if only_messages:
        del body["question"]
        session = yield from sessions.get_session(target.id, session_id)
        # As stored, markers and all: what is sent becomes the stored history.
        stored: list[JsonValue] = [dict(message.raw) for message in session.messages]
        body |= {"messages": [*stored, {"role": "user", "content": question}]}
    request = Request(
        "POST", path("chats", target.id, "completions"), json=body, subject=target, part=sessions.session_subject(session_id)
    )
    first = profile.known.supports(features.NOTHING_FOUND_UNFINISHED) is True
    return Completion(
        request,
        "native",
        style,
        session_id,
        stream,
        gathered=gathered,
        max_chunks=whole_answers.max_chunks(profile, target, options),
        first_event_may_be_whole=first,
    )


def _agent_completion(
    profile: ServerProfile, question: str, target: Subject, session_id: str, options: CompletionOptions
) -> Operation[Completion]:
    """Prepare a run of an agent. It is always streamed.

    Only a stream has the thinking and the trace, and ≤ 0.19 do not answer otherwise.
    """
    body: dict[str, JsonValue] = {}
    if "inputs" in options and (yield from server_version.may_be(profile, features.INPUTS_IN_BODY)):
        body |= agents.plain_inputs(options["inputs"])
    body |= {"question": question, "session_id": session_id, **_agent_options(options), "stream": True}
    agent_path, session = path("agents", target.id, "completions"), sessions.session_subject(session_id)
    return Completion(
        Request("POST", agent_path, json=body, subject=target, part=session),
        "agent",
        options.get("citation_style", "bracket"),
        session_id,
        stream=True,
        explain_cut=lambda _: session_exists(target.id, session_id),
        agent_steps=options.get("agent_steps", False),
        run_is_hidden=profile.known.supports(features.FORMS_SHOWN) is not True,
        session_object=partial(agents.session_object, target.id, session_id, workflow=True),
    )


def _agent_options(options: CompletionOptions) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {}
    if "inputs" in options:
        # A plain value is a short form of the object the server wants.
        body["inputs"] = {
            name: dict(value) if isinstance(value, Mapping) and "value" in value else {"value": value}
            for name, value in options["inputs"].items()
        }
    if "return_trace" in options:
        body["return_trace"] = options["return_trace"]
    return body


def stateless_completion(
    profile: ServerProfile, messages: list[JsonValue], *, target: Subject, stream: bool, options: CompletionOptions
) -> Operation[Completion]:
    """Prepare a stateless answer; `messages` (see `history`) and `options` are checked."""
    options = yield from _stateless_filters(profile, target, options)
    yield from _require(profile, features.STATELESS_FEATURES, options)
    style = options.get("citation_style", "bracket")
    # A server that has not told its release is not asked for it, so that an empty reply is in doubt. So it is if the
    # assistant was seen before, since its switch may be on by now.
    cuts = profile.known.supports(features.RESEARCH_CUT)
    before = profile.assistants.get(target.id)
    ask_first = cuts is True or (cuts is None and before is not None and before.researches)
    gathered = not stream and ask_first and (yield from whole_answers.researches(profile, target.id, options))
    may_be_cut = not stream and not gathered and (cuts is None or (cuts and before is not None))
    seen = profile.assistants.get(target.id)
    stream = stream or gathered
    max_chunks = whole_answers.max_chunks(profile, target, options)
    body: dict[str, JsonValue] = {"messages": messages, "stream": stream, **completion_options.generation(options)}
    if not any(name in options for name in _NATIVE_ONLY):
        # Releases look for the reference flag in two places (0.20–0.22 at the top, ≥ 0.23 in `extra_body`), and do not
        # cite without it. 0.20–0.23.1 fail over it if there is nothing to cite, as with an assistant that cites nothing.
        may_lack = profile.known.supports(features.REFERENCE_NEEDED) is not False
        references = not may_lack or seen is None or seen.cites
        extra: dict[str, JsonValue] = {"reference": references, "reference_metadata": {"include": True}}
        if condition := _condition(options):
            extra["metadata_condition"] = condition.for_server()
        # Any other name than `model` must be one of an LLM the server has (≥ 0.25.1).
        body |= {"model": options.get("model", "model"), "reference": references, "extra_body": extra}
        url_path = path("chats_openai", target.id, "chat", "completions")
        request = Request("POST", url_path, json=body, retry="expensive", subject=target)
        explain_cut = partial(whole_answers.lacks_only_reference, profile, target, messages)
        return Completion(
            request,
            "openai",
            style,
            None,
            stream,
            explain_cut=explain_cut if may_lack and references else None,
            gathered=gathered,
            max_chunks=max_chunks,
            may_be_cut=may_be_cut,
        )
    body |= {"pass_all_history_messages": True, "store_history_messages": False, "reference_metadata": {"include": True}}
    if "model" in options:
        body["llm_id"] = options["model"]
    if "document_ids" in options:
        body["doc_ids"] = ",".join(options["document_ids"])
    yield from _native_only(profile, body, options)
    url_path = path("chats", target.id, "completions")
    request = Request("POST", url_path, json=body, retry="expensive", subject=target)
    return Completion(
        request, "native", style, None, stream, gathered=gathered, max_chunks=max_chunks, first_event_may_be_whole=True
    )  # ≥ 0.27


def _stateless_filters(profile: ServerProfile, target: Subject, options: CompletionOptions) -> Operation[CompletionOptions]:
    """Leave a condition to the server if it means the same by it, else make `document_ids` of it (≥ 0.27).

    Raises:
        UnsupportedByServerError: It does not, or the assistant's own settings would widen the filter.
    """
    condition = _condition(options)
    if condition is None and "document_ids" not in options:
        return options
    if condition is None or not condition.exact_on_server or any(name in options for name in _NATIVE_ONLY):
        yield from server_version.require(profile, features.STATELESS_FEATURES["document_ids"])
        return (yield from _within_filters(profile, target, options))
    if condition.joined_by_and:
        yield from server_version.require(profile, pairs.CONDITIONS_JOINED)
    chat = yield from chats.get_chat(target.id)
    yield from scope.refuse_wider_answers(profile, chat)
    return options


def _native_only(profile: ServerProfile, body: dict[str, JsonValue], options: CompletionOptions) -> Operation[None]:
    if "internet" in options:
        body["internet"] = options["internet"]
    effort = options.get("reasoning_effort")
    if effort is not None:
        levels = yield from server_version.supports_feature(profile, features.EFFORT_LEVELS)
        body["reasoning"] = completion_options.EFFORTS[effort] if levels else effort != "off"
