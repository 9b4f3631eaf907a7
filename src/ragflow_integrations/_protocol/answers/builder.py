"""The answer in the making: what all routes share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from ragflow_integrations._protocol.answers import llm_errors, think_tags
from ragflow_integrations.citations import MarkerRewriter, cite, rewrite
from ragflow_integrations.models import (
    AgentStep,
    Answer,
    AnswerEvent,
    Attachment,
    CitationStyle,
    InputRequest,
    ReasoningDelta,
    Reference,
    TextDelta,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations._protocol.answers.agent_run import AgentRun
    from ragflow_integrations._protocol.answers.keyed_markers import KnownMarkers
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import Chunk, JsonObject, JsonValue, Timings, Usage


#: RAGFlow's own pages let an assistant give no more chunks to its LLM.
MAX_CHUNKS = 30


@dataclass(slots=True)
class AnswerBuilder:
    """An answer in the making.

    Attributes:
        style: Citation style.
        complete_text: The server's whole final text, if it sends one.
        max_chunks: How many chunks the assistant can give, as far as that is known before the answer ends.
        whole: Whether the reply is not streamed, so that nothing has been shown before all of it is known.
    """

    style: CitationStyle = "bracket"
    max_chunks: int = MAX_CHUNKS
    whole: bool = False
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
    ended: bool = False  # all was said; 0.25.3 ends an agent's stream without a terminator after that
    input_request: InputRequest | None = None
    agent_id: str | None = None
    by_key: bool = False
    markers: KnownMarkers | None = None  # of agents, if markers are shown as numbers
    retrieved: dict[int, Chunk] = field(default_factory=dict)  # what an agent's components have found, by key
    trace: list[JsonObject] = field(default_factory=list)
    run: AgentRun | None = None
    refusal: RAGFlowError | None = None  # the server has left out what was asked for
    flagged: bool = False  # thinking opened by a flag and not yet closed
    ends_unseen: bool = False  # nothing tells whether thinking has ended before the text
    length: int = 0  # characters of the text so far, thinking not counted
    beginning_lost: bool = False  # the server has left out how the text begins
    withheld: list[str] = field(default_factory=list)  # such text, shown only if the stream breaks before the whole text comes
    _opened: int = 0  # pieces of reasoning before that flag
    agent_steps: bool = False
    structured: dict[str, JsonValue] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    _pieces: list[tuple[type[TextDelta | ReasoningDelta] | AgentStep, str]] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _shown: list[str] = field(default_factory=list)
    _splitter: think_tags.ThinkSplitter = field(default_factory=think_tags.ThinkSplitter)
    _gate: llm_errors.FailureGate = field(default_factory=llm_errors.FailureGate)
    _rewriter: MarkerRewriter = field(init=False)

    _numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rewriter = MarkerRewriter(self.style, self._number, self._waits)

    def _number(self, key: int) -> int | None:
        """Return the number to show for a marker, None if it has no source.

        Agents' keys are numbered in order of appearance. References of chat assistants come at the end of a stream. What
        has been shown by then stays, so that the pieces make up the text: a number that the assistant could have given a
        source for, and has not, is the only one without.
        """
        if self.by_key:
            return None if self._lacks_source(key) else self._numbers.setdefault(key, len(self._numbers) + 1)
        if self.reference is None:  # the OpenAI route of ≤ 0.19 sends none: there are sources, of which nothing is known
            return key + 1
        known = len(self.reference.chunks)
        return key + 1 if key < (known if self.whole else max(known, self.max_chunks)) else None

    def _waits(self, key: int) -> bool:
        """Return whether only the end of the stream tells if a marker has a source."""
        return self._lacks_source(key) if self.by_key else not self.whole and key >= self.max_chunks

    def _lacks_source(self, key: int) -> bool:
        """Return whether no source is known for a marker of an agent that was let through all the same.

        It stood in code, which is none any more when a marker without a source in front of the fence is taken out.
        """
        return self.markers is not None and key not in self.markers.keys

    def _index(self, key: int) -> int:
        """Return the position in the reference of the chunk that a marker points to."""
        return self._numbers.get(key, 0) - 1 if self.by_key else key

    def release(self) -> None:
        """Show what waits for the end of a stream that has no end."""
        self.settle_markers()
        self._say("".join(self.withheld))
        self.withheld.clear()
        self._show(self._rewriter.finish_waiting())

    def add(self, piece: str) -> None:
        """Accept more of the answer."""
        if self.flagged:
            self.think(piece)
            return
        if self._splitter.answering:
            self._say(piece)
            return
        for is_thinking, part in self._splitter.feed(piece):
            self.think(part) if is_thinking else self._say(part)

    def think(self, piece: str) -> None:
        """Accept more thinking."""
        if piece:
            self._reasoning.append(piece)
            self._pieces.append((ReasoningDelta, piece))

    def flag(self, data: JsonObject) -> None:
        """Accept the thinking flags of an event (≥ 0.24); stray and doubled ones do no harm."""
        if data.get("start_to_think") is True and not self.flagged:
            self.flagged = True
            self._opened = len(self._reasoning)
        if data.get("end_to_think") is True:
            self.flagged = False

    @property
    def tagged(self) -> bool:
        """Whether thinking opened by a tag has not been closed."""
        return self._splitter.thinking

    def learn(self, keys: Iterable[int]) -> None:
        """Accept keys of an agent's chunks; what waited for them is shown."""
        if self.markers is not None:
            self._write(self.markers.learn(keys))

    def settle_markers(self) -> None:
        """Show what waited for a key that has not come."""
        if self.markers is not None:
            self._write(self.markers.settle())

    @property
    def reasoning(self) -> str:
        """The thinking so far."""
        return "".join(self._reasoning)

    def end_tagged_thought(self, thought: str) -> bool:
        """Accept the whole thought whose tag is open, sent once more as reasoning; return whether it is that thought."""
        before = self.reasoning
        if not thought.startswith(before.rstrip()):
            return False
        self._splitter.end_thought()
        self.think(thought[len(before) :])
        return True

    def _say(self, piece: str) -> None:
        self._write(piece if self.markers is None else self.markers.feed(piece))

    def _write(self, piece: str) -> None:
        if piece:
            self._text.append(piece)
            self.length += len(piece)
            # Most pieces hold nothing that either looks for, and follow none they hold back.
            if not (self._gate.open and self._rewriter.passes(piece)):
                piece = self._rewriter.feed(self._gate.feed(piece))
            self._show(piece)

    def _show(self, piece: str) -> None:
        if piece:
            self._shown.append(piece)
            self._pieces.append((TextDelta, piece))

    def take_events(self, *, merged: bool) -> list[AnswerEvent]:
        """Return the events since the last call; `merged` makes one of pieces of the same kind."""
        pieces, self._pieces = self._pieces, []
        runs: Iterable[tuple[type[TextDelta | ReasoningDelta] | AgentStep, str]] = pieces
        if merged and len(pieces) > 1:
            runs = ((kind, "".join(text for _, text in run)) for kind, run in groupby(pieces, itemgetter(0)))
        return [kind if isinstance(kind, AgentStep) else kind(text) for kind, text in runs]

    def step(self, step: AgentStep) -> None:
        """Accept a node of an agent that started or finished."""
        if self.agent_steps:
            self._pieces.append((step, ""))

    @property
    def last_text(self) -> str:
        """The last piece of text that came."""
        return self._text[-1] if self._text else ""

    @property
    def partial(self) -> str:
        """The text shown so far, and what waits for the sources of its markers."""
        held = rewrite(self.markers.held(), self.style, self._number).text if self.markers is not None else ""
        return "".join([*self._shown, held])

    def finish(self) -> Answer | RAGFlowError:
        """End the answer: what was held back is shown, then it is whole, or the LLM has failed."""
        for is_thinking, part in self._splitter.finish():
            self.think(part) if is_thinking else self._say(part)
        self.settle_markers()
        said = "".join(self._text)
        text, reasoning = self._whole(said)
        if text.startswith(said):
            self._write(text[len(said) :])
        elif not self.by_key:
            self.whole = True  # what was shown is replaced
        self._show(self._rewriter.feed(self._gate.finish()))
        self._show(self._rewriter.finish())
        failure = self._failure(text)
        if failure is not None:
            return failure
        rewritten = rewrite(text, self.style, self._number)
        reference = self.reference or Reference()
        cited = {key: self.retrieved[key] for key in self._numbers if key in self.retrieved}
        if keyed := {**cited, **(self.keyed or {})}:
            first = [key for key in self._numbers if key in keyed]
            order = first + [key for key in keyed if key not in self._numbers]
            reference = replace(reference, chunks=tuple(keyed[key] for key in order))
            self._numbers = {key: index for index, key in enumerate(order, 1)}
            rewritten = rewrite(text, self.style, self._number)
        return Answer(
            text=rewritten.text,
            reasoning=reasoning,
            reference=reference,
            citations=cite(rewritten, reference.chunks, self._index),
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
            structured=self.structured,
            attachments=tuple(self.attachments),
        )

    def _whole(self, said: str) -> tuple[str, str]:
        """Return the whole text and the thinking, which are more than the pieces if a server repeats them.

        Args:
            said: The text by its pieces.
        """
        text, reasoning = said, self.reasoning
        if self.complete_text:
            # Sent by 0.25.0–0.26.3 and the OpenAI route; with `<think>` in front where the deltas had flags.
            thought, text = think_tags.split(self.complete_text)
            if thought.startswith(reasoning):  # else what was streamed stays: 0.25 strips the final text
                self.think(thought[len(reasoning) :])
                reasoning = thought
        elif self.flagged:  # thinking that never ends counts as text: nothing that was said is dropped
            text += "".join(self._reasoning[self._opened :])
            reasoning = "".join(self._reasoning[: self._opened])
        if not text and (self.flagged or self._splitter.thinking or self.ends_unseen):
            text, reasoning = reasoning, ""
        return text if self.markers is None or text == said else self.markers.only_known(text), reasoning

    def _failure(self, text: str) -> RAGFlowError | None:
        """Return what the answer failed with: an LLM failure as text, or what became of an agent's run."""
        failure = llm_errors.find(text)
        if failure is None and self.refusal is not None:
            return self.refusal
        run = self.run if self.run is not None and self.run.began else None
        if failure is None and run is not None:
            failure = run.failure(text)
            self.input_request = run.form or self.input_request
        if failure is not None:
            return failure.error(rewrite(failure.partial, self.style, self._number).text)
        if run is not None and run.silent and not (self.input_request or self.structured or text):
            return run.said_nothing(self.session_id)
        return None
