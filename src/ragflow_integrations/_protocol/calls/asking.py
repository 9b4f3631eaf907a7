"""Asking a question: its session, the lock of the session, the request, a second form of it, and the end of its stream."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ragflow_integrations._protocol.calls import completion_options, completions
from ragflow_integrations._protocol.calls.history import history
from ragflow_integrations._protocol.steps import Open, Operation, Wait
from ragflow_integrations.errors import NotFoundError, RAGFlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations._protocol.calls.completion import Completion, Prepare
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Subject
    from ragflow_integrations.models import AnswerEvent, CompletionOptions, JsonObject, Message


def in_session(
    profile: ServerProfile,
    question: str,
    *,
    chat_id: str | None,
    agent_id: str | None,
    session_id: str | None,
    options: CompletionOptions,
    stream: bool,
) -> Operation[Any]:
    """Ask in a session, one turn at a time. Arguments are checked before the first step.

    Returns:
        An operation that returns the answer, or its stream.

    Raises:
        InvalidArgumentError: An argument is missing, malformed or contradicts another.
    """
    target, checked = completions.check_turn(question, chat_id, agent_id, options, stream=stream)
    return _take_turn(profile, question, target, session_id, checked, stream=stream)


def _take_turn(
    profile: ServerProfile, question: str, target: Subject, session_id: str | None, options: CompletionOptions, *, stream: bool
) -> Operation[Any]:
    session, within = yield from completions.ensure_session(profile, target, session_id, options)

    def prepare() -> Operation[Completion]:
        return completions.session_completion(
            profile, question, target=target, session_id=session, stream=stream, options=within
        )

    lease = yield Wait(session)
    try:
        result = yield from _ask(profile, prepare, stream=stream, on_close=lease.release)
    except BaseException:  # interrupted too: the operation is closed, and `GeneratorExit` comes here
        lease.release()
        raise
    if not stream:
        lease.release()
    return result


def stateless(
    profile: ServerProfile,
    messages: Iterable[Message | Mapping[str, str]],
    *,
    chat_id: str,
    options: CompletionOptions,
    stream: bool,
) -> Operation[Any]:
    """Ask without a session. Arguments are checked before the first step.

    Returns:
        An operation that returns the answer, or its stream.

    Raises:
        InvalidArgumentError: An argument is missing, malformed or contradicts another.
    """
    target = completions.resolve_target(chat_id, None)
    written, checked = history(messages), completion_options.check(options, "stateless")

    def prepare() -> Operation[Completion]:
        return completions.stateless_completion(profile, written, target=target, stream=stream, options=checked)

    return _ask(profile, prepare, stream=stream)


def _ask(
    profile: ServerProfile, prepare: Prepare, *, stream: bool, on_close: Callable[[], None] | None = None
) -> Operation[Any]:
    """Ask; once more in another form if the failure of the first says that the server needs it."""
    preparing = prepare()
    while True:
        completion = yield from preparing
        try:
            if stream:
                return (yield Open(completion, on_close))
            if completion.stream:
                return (yield Open(completion, gather=True))
            return completion.answer((yield completion.request))
        except RAGFlowError as error:
            answer = yield from completion.answer_of(error, profile)
            if answer is not None:
                return answer
            second = completion.second_try(error, profile, prepare)
            if second is None:
                raise
            preparing = second


def settle(completion: Completion, reader: AnswerReader) -> Operation[list[AnswerEvent]]:
    """Ask the server how an answer ended whose stream does not tell; return the last events.

    Args:
        completion: The question.
        reader: Its reader, `unsettled`; afterwards it has the answer, or the error to raise.
    """
    events: list[AnswerEvent] = []
    if not reader.in_doubt:
        try:
            if completion.explain_cut is not None and (yield from completion.explain_cut(reader)):
                events += reader.complete()
        except NotFoundError as missing:
            reader.error = missing
        except RAGFlowError:
            pass  # the cut itself is the failure to raise
    if reader.in_doubt:
        session: JsonObject | None = None
        if completion.session_object is not None:
            with contextlib.suppress(RAGFlowError):  # if it cannot be read, the events of the run must do
                session = yield from completion.session_object()
        events += reader.settle(session)
    return events
