"""A question ready to be sent: how its reply is read, and what is asked instead if a release does not take its form."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.answers.builder import MAX_CHUNKS
from ragflow_integrations._protocol.answers.reader import AnswerContext, AnswerReader, Route, whole_answer
from ragflow_integrations._protocol.calls import agents, chats, whole_answers
from ragflow_integrations._protocol.compat import features
from ragflow_integrations._protocol.steps import Operation, Request, UnfinishedReply
from ragflow_integrations.errors import APIError, ProtocolError, RAGFlowError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations.models import Answer, CitationStyle, JsonObject

_CUT = "The server sent only the beginning of an answer (`final: false`). Ask for a stream instead."
Prepare: TypeAlias = "Callable[[], Operation[Completion]]"
ExplainCut: TypeAlias = "Callable[[AnswerReader], Operation[bool]]"
#: What 0.20.0–0.23.1 say about a stateless answer without a reference, if references were asked for.
_REFERENCE_LACKING = "'list' object has no attribute 'get'"


@dataclass(frozen=True, slots=True)
class Completion:
    """A question ready to be sent.

    Attributes:
        request: The request.
        route: Format of the reply.
        style: Citation style.
        session_id: The session asked, None for a stateless answer.
        stream: Whether the reply is streamed, whatever the caller wants.
        explain_cut: Tells of a reader whether the stream that it read lacks nothing but its end, or raises what the stream was
            cut off for; None if neither happens.
        gathered: Whether the reply is streamed although the caller does not stream, so that nobody sees its pieces.
        max_chunks: How many chunks the assistant can give to its LLM.
        may_be_cut: Whether an empty reply may be the first event of deep research instead of the answer; only the native route
            marks it.
        first_event_may_be_whole: Whether a reply that is marked as unfinished may be an answer all the same.
        agent_steps: Whether the nodes of an agent are told of.
        run_is_hidden: Whether the release may hide what became of an agent's run although its events look well.
        session_object: Reads the session of an agent after a run that is in doubt; None if nothing else is.
        is_second: Whether it is the second form of a question whose first failed.
    """

    request: Request
    route: Route
    style: CitationStyle
    session_id: str | None
    stream: bool
    explain_cut: ExplainCut | None = None
    gathered: bool = False
    max_chunks: int = MAX_CHUNKS
    may_be_cut: bool = False
    first_event_may_be_whole: bool = False
    is_second: bool = False
    agent_steps: bool = False
    run_is_hidden: bool = False
    session_object: Callable[[], Operation[JsonObject]] | None = None

    def reader(self, status: int, headers: Mapping[str, str]) -> AnswerReader:
        """Make the reader of a streamed reply."""
        return AnswerReader(self._about(), status=status, headers=headers, coalesce=True)

    def answer(self, body: JsonObject) -> Answer:
        """Read a reply that does not stream."""
        answer = whole_answer(self._about(), body)
        data = fields.mapping(body, "data")
        # The text for "nothing was found" is whole and marked so from 0.26.4 on
        # [03_completion_nonstream_no_knowledge_empty_response].
        if data.get("final") is False and not self.first_event_may_be_whole:
            raise UnfinishedReply(_CUT, answer.message_id)
        if self.may_be_cut and not answer.text:
            raise UnfinishedReply(_CUT, answer=answer)
        return answer

    def _about(self) -> AnswerContext:
        return AnswerContext(
            self.route,
            self.request,
            self.style,
            self.session_id,
            agent_steps=self.agent_steps,
            run_is_hidden=self.run_is_hidden,
            max_chunks=self.max_chunks,
            gathered=self.gathered,
        )

    def _after_looking_for_session(self, session_id: str, error: RAGFlowError) -> Operation[Completion]:
        yield from session_exists(self._asked_id, session_id)
        raise error

    @property
    def _asked_id(self) -> str:
        return self.request.subject.id if self.request.subject else ""

    def answer_of(self, error: RAGFlowError, profile: ServerProfile) -> Operation[Answer | None]:
        """Return the answer that an unfinished reply is all the same, None if it is none.

        An empty one is the beginning of deep research, or an answer: the assistant's switch tells.
        """
        if not isinstance(error, UnfinishedReply) or error.answer is None:
            return None
        profile.assistants.forget(self._asked_id)
        return None if (yield from whole_answers.researches(profile, self._asked_id, {})) else error.answer

    def second_try(self, error: RAGFlowError, profile: ServerProfile, prepare: Prepare) -> Operation[Completion] | None:
        """Return what to ask instead after a failure that another form of the same question avoids; None if there is none.

        The server refused the form, or the question has no session, or the turn that was cut is taken out of it.

        Args:
            error: The failure.
            profile: What is known of the server; it learns from a refusal.
            prepare: What prepared this question.
        """
        body = self.request.json or {}
        if self.is_second:
            return None
        if "question" in body and isinstance(error, APIError) and "missing: messages" in error.message:
            profile.take(profile.known.narrowed(*features.MESSAGES_ONLY.span))
            return _second(prepare())
        if not self.stream and isinstance(error, UnfinishedReply):
            return _second(self._streamed(error, profile))
        if self.route == "agent" and self.session_id is not None and isinstance(error, ServerError):
            return self._after_looking_for_session(self.session_id, error)
        if body.get("reference") is True and isinstance(error, APIError) and _REFERENCE_LACKING in error.message:
            return _second(self._without_references(profile))
        return None

    def _streamed(self, error: UnfinishedReply, profile: ServerProfile) -> Operation[Completion]:
        """Ask for a stream instead of a reply that was cut; its assistant does deep research, whatever was seen before."""
        profile.assistants.forget(self._asked_id)
        if self.session_id is not None:
            yield from whole_answers.drop_turn(profile, self._asked_id, self.session_id, error.message_id)
        request = replace(self.request, json={**(self.request.json or {}), "stream": True})
        return replace(self, request=request, stream=True, gathered=True)

    def _without_references(self, profile: ServerProfile) -> Operation[Completion]:
        """Ask for an answer that the server cannot give with references, since it has none."""
        profile.take(profile.known.narrowed(*features.REFERENCE_NEEDED.span))
        with contextlib.suppress(APIError, ProtocolError):
            yield from chats.get_chat(self._asked_id)  # an assistant that cites nothing is asked so from now on
        body = self.request.json or {}
        extra = {**fields.mapping(body, "extra_body"), "reference": False}
        return replace(self, request=replace(self.request, json={**body, "reference": False, "extra_body": extra}))


def _second(operation: Operation[Completion]) -> Operation[Completion]:
    """Mark the second form of a question: there is no third."""
    completion = yield from operation
    return replace(completion, is_second=True)


def session_exists(agent_id: str, session_id: str) -> Operation[bool]:
    """Check whether a run without an answer is of a session that does not exist: 0.20.0–0.25.0 do not say so.

    Returns:
        False: the run itself has failed.

    Raises:
        SessionNotFoundError: The agent has no such session.
    """
    yield from agents.session_object(agent_id, session_id, workflow=False)
    return False
