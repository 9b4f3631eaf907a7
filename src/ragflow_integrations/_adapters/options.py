"""Names and checks of the options that both adapters offer; the names come from the core's `TypedDict`s."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ragflow_integrations.citations import check_style
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import CompletionOptions, RetrievalOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Documents that a search returns if a caller does not say how many.
DEFAULT_LIMIT = 8
#: An option of the core for which neither framework has a place in its answers.
_EVENTS = "agent_steps"
#: Options of a question and of a search, in alphabetical order for messages.
QUESTION_OPTIONS = tuple(sorted(CompletionOptions.__optional_keys__ - {_EVENTS}))
RETRIEVAL_OPTIONS = tuple(sorted(RetrievalOptions.__optional_keys__))


def check_names(names: Iterable[str], known: Iterable[str], kind: str) -> None:
    """Check that options are known.

    Args:
        names: Their names.
        known: Names of the options there are.
        kind: What they are options of, for the message.

    Raises:
        InvalidArgumentError: One is not.
    """
    known = tuple(known)
    for name in names:
        if name == _EVENTS:
            raise InvalidArgumentError(name, "gives events for which the framework has no place; use `client.stream`")
        if name not in known:
            raise InvalidArgumentError(name, f"is no option of a {kind}; options are {', '.join(known)}")


def question_options(options: Mapping[str, object]) -> CompletionOptions:
    """Check the names of a question's options when they are given, not when they are used; drop those that are None.

    Raises:
        InvalidArgumentError: One is unknown, or the style of citations is.
    """
    options = {name: value for name, value in options.items() if value is not None and (name != _EVENTS or value)}
    check_names(options, QUESTION_OPTIONS, "question")
    checked = cast("CompletionOptions", options)
    check_style(checked.get("citation_style", "bracket"))
    return checked
