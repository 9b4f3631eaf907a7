"""Reads the reply of a completion, streamed or whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from ragflow_integrations._protocol import envelope
from ragflow_integrations._protocol.answers.agent import AgentDecoder
from ragflow_integrations._protocol.answers.builder import MAX_CHUNKS, AnswerBuilder
from ragflow_integrations._protocol.answers.native import NativeDecoder
from ragflow_integrations._protocol.answers.openai import OpenAIDecoder
from ragflow_integrations._protocol.answers.sse import MAX_FRAME, EventStream
from ragflow_integrations._protocol.steps import MAX_REPLY, Body, Reply, Request, UnfinishedReply
from ragflow_integrations.errors import ProtocolError, RAGFlowError, ServerError, StreamInterruptedError
from ragflow_integrations.models import Answer, AnswerEvent, CitationStyle, Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ragflow_integrations.models import JsonObject

Route: TypeAlias = Literal["native", "openai", "agent"]

#: Bytes read behind the terminator, so that the connection can be used again, before the reader gives up on its end.
MAX_DRAIN = 64 * 1024
_OK = 200
_EVENT = b"data:"


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """The question of an answer.

    Attributes:
        route: Format of the reply.
        request: The request, which names the assistant or agent.
        style: Citation style.
        session_id: The session, None for a stateless answer.
        agent_steps: Whether the nodes of an agent are told of.
        run_is_hidden: Whether the release may hide what became of an agent's run although its events look well.
        max_chunks: How many chunks the assistant can give.
        gathered: Whether nobody sees the pieces of a streamed answer.
    """

    route: Route
    request: Request
    style: CitationStyle = "bracket"
    session_id: str | None = None
    agent_steps: bool = False
    run_is_hidden: bool = False
    max_chunks: int = MAX_CHUNKS
    gathered: bool = False

    def builder(self) -> AnswerBuilder:
        """Begin the answer."""
        subject = self.request.subject
        subject_id = subject.id if subject else None
        of_agent = self.route == "agent"
        return AnswerBuilder(
            style=self.style,
            chat_id=None if of_agent else subject_id,
            agent_id=subject_id if of_agent else None,
            session_id=self.session_id,
            agent_steps=self.agent_steps,
            max_chunks=self.max_chunks,
        )


class Decoder(Protocol):
    """Reads one route's replies into an assembler."""

    def event(self, data: str) -> RAGFlowError | bool:
        """Accept an event's data; return an error, or whether it was the terminator."""
        ...

    def whole(self, body: JsonObject) -> None:
        """Accept the reply of a call that does not stream."""


_DECODERS: dict[Route, Callable[[AnswerBuilder, Request, Reply], Decoder]] = {
    "native": NativeDecoder,
    "openai": OpenAIDecoder,
    "agent": AgentDecoder,
}


def whole_answer(context: AnswerContext, body: JsonObject) -> Answer:
    """Read the reply of a completion that does not stream.

    Raises:
        GenerationError: The LLM behind RAGFlow failed.
        ProtocolError: There is no answer in it.
    """
    answer = context.builder()
    answer.whole = True
    _DECODERS[context.route](answer, context.request, Reply(_OK, {}, b"")).whole(body)
    done = answer.finish()
    if isinstance(done, RAGFlowError):
        raise done
    return done


