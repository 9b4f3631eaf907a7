"""Questions: what is sent for a turn of a session, and for a stateless answer.

A turn goes to the native route, which stores it; the path with the chat id in it exists in every release. A stateless answer
goes to the OpenAI-compatible route, which stores nothing, exists in every release, and reports usage; only options it lacks
take it to the native route of ≥ 0.27.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, cast

from ragflow_integrations._protocol import arguments, asking_again, operations
from ragflow_integrations._protocol.answers.builder import MOST_CHUNKS
from ragflow_integrations._protocol.answers.reader import AnswerReader, Asked, Route, whole_answer
from ragflow_integrations._protocol.compat import features, server_version
from ragflow_integrations._protocol.history import history
from ragflow_integrations._protocol.http import Operation, Request, Subject, path
from ragflow_integrations.citations import check_style
from ragflow_integrations.errors import (
    AgentNotFoundError,
    ChatNotFoundError,
    InvalidArgumentError,
    UnsupportedByServerError,
)
from ragflow_integrations.models import Answer, CitationStyle, CompletionOptions, ReasoningEffort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations._protocol.compat.server_version import Profile
    from ragflow_integrations.models import JsonObject, JsonValue, Message

_EFFORTS: dict[ReasoningEffort, int] = {"off": 0, "low": 1, "medium": 2, "high": 3, "ultra": 4}
#: Stateless options that only the native route has.
_NATIVE_ONLY = ("document_ids", "reasoning_effort", "internet")
#: Keys of a turn's body that are no variables of the assistant's prompt.
_RESERVED = {
    *("question", "messages", "stream", "legacy", "llm_id", "model", "doc_ids", "metadata_condition", "internet", "reasoning"),
    *("session_id", "chat_id", "conversation_id", "user_id", "id", "quote", "kb_ids", "files", *arguments.GENERATION),
    *("reference_metadata", "include_metadata", "metadata_fields", "pass_all_history_messages", "store_history_messages"),
}


def target(chat_id: str | None, agent_id: str | None) -> Subject:
    """Check who is asked.

    Raises:
        InvalidArgumentError: Not exactly one is named.
    """
    if arguments.exactly_one(chat_id=chat_id, agent_id=agent_id) == "chat_id":
        return Subject("chat assistant", arguments.text("chat_id", chat_id), ChatNotFoundError)
    return Subject("agent", arguments.text("agent_id", agent_id), AgentNotFoundError)


@dataclass(slots=True)
class Plan:
    """How a question is put, as the replies to it so far have taught; see `asking_again`.

    Attributes:
        gather: Streamed, although the caller does not stream.
        as_messages: As `messages`.
        without_references: Without asking for references.
    """

    gather: bool = False
    as_messages: bool = False
    without_references: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A question ready to be sent.

    Attributes:
        request: The request.
        route: Format of the reply.
        style: Citation style.
        session_id: The session asked, None for a stateless answer.
        stream: Whether the reply is streamed, whatever the caller wants.
        plan: How it is put.
        references: Whether references are asked for by a flag.
        most_chunks: How many chunks the assistant can give, None if that is not known.
    """

    request: Request
    route: Route
    style: CitationStyle
    session_id: str | None
    stream: bool
    plan: Plan = field(default_factory=Plan)
    references: bool = False
    most_chunks: int | None = None

    @property
    def chat_id(self) -> str:
        """The assistant or agent asked."""
        return self.request.subject.id if self.request.subject else ""

    def reader(self, status: int, headers: Mapping[str, str], *, coalesce: bool = False) -> AnswerReader:
        """Make the reader of a streamed reply."""
        return AnswerReader(self._about(), status=status, headers=headers, coalesce=coalesce)

    def answer(self, body: JsonObject) -> Answer:
        """Read a reply that does not stream."""
        return whole_answer(self._about(), body)

    def _about(self) -> Asked:
        most = MOST_CHUNKS if self.most_chunks is None else self.most_chunks
        return Asked(self.route, self.request, self.style, self.session_id, most, self.plan.gather)


