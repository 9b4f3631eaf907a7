"""Options of a question: checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from ragflow_integrations._protocol import validation
from ragflow_integrations._protocol.calls import metadata_filters
from ragflow_integrations.citations import check_style
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import CompletionOptions, ReasoningEffort

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragflow_integrations.models import JsonValue

#: What is asked: a turn of a chat assistant's session, an agent, or an assistant without a session.
Kind: TypeAlias = Literal["turn", "agent", "stateless"]

EFFORTS: Final[dict[ReasoningEffort, int]] = {"off": 0, "low": 1, "medium": 2, "high": 3, "ultra": 4}
#: Keys of a turn's body that are no variables of the assistant's prompt.
_RESERVED = {
    *("question", "messages", "stream", "legacy", "llm_id", "model", "doc_ids", "metadata_condition", "internet", "reasoning"),
    *("session_id", "chat_id", "conversation_id", "user_id", "id", "quote", "kb_ids", "files", *validation.GENERATION),
    *("reference_metadata", "include_metadata", "metadata_fields", "pass_all_history_messages", "store_history_messages"),
}


def check(options: CompletionOptions, kind: Kind) -> CompletionOptions:
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
    "document_ids": validation.ids,
    "metadata_condition": metadata_filters.parse,
    **dict.fromkeys(("variables", "inputs"), validation.json_object),
    **dict.fromkeys(("internet", "return_trace", "agent_steps"), validation.flag),
    **validation.GENERATION,
}


def _check_values(options: CompletionOptions) -> None:
    check_style(options.get("citation_style", "bracket"))
    if "model" in options:
        validation.text("model", options["model"], example="'gpt-4o@OpenAI'")
    if options.get("reasoning_effort", "off") not in (*EFFORTS,):
        raise InvalidArgumentError("reasoning_effort", f"must be one of {', '.join(EFFORTS)}")
    for name, check in _CHECKS.items():
        if name in options:
            check(name, options.get(name))
    reserved = sorted(_RESERVED.intersection(options.get("variables", {})))
    if reserved:
        raise InvalidArgumentError("variables", f"cannot be named {reserved}, which RAGFlow takes for settings of the question")


#: Options that one kind of question has.
_OF_AGENTS = ("inputs", "return_trace", "agent_steps")


def _check_together(options: CompletionOptions, kind: Kind) -> None:
    for name in options:
        if (name in _OF_AGENTS) != (kind == "agent") and name != "citation_style":
            whose = "an option of agents; ask with `agent_id`" if name in _OF_AGENTS else "no option of agents"
            raise InvalidArgumentError(name, f"is {whose}")
    setting = next(iter(generation(options)), None)
    if kind == "turn" and setting and "model" not in options:
        raise InvalidArgumentError(
            setting, "is honoured in a session only together with `model`; set it on the assistant instead"
        )
    if kind == "stateless" and "variables" in options:
        raise InvalidArgumentError("variables", "are substituted in sessions only; ask with `session_id`")


def generation(options: CompletionOptions) -> dict[str, JsonValue]:
    """Return those options that are settings of the LLM's generation."""
    return {name: cast("float", value) for name, value in options.items() if name in validation.GENERATION}
