"""Replies of completions → answers, whichever route and release they come from.

    bytes ─ EventStream ─ payloads ─ a Decoder (native, OpenAI) ─ Assembler ─ AnswerEvents

An `AnswerReader` is fed bytes and gives events. A `Decoder` knows one route's payloads and tells the `Assembler` what they
mean: more text, more thinking, a whole text that replaces what came before. The assembler holds what all routes share:
thinking in front of the text, LLM failures as text, citation markers, and the final answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from ragflow_integrations._protocol import decoders, envelope, failures, thinking, wire
from ragflow_integrations._protocol.http import MAX_REPLY, Body, Reply, Request
from ragflow_integrations._protocol.sse import MAX_FRAME, EventStream
from ragflow_integrations.citations import MarkerRewriter, cite, rewrite
from ragflow_integrations.errors import ProtocolError, RAGFlowError, ServerError, StreamInterruptedError
from ragflow_integrations.models import (
    Answer,
    AnswerEvent,
    CitationStyle,
    Completed,
    InputRequest,
    ReasoningDelta,
    Reference,
    TextDelta,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ragflow_integrations.models import Chunk, JsonObject, JsonValue, Timings, Usage

Route: TypeAlias = Literal["native", "openai", "agent"]

#: Bytes read behind the terminator, so that the connection can be used again, before the reader gives up on its end.
MAX_DRAIN = 64 * 1024
_OK = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: the format of the reply, the request (which names the assistant or agent), style and session."""

    route: Route
    request: Request
    style: CitationStyle = "bracket"
    session_id: str | None = None

    def assembler(self) -> Assembler:
        """Begin the answer."""
        subject = self.request.subject
        asked = subject.id if subject else None
        of_agent = self.route == "agent"
        return Assembler(
            style=self.style,
            chat_id=None if of_agent else asked,
            agent_id=asked if of_agent else None,
            session_id=self.session_id,
        )