def check_options(options: CompletionOptions, kind: Literal["turn", "agent", "stateless"]) -> CompletionOptions:
    """Check the options of a question, of a chat assistant's turn, an agent's, or without a session.

    Raises:
        InvalidArgumentError: One is unknown or malformed.
    """
    known = CompletionOptions.__optional_keys__
    for name in options:
        if name not in known:
            raise InvalidArgumentError(name, f"is not an option; there are {', '.join(sorted(known))}")
    given = cast("CompletionOptions", {name: value for name, value in options.items() if value is not None})
    _check_values(given)
    _check_together(given, kind)
    return given


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "document_ids": arguments.ids,
    **dict.fromkeys(("metadata_condition", "variables", "inputs"), arguments.json_object),
    **dict.fromkeys(("internet", "return_trace"), arguments.flag),
    **arguments.GENERATION,
}


def _check_values(options: CompletionOptions) -> None:
    check_style(options.get("citation_style", "bracket"))
    if "model" in options:
        arguments.text("model", options["model"], example="'gpt-4o@OpenAI'")
    if options.get("reasoning_effort", "off") not in (*_EFFORTS,):
        raise InvalidArgumentError("reasoning_effort", f"must be one of {', '.join(_EFFORTS)}")
    for name, check in _CHECKS.items():
        if name in options:
            check(name, options.get(name))
    reserved = sorted(_RESERVED.intersection(options.get("variables", {})))
    if reserved:
        raise InvalidArgumentError("variables", f"cannot be named {reserved}, which RAGFlow takes for settings of the question")


#: Options that one kind of question has.
_OF_AGENTS = ("inputs", "return_trace")


def _check_together(options: CompletionOptions, kind: Literal["turn", "agent", "stateless"]) -> None:
    for name in options:
        if (name in _OF_AGENTS) != (kind == "agent") and name != "citation_style":
            whose = "an option of agents; ask with `agent_id`" if name in _OF_AGENTS else "no option of agents"
            raise InvalidArgumentError(name, f"is {whose}")
    generation = next(iter(_generation(options)), None)
    if kind == "turn" and generation and "model" not in options:
        raise InvalidArgumentError(
            generation, "is honoured in a session only together with `model`; set it on the assistant instead"
        )
    if kind != "stateless":
        return
    if "variables" in options:
        raise InvalidArgumentError("variables", "are substituted in sessions only; ask with `session_id`")
    if "metadata_condition" in options and any(name in options for name in _NATIVE_ONLY):
        raise InvalidArgumentError(
            "metadata_condition", "and `document_ids`, `reasoning_effort`, `internet` exclude each other without a session"
        )


def check_turn(
    question: str, chat_id: str | None, agent_id: str | None, options: CompletionOptions
) -> tuple[Subject, CompletionOptions]:
    """Check what a turn of a session is asked with.

    Raises:
        InvalidArgumentError: Something is missing, malformed or contradictory.
    """
    asked = target(chat_id, agent_id)
    arguments.text("question", question)  # an empty one would make an agent repeat an earlier question (notes §9)
    return asked, check_options(options, "agent" if asked.missing is AgentNotFoundError else "turn")


def preparing(
    profile: Profile,
    messages: Iterable[Message | Mapping[str, str]],
    chat_id: str,
    options: CompletionOptions,
    *,
    stream: bool,
) -> Callable[[], Operation[Completion]]:
    """Check what a stateless question is asked with; give what prepares it.

    Raises:
        InvalidArgumentError: Something is missing, malformed or contradictory.
    """
    asked = target(chat_id, None)
    written, checked = history(messages), check_options(options, "stateless")
    plan = Plan()
    return lambda: stateless(profile, written, asked=asked, stream=stream, options=checked, plan=plan)


def begin(profile: Profile, asked: Subject, session_id: str | None, options: CompletionOptions) -> Operation[str]:
    """Give the session to ask in, once the server is known to honour the options.

    One is made where none is named, since ≤ 0.24 throw the question away otherwise.
    """
    if session_id is not None:
        arguments.text("session_id", session_id)
    of_agent = asked.missing is AgentNotFoundError
    if of_agent:
        yield from server_version.require(profile, features.AGENTS)
    yield from _require(profile, features.AGENT_FEATURES if of_agent else features.SESSION_FEATURES, options)
    if session_id is not None:
        return session_id
    if of_agent:
        session = yield from operations.create_agent_session(profile, asked.id)
    else:
        session = yield from operations.create_session(asked.id)
    return session.id