class AnswerReader:
    """Reads one streamed completion: bytes in, events out, no I/O.

    After each `feed` and after `finish`, `error` holds what went wrong, if anything; it is to be raised once the events
    given have been delivered, so that no text is lost. `done` says that nothing more is to come. While `in_doubt`, all has
    come, and `settle` ends the answer.

    Args:
        context: The question.
        status: HTTP status of the reply.
        headers: Reply headers, names in lower case.
        coalesce: Merge the deltas that one `feed` completes.
        max_frame: Most bytes of one event.
        max_body: Most bytes of a body that is no stream.
    """

    def __init__(
        self,
        context: AnswerContext,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        coalesce: bool = False,
        max_frame: int = MAX_FRAME,
        max_body: int = MAX_REPLY,
    ) -> None:
        self.error: RAGFlowError | None = None
        self.done = False
        self.in_doubt = False
        self._silent = False
        self.answer: Answer | None = None
        self._run_is_hidden = context.run_is_hidden
        self._request = context.request
        self._reply = Reply(status, headers or {}, b"")
        self._builder = context.builder()
        self._builder.whole = context.gathered
        self._decoder = _DECODERS[context.route](self._builder, context.request, self._reply)
        self._coalesce = coalesce
        self._events = EventStream(max_frame=max_frame)
        self._body = Body(max_body)
        self._is_stream: bool | None = None if status == _OK else False
        self._began = False
        self._cut_inside = False

    @property
    def partial(self) -> str:
        """Answer text given so far."""
        return self._builder.partial

    @property
    def began(self) -> bool:
        """Whether an event has come."""
        return self._began

    @property
    def inside_event(self) -> bool:
        """Whether bytes have come of an event that has not ended."""
        return self._cut_inside or bool(self._events.rest)

    @property
    def model(self) -> str | None:
        """The LLM that the server names."""
        return self._builder.model

    @property
    def lacks_beginning(self) -> bool:
        """Whether the beginning of the text has not come."""
        return self._builder.beginning_lost

    @property
    def last_text(self) -> str:
        """The last piece of text, as the server sent it."""
        return self._builder.last_text

    def release(self) -> None:
        """Let `partial` have all the text that has come, also what waited for the end of the stream."""
        self._builder.release()

    def feed(self, data: bytes) -> list[AnswerEvent]:
        """Accept bytes of the body as they come; return the events they complete."""
        if self.done or self.in_doubt:
            return []
        try:
            if not self._is_stream:
                data = self._sniff(data)
            return self._read(self._events.feed(data)) if self._is_stream else []
        except RAGFlowError as error:
            return self._fail(error)

    def finish(self) -> list[AnswerEvent]:
        """Accept the end of the body."""
        if self.done or self.in_doubt:
            return []
        if not self._is_stream:
            return self._finish_body()
        given = self._finish_event()
        if not self.done and not self.in_doubt and self._builder.ended:
            given += self._complete()
        if self.in_doubt:
            return given
        if not self.done and not self._began and not self._cut_inside:
            given += self._fail(
                ProtocolError("The server sent something that is neither JSON nor an event stream: is it RAGFlow?")
            )
        if not self.done:
            given += self._fail(
                StreamInterruptedError(
                    "The answer was cut off: the stream ended without its terminator (RAGFlow 0.22.1 does so after 60 s; "
                    "otherwise a proxy or the server gave up). The text so far is in `partial`."
                )
            )
        return given

    def _finish_event(self) -> list[AnswerEvent]:
        """Read what stands behind the last blank line: a whole event, or one that was cut inside and tells nothing."""
        rest = self._events.rest
        self._cut_inside = bool(rest) and (rest.startswith(_EVENT) or _EVENT.startswith(rest))
        try:
            return self._read(self._events.finish())
        except ProtocolError as error:
            return [] if self._cut_inside else self._fail(error)

    def _read(self, datas: Iterable[str]) -> list[AnswerEvent]:
        for data in datas:
            self._began = True
            outcome = self._decoder.event(data)
            if outcome is not False:
                return self._complete() if outcome is True else self._fail(outcome)
        return self._given()

    @property
    def unsettled(self) -> bool:
        """Whether only the server can tell how the answer ended: it is in doubt, or its stream was cut off."""
        return self.in_doubt or (isinstance(self.error, StreamInterruptedError) and not self._silent)

    def interrupt(self, error: RAGFlowError, *, silent: bool) -> list[AnswerEvent]:
        """Accept that the connection broke, or fell silent; return the last events."""
        if self.done:
            return []
        self._silent = silent
        return self._fail(error)

    def complete(self) -> list[AnswerEvent]:
        """End an answer that was cut off although it is whole; return the last events."""
        self.error = None
        self.done = False
        return self._complete()

    def settle(self, session: JsonObject | None) -> list[AnswerEvent]:
        """End an answer that is in doubt; return the last events.

        Args:
            session: The session of the agent as it is after the run, None if it could not be read.
        """
        run = self._builder.run
        if run is not None:
            run.settle(session)
        self.in_doubt = self._run_is_hidden = False
        return self._end()

    def _complete(self) -> list[AnswerEvent]:
        run = self._builder.run
        if run is not None and run.began and (run.doubtful or self._run_is_hidden):
            self.in_doubt = True
            return self._given()
        return self._end()

    def _end(self) -> list[AnswerEvent]:
        outcome = self._builder.finish()
        if isinstance(outcome, RAGFlowError):
            return self._fail(outcome)
        self.done = True
        self.answer = outcome
        return [*self._given(), Completed(outcome)]

    def _fail(self, error: RAGFlowError) -> list[AnswerEvent]:
        self.done = True
        self._builder.release()
        if isinstance(error, ServerError | ProtocolError | StreamInterruptedError):
            error.partial = self.partial
        self.error = error
        return self._given()

    def _given(self) -> list[AnswerEvent]:
        return self._builder.take_events(merged=self._coalesce)

    def _sniff(self, data: bytes) -> bytes:
        """Distinguish a stream from a JSON or HTML body by its first byte: headers may be two, or wrong."""
        if self._is_stream is None and (head := data.lstrip()):
            self._is_stream = head[:1] not in b"{[<"
            if self._is_stream:
                return head
        self._body.add(data)
        return b""

    def _finish_body(self) -> list[AnswerEvent]:
        """Read a body that is no stream: an error envelope, a web page, or a whole answer after all."""
        body = self._body.whole()
        if not body and self._reply.status == _OK:
            return self._fail(StreamInterruptedError("The server closed the connection without sending a byte of the answer."))
        try:
            self._decoder.whole(envelope.decode(Reply(self._reply.status, self._reply.headers, body), self._request))
        except UnfinishedReply as error:
            return self._fail(ProtocolError(str(error)))
        except RAGFlowError as error:
            return self._fail(error)
        return self._complete()