@dataclass(slots=True)
class Assembler:
    """An answer in the making.

    Attributes:
        style: Citation style.
        complete_text: The server's whole final text, where it sends one.
    """

    style: CitationStyle = "bracket"
    session_id: str | None = None
    message_id: str | None = None
    chat_id: str | None = None
    model: str | None = None
    reference: Reference | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    timings: Timings | None = None
    complete_text: str | None = None
    keyed: dict[int, Chunk] | None = None  # agents' chunks, by the keys their markers hold
    failed: str | None = None  # a failure the server reported beside the text
    ended: bool = False  # all was said; 0.25.3 ends an agent's stream without a terminator after that
    input_request: InputRequest | None = None
    agent_id: str | None = None
    by_key: bool = False
    trace: list[JsonObject] = field(default_factory=list)
    flagged: bool = False  # thinking opened by a flag and not yet closed
    _opened: int = 0  # pieces of reasoning before that flag
    _pieces: list[tuple[type[TextDelta | ReasoningDelta], str]] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _shown: list[str] = field(default_factory=list)
    _splitter: thinking.ThinkSplitter = field(default_factory=thinking.ThinkSplitter)
    _gate: failures.FailureGate = field(default_factory=failures.FailureGate)
    _rewriter: MarkerRewriter = field(init=False)

    _numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rewriter = MarkerRewriter(self.style, self._number)

    def _number(self, key: int) -> int:
        """Give the number to show for a marker: agents' keys are numbered in order of appearance."""
        return self._numbers.setdefault(key, len(self._numbers) + 1) if self.by_key else key + 1

    def add(self, piece: str) -> None:
        """Take more of the answer."""
        if self.flagged:
            self.think(piece)
            return
        if self._splitter.answering:
            self._say(piece)
            return
        for is_thinking, part in self._splitter.feed(piece):
            self.think(part) if is_thinking else self._say(part)

    def think(self, piece: str) -> None:
        """Take more thinking."""
        if piece:
            self._reasoning.append(piece)
            self._pieces.append((ReasoningDelta, piece))

    def flag(self, data: JsonObject) -> None:
        """Take the thinking flags of an event (≥ 0.24); stray and doubled ones do no harm."""
        if data.get("start_to_think") is True and not self.flagged:
            self.flagged = True
            self._opened = len(self._reasoning)
        if data.get("end_to_think") is True:
            self.flagged = False

    @property
    def tagged(self) -> bool:
        """Whether thinking opened by a tag has not been closed."""
        return self._splitter.thinking

    def _say(self, piece: str) -> None:
        if piece:
            self._text.append(piece)
            # Most pieces hold nothing that either looks for, and follow none they hold back.
            if not (self._gate.open and self._rewriter.passes(piece)):
                piece = self._rewriter.feed(self._gate.feed(piece))
            self._show(piece)

    def _show(self, piece: str) -> None:
        if piece:
            self._shown.append(piece)
            self._pieces.append((TextDelta, piece))

    def take_events(self, *, merged: bool) -> list[AnswerEvent]:
        """Give the events since the last call; `merged` makes one of pieces of the same kind."""
        pieces, self._pieces = self._pieces, []
        if merged and len(pieces) > 1:
            return [kind("".join(text for _, text in run)) for kind, run in groupby(pieces, itemgetter(0))]
        return [kind(text) for kind, text in pieces]

    @property
    def partial(self) -> str:
        """The text shown so far."""
        return "".join(self._shown)

    def finish(self) -> Answer | RAGFlowError:
        """End the answer: what was held back is shown, then it is whole, or the LLM has failed."""
        for is_thinking, part in self._splitter.finish():
            self.think(part) if is_thinking else self._say(part)
        said, reasoning = "".join(self._text), "".join(self._reasoning)
        text = said
        if self.complete_text:
            # Sent by 0.25.0–0.26.3 and the OpenAI route; with `<think>` in front where the deltas had flags.
            thought, text = thinking.split(self.complete_text)
            reasoning = thought or reasoning
        elif self.flagged:  # thinking that never ends counts as text: nothing that was said is dropped
            text += "".join(self._reasoning[self._opened :])
            reasoning = "".join(self._reasoning[: self._opened])
        if not text and (self.flagged or self._splitter.thinking):
            text, reasoning = reasoning, ""
        if text.startswith(said):
            self._say(text[len(said) :])
        self._show(self._rewriter.feed(self._gate.finish()))
        self._show(self._rewriter.finish())
        failure = failures.find(text)
        if failure is None and self.failed and not (self.ended and text):  # the workflow did not go on to an answer
            beside = failures.find(self.failed)
            failure = failures.Failure(text, beside.kind if beside else None, beside.detail if beside else self.failed)
        if failure is not None:
            return failure.error(rewrite(failure.partial, self.style, self._number).text)
        rewritten = rewrite(text, self.style, self._number)
        reference = self.reference or Reference()
        if self.keyed:
            first = [key for key in self._numbers if key in self.keyed]
            order = first + [key for key in self.keyed if key not in self._numbers]
            reference = replace(reference, chunks=tuple(self.keyed[key] for key in order))
            self._numbers = {key: at for at, key in enumerate(order, 1)}
            rewritten = rewrite(text, self.style, self._number)
        return Answer(
            text=rewritten.text,
            reasoning=reasoning,
            reference=reference,
            citations=cite(rewritten, reference.chunks, lambda key: self._number(key) - 1),
            session_id=self.session_id,
            message_id=self.message_id,
            chat_id=self.chat_id,
            agent_id=self.agent_id,
            model=self.model,
            usage=self.usage,
            finish_reason=self.finish_reason,
            timings=self.timings,
            citation_style=self.style,
            input_request=self.input_request,
            trace=tuple(self.trace),
        )


class Decoder(Protocol):
    """Reads one route's replies into an assembler."""

    def event(self, data: str) -> RAGFlowError | bool:
        """Take an event's data; give an error, or whether it was the terminator."""
        ...

    def whole(self, body: JsonObject) -> None:
        """Take the reply of a call that does not stream."""