def _require(profile: Profile, needed: Mapping[str, features.Feature], options: CompletionOptions) -> Operation[None]:
    for name, feature in needed.items():
        if name in options:
            yield from server_version.require(profile, feature)
    if options.get("reasoning_effort", "off") not in ("off", "medium"):
        yield from server_version.require(profile, features.EFFORT_LEVELS)
    zero = next((name for name, value in _generation(options).items() if value == 0), None)
    if zero and needed is features.SESSION_FEATURES:
        what = f"`{zero}` of 0 with `model` in a session"
        instead = "It is dropped there: give a small number such as 0.001, or set it on the assistant."
        yield from server_version.require(profile, replace(features.ZERO_SETTINGS, what=what, instead=instead))


def taking_turn(
    profile: Profile, question: str, *, asked: Subject, session_id: str, stream: bool, options: CompletionOptions
) -> Callable[[], Operation[Completion]]:
    """Return what prepares one turn of a session; question and options are checked, see `check_turn` and `begin`."""
    plan = Plan()
    return lambda: turn(profile, question, asked=asked, session_id=session_id, stream=stream, options=options, plan=plan)


def turn(
    profile: Profile,
    question: str,
    *,
    asked: Subject,
    session_id: str,
    stream: bool,
    options: CompletionOptions,
    plan: Plan | None = None,
) -> Operation[Completion]:
    """Prepare one turn of a session; question and options are checked, see `check_turn` and `begin`."""
    plan = plan or Plan()
    body: dict[str, JsonValue] = {"question": question, "session_id": session_id, "stream": stream}
    metadata: dict[str, JsonValue] = {"include": True}  # of the documents cited; others than ≥ 0.25.6 leave it aside
    style = options.get("citation_style", "bracket")
    if asked.missing is AgentNotFoundError:
        # Streamed always: only a stream has the thinking and the trace, and ≤ 0.19 do not answer otherwise.
        body |= _agent_options(options) | {"stream": True}
        request = Request("POST", path("agents", asked.id, "completions"), json=body, subject=asked)
        return Completion(request, "agent", style, session_id, stream=True, plan=plan)
    body = {**options.get("variables", {}), **body, **_generation(options), "reference_metadata": metadata}
    if "model" in options:
        body["llm_id"] = options["model"]
    if "document_ids" in options:
        body["doc_ids"] = ",".join(options["document_ids"])
    if "metadata_condition" in options:
        body["metadata_condition"] = dict(options["metadata_condition"])
    yield from _native_only(profile, body, options)
    yield from _check_research_off(profile, asked.id, options)
    if (yield from server_version.takes_only_messages(profile)):
        del body["question"]
        plan.gather = plan.gather or not stream
        session = yield from operations.get_session(asked.id, session_id)
        # As stored, markers and all: what is sent becomes the stored history.
        stored: list[JsonValue] = [dict(message.raw) for message in session.messages]
        body |= {"messages": [*stored, {"role": "user", "content": question}]}
    stream = stream or (yield from _must_gather(profile, asked.id, options, plan))
    request = Request("POST", path("chats", asked.id, "completions"), json=body | {"stream": stream}, subject=asked)
    return Completion(request, "native", style, session_id, stream, plan, most_chunks=_most_chunks(profile, asked, options))


def _must_gather(profile: Profile, chat_id: str, options: CompletionOptions, plan: Plan) -> Operation[bool]:
    """Tell whether a turn is streamed and gathered: a reply that does not stream would be cut short (`RESEARCH_CUT`).

    Other replies are better whole: 0.24.0 and ≥ 0.26.1 add the citations that the LLM left out to those only. So the
    assistant's "Reasoning" switch decides, which is asked for once; a turn that was cut is stored all the same.
    """
    if plan.gather:
        return True
    if profile.known.supports(features.RESEARCH_CUT) is False:
        return False
    if options.get("reasoning_effort", "off") != "off":
        plan.gather = True
        return True
    known = yield from asking_again.assistant(profile, chat_id)
    plan.gather = known is not None and known.researches
    return plan.gather