class NativeDecoder:
    """`/chats/{id}/completions`: cumulative texts ≤ 0.23.1, deltas ≥ 0.24.

    The key `final` is on every event of a delta stream, so the first event tells which it is; no version is needed.
    """

    def __init__(self, answer: Assembler, request: Request, reply: Reply) -> None:
        self._answer = answer
        self._request = request
        self._reply = reply
        self._delta: bool | None = None
        self._began = False
        self._final = False
        self._beside: JsonObject | None = None
        self._seen = ""

    def event(self, data: str) -> RAGFlowError | bool:
        """Take an event."""
        if data.strip() == "[DONE]":  # the Go server's
            return True
        body = wire.parse(data)
        content = body.get("data")
        if body.get("code") != 0 or not content:
            error = envelope.failure(body, self._request, self._reply)
            if error is not None:
                return error
        if isinstance(content, dict):
            self._content(content)
        return content is True

    def _content(self, data: dict[str, JsonValue]) -> None:
        answered = data.pop("answer", "")
        text = answered if isinstance(answered, str) else ""
        if data != self._beside:  # most events say beside their text what the one before them said
            self._beside = data
            self._final = data.get("final") is True
            if self._delta is None:
                self._delta = "final" in data
            self._about(data)
            self._answer.flag(data)
        if text and not self._began:
            self._began = True
            if text.startswith(thinking.OPEN):
                self._delta = False  # asked for with `legacy` (≥ 0.26.1): deltas never hold the tag
        if not self._delta:
            self._cumulative(text)
        elif not text:
            pass  # an empty final one keeps what came before
        elif self._final:
            self._answer.complete_text = text
        else:
            self._answer.add(text)

    def _cumulative(self, text: str) -> None:
        """Show how far a text has grown; one that was rewritten inside replaces what came before at the end."""
        # While it thinks, 0.17–0.23 close the tag on every event and open it again in the next.
        grown = text.removesuffix(thinking.CLOSE) if text.startswith(thinking.OPEN) else text
        if grown.startswith(self._seen):
            self._answer.add(grown[len(self._seen) :])
            self._seen = grown
        if text:
            self._answer.complete_text = text

    def _about(self, data: JsonObject) -> None:
        answer = self._answer
        answer.session_id = wire.text_or_none(data, "session_id") or answer.session_id
        answer.message_id = wire.text_or_none(data, "id") or answer.message_id
        answer.chat_id = wire.text_or_none(data, "chat_id") or answer.chat_id
        found = data.get("reference")
        if _says_something(found):
            answer.reference = decoders.reference(found)
        prompt = data.get("prompt")
        if isinstance(prompt, str) and prompt:
            answer.timings = decoders.timings(prompt) or answer.timings

    def whole(self, body: JsonObject) -> None:
        """Take the reply of a call that does not stream."""
        data = body.get("data")
        if not isinstance(data, dict):
            raise ProtocolError("The server answered a completion without an answer object in `data`.")
        self._about(data)
        self._answer.add(wire.text(data, "answer"))


def _says_something(reference: JsonValue) -> bool:
    if isinstance(reference, dict):
        return bool(reference.get("chunks") or reference.get("doc_aggs") or reference.get("total"))
    return bool(reference)


class OpenAIDecoder:
    """`/chats_openai/{id}/chat/completions`, OpenAI's format with `reference` and `final_content` added."""

    def __init__(self, answer: Assembler, request: Request, reply: Reply) -> None:
        self._answer = answer
        self._request = request
        self._reply = reply
        self._text: list[str] = []
        self._length = 0
        self._repeated: str | None = None
        self._told = False
        self._closer = ""  # a closing tag at the end of the last piece, if that was no end of the thinking

    def event(self, data: str) -> RAGFlowError | bool:
        """Take an event."""
        if data.strip() == "[DONE]":
            self._settle()
            self._answer.add(self._closer)
            return True
        body = wire.parse(data)
        if "code" in body or not body.get("choices"):
            error = envelope.failure(body, self._request, self._reply)
            if error is not None:
                return error
        if not self._told or body.get("usage"):  # ids and model are the same in every event
            self._about(body)
            self._told = True
        for choice in wire.objects(body.get("choices")):
            if choice.get("finish_reason"):
                self._answer.finish_reason = wire.text_or_none(choice, "finish_reason")
            self._choice(wire.mapping(choice, "delta"))
        return False

    def _choice(self, delta: JsonObject) -> None:
        answer = self._answer
        if delta.get("reasoning_content"):
            answer.think(wire.text(delta, "reasoning_content"))
        text = wire.text(delta, "content")
        if text:
            if self._repeated is not None:  # more comes behind it, so it was no repetition
                self._add(self._repeated)
                self._repeated = None
            # 0.25.0–0.25.6 send the whole answer again as the last piece (ragflow#15286); it may be one only if it is as long.
            if 0 < self._length <= len(text) + len(thinking.OPEN) and _same(text, "".join(self._text)):
                self._repeated = text
            else:
                self._add(text)
        if "final_content" in delta:
            answer.complete_text = wire.text(delta, "final_content") or answer.complete_text
        found = delta.get("reference")
        if found:
            answer.reference = decoders.reference(found)

    def _add(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)
        if thinking.CLOSE not in text:
            if not self._closer:
                self._answer.add(text)
                return
            self._answer.add(self._closer)
        body = text.removesuffix(thinking.CLOSE)
        self._answer.add(body)
        # 0.17.2 closes the tag at the end of every piece of thinking and does not open it again: the next piece tells.
        closed = text[len(body) :]
        self._closer = closed if self._answer.tagged else ""
        if not self._closer:
            self._answer.add(closed)

    def _settle(self) -> None:
        """Decide on a piece that repeats everything: it is the final text, unless the server's final text says otherwise."""
        repeated, self._repeated = self._repeated, None
        if repeated is None:
            return
        final = self._answer.complete_text
        doubled = "".join(self._text) + repeated
        if final is not None and _same(final, doubled):
            self._add(repeated)
        elif final is None:
            self._answer.complete_text = repeated

    def _about(self, body: JsonObject) -> None:
        self._answer.model = wire.text_or_none(body, "model") or self._answer.model
        self._answer.usage = decoders.usage(body.get("usage")) or self._answer.usage

    def whole(self, body: JsonObject) -> None:
        """Take the reply of a call that does not stream."""
        self._about(body)
        choice = next(wire.objects(body.get("choices")), None)
        if choice is None:
            raise ProtocolError("The server answered a completion without `choices`.")
        message = wire.mapping(choice, "message")
        self._answer.finish_reason = wire.text_or_none(choice, "finish_reason")
        self._answer.reference = decoders.reference(message.get("reference"))
        self._answer.think(wire.text(message, "reasoning_content"))
        self._answer.add(wire.text(message, "content"))


class AgentDecoder(NativeDecoder):
    """`/agents/{id}/completions`: workflow events ≥ 0.20, the chats' format before.

    References come after the text, keyed by numbers that the markers hold (notes §1.10); so markers are numbered as they come.
    """

    def __init__(self, answer: Assembler, request: Request, reply: Reply) -> None:
        super().__init__(answer, request, reply)
        answer.by_key = True

    def event(self, data: str) -> RAGFlowError | bool:
        """Take an event."""
        body = {} if data.strip() == "[DONE]" else wire.parse(data)
        if "event" not in body:
            return super().event(data)
        self._workflow(body)
        return False

    def _workflow(self, body: JsonObject) -> None:
        answer = self._answer
        kind, data = wire.text(body, "event"), wire.mapping(body, "data")
        answer.session_id = wire.text_or_none(body, "session_id") or answer.session_id
        answer.message_id = wire.text_or_none(body, "message_id") or answer.message_id
        if kind == "message":
            answer.flag(data)
            answer.add(wire.text(data, "content"))
        elif kind == "user_inputs":
            answer.input_request = InputRequest(inputs=wire.mapping(data, "inputs"), tips=wire.text(data, "tips"))
        elif kind == "node_finished":
            answer.failed = wire.text_or_none(data, "error") or answer.failed
        elif kind == "workflow_finished":
            answer.ended = True
            answer.usage = decoders.usage(data.get("usage")) or answer.usage
        if kind.startswith("node_") and (self._request.json or {}).get("return_trace"):
            answer.trace.append(body)
        self._keyed(data.get("reference"))

    def _about(self, data: JsonObject) -> None:
        super()._about(data)
        self._keyed(data.get("reference"))

    def _keyed(self, value: JsonValue) -> None:
        found = value.get("chunks") if isinstance(value, dict) else None
        if isinstance(found, list):
            found = {str(at): item for at, item in enumerate(found)}
        if isinstance(found, dict) and found:
            self._answer.reference = decoders.reference(value)
            self._answer.keyed = {
                int(key): decoders.chunk(item, key=key)
                for key, item in found.items()
                if isinstance(item, dict) and key.isdecimal()
            }

    def whole(self, body: JsonObject) -> None:
        """Take the reply of a call that does not stream: the last event of the run."""
        last = wire.mapping(body, "data")
        if "answer" in last:
            super().whole(body)
            return
        if "event" not in last:
            raise ProtocolError("The server answered an agent's run with neither an answer nor an event in `data`.")
        data = wire.mapping(last, "data")
        self._workflow(last)
        self._answer.add(wire.text(data, "content"))


def _same(text: str, other: str) -> bool:
    """Whether two texts differ in nothing but citation markers, thinking in front, and blanks around."""
    return _bare(text) == _bare(other)