def _check_research_off(profile: Profile, chat_id: str, options: CompletionOptions) -> Operation[None]:
    """Make sure that `reasoning_effort="off"` is honoured: before 0.27 the assistant's own switch is stronger."""
    if options.get("reasoning_effort") != "off" or (yield from server_version.find_out(profile, features.EFFORT_LEVELS)):
        return
    known = yield from asking_again.assistant(profile, chat_id)
    if known is not None and known.researches:
        raise UnsupportedByServerError(
            f"`reasoning_effort='off'` for an assistant whose \"Reasoning\" switch is on needs RAGFlow 0.27.0 or newer; this "
            f"server is {profile.known}. Turn it off on the assistant: client.chats.update({chat_id!r}, "
            "prompt={'reasoning': False})."
        )


def _most_chunks(profile: Profile, asked: Subject, options: CompletionOptions) -> int | None:
    """Return how many chunks an assistant can give its LLM, as far as that is known."""
    known = profile.assistants.get(asked.id)
    if known is None or any(name in options for name in ("reasoning_effort", "internet")):
        return None
    return known.most_chunks if known.cites else 0


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


def stateless(
    profile: Profile,
    messages: list[JsonValue],
    *,
    asked: Subject,
    stream: bool,
    options: CompletionOptions,
    plan: Plan | None = None,
) -> Operation[Completion]:
    """Prepare a stateless answer; `messages` (see `history`) and `options` are checked."""
    plan = plan or Plan()
    known = profile.assistants.get(asked.id)
    if known is not None and known.researches and profile.known.supports(features.RESEARCH_CUT) is not False:
        plan.gather = True
    stream = stream or plan.gather
    most_chunks = _most_chunks(profile, asked, options)
    yield from _require(profile, features.STATELESS_FEATURES, options)
    body: dict[str, JsonValue] = {"messages": messages, "stream": stream, **_generation(options)}
    style = options.get("citation_style", "bracket")
    if not any(name in options for name in _NATIVE_ONLY):
        # Releases look for the reference flag in two places (0.20–0.22 at the top, ≥ 0.23 in `extra_body`), and do not
        # cite without it. 0.20–0.23.1 fail over it where there is nothing to cite, as an assistant shows that cites nothing.
        cites = known is None or known.cites or profile.known.supports(features.NO_REFERENCE_FAILS) is False
        references = cites and not plan.without_references
        extra: dict[str, JsonValue] = {"reference": references, "reference_metadata": {"include": True}}
        if "metadata_condition" in options:
            extra["metadata_condition"] = dict(options["metadata_condition"])
        # Any other name than `model` must be one of an LLM the server has (≥ 0.25.1).
        body |= {"model": options.get("model", "model"), "reference": references, "extra_body": extra}
        where = path("chats_openai", asked.id, "chat", "completions")
        request = Request("POST", where, json=body, repeat="unanswered", subject=asked)
        return Completion(request, "openai", style, None, stream, plan, references, most_chunks)
    body |= {"pass_all_history_messages": True, "store_history_messages": False, "reference_metadata": {"include": True}}
    if "model" in options:
        body["llm_id"] = options["model"]
    if "document_ids" in options:
        body["doc_ids"] = ",".join(options["document_ids"])
    yield from _native_only(profile, body, options)
    where = path("chats", asked.id, "completions")
    request = Request("POST", where, json=body, repeat="unanswered", subject=asked)
    return Completion(request, "native", style, None, stream, plan, most_chunks=most_chunks)


def _native_only(profile: Profile, body: dict[str, JsonValue], options: CompletionOptions) -> Operation[None]:
    if "internet" in options:
        body["internet"] = options["internet"]
    effort = options.get("reasoning_effort")
    if effort is not None:
        levels = yield from server_version.find_out(profile, features.EFFORT_LEVELS)
        body["reasoning"] = _EFFORTS[effort] if levels else effort != "off"


def _generation(options: CompletionOptions) -> dict[str, JsonValue]:
    return {name: cast("float", value) for name, value in options.items() if name in arguments.GENERATION}