def _bare(text: str) -> str:
    return rewrite(thinking.split(text)[1], "none").text.strip()


_DECODERS: dict[Route, Callable[[Assembler, Request, Reply], Decoder]] = {
    "native": NativeDecoder,
    "openai": OpenAIDecoder,
    "agent": AgentDecoder,
}


def whole_answer(asked: Asked, body: JsonObject) -> Answer:
    """Read the reply of a completion that does not stream.

    Raises:
        GenerationError: The LLM behind RAGFlow failed.
        ProtocolError: There is no answer in it.
    """
    answer = asked.assembler()
    _DECODERS[asked.route](answer, asked.request, Reply(_OK, {}, b"")).whole(body)
    done = answer.finish()
    if isinstance(done, RAGFlowError):
        raise done
    return done


class AnswerReader:
    """Reads one streamed completion: bytes in, events out, no I/O.

    After each `feed` and after `finish`, `error` holds what went wrong, if anything; it is to be raised once the events
    given have been delivered, so that no text is lost. `done` says that nothing more is to come.

    Args:
        asked: What was asked.
        status: HTTP status of the reply.
        headers: Reply headers, names in lower case.
        coalesce: Merge the deltas that one `feed` completes.
        max_frame: Most bytes of one event.
        max_body: Most bytes of a body that is no stream.
    """

    def __init__(
        self,
        asked: Asked,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        coalesce: bool = False,
        max_frame: int = MAX_FRAME,
        max_body: int = MAX_REPLY,
    ) -> None:
        self.error: RAGFlowError | None = None
        self.done = False
        self.answer: Answer | None = None
        self._request = asked.request
        self._reply = Reply(status, headers or {}, b"")
        self._assembler = asked.assembler()
        self._decoder = _DECODERS[asked.route](self._assembler, asked.request, self._reply)
        self._coalesce = coalesce
        self._events = EventStream(max_frame=max_frame)
        self._body = Body(max_body)
        self._is_stream: bool | None = None if status == _OK else False
        self._began = False

    @property
    def partial(self) -> str:
        """Answer text given so far."""
        return self._assembler.partial

    @property
    def began(self) -> bool:
        """Whether an event has come."""
        return self._began

    def feed(self, data: bytes) -> list[AnswerEvent]:
        """Take bytes of the body as they come; give the events they complete."""
        if self.done:
            return []
        try:
            if not self._is_stream:
                data = self._sniff(data)
            return self._read(self._events.feed(data)) if self._is_stream else []
        except RAGFlowError as error:
            return self._fail(error)

    def finish(self) -> list[AnswerEvent]:
        """Take the end of the body."""
        if self.done:
            return []
        if not self._is_stream:
            return self._finish_body()
        try:
            given = self._read(self._events.finish())
        except RAGFlowError as error:
            given = self._fail(error)
        if not self.done and self._assembler.ended:
            given += self._complete()
        if not self.done and not self._began:
            given += self._fail(
                ProtocolError("The server sent something that is neither JSON nor an event stream: is it RAGFlow?")
            )
        if not self.done:
            given += self._fail(
                StreamInterruptedError(
                    "The answer was cut off: the stream ended without its terminator (RAGFlow 0.22.1 does so after 60 s; "
                    "otherwise a proxy or the server gave up). The text so far is in `partial`.",
                    partial=self.partial,
                )
            )
        return given

    def _read(self, datas: Iterable[str]) -> list[AnswerEvent]:
        for data in datas:
            self._began = True
            outcome = self._decoder.event(data)
            if outcome is not False:
                return self._complete() if outcome is True else self._fail(outcome)
        return self._given()

    def _complete(self) -> list[AnswerEvent]:
        outcome = self._assembler.finish()
        if isinstance(outcome, RAGFlowError):
            return self._fail(outcome)
        self.done = True
        self.answer = outcome
        return [*self._given(), Completed(outcome)]

    def _fail(self, error: RAGFlowError) -> list[AnswerEvent]:
        self.done = True
        if isinstance(error, ServerError | ProtocolError):
            error.partial = self.partial
        self.error = error
        return self._given()

    def _given(self) -> list[AnswerEvent]:
        return self._assembler.take_events(merged=self._coalesce)

    def _sniff(self, data: bytes) -> bytes:
        """Tell a stream from a JSON or HTML body by its first byte: headers are not to be trusted (two, or wrong ones)."""
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
        except RAGFlowError as error:
            return self._fail(error)
        return self._complete()
