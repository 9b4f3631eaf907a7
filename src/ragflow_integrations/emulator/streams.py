"""One turn of a chat as a sequence of native answer events, in the form of the era.

An event is the ``data`` object of a native completion without the ids. The same events feed the native stream, the
native reply in one piece, and the OpenAI-compatible routes: whatever an era does to an answer happens here, once.
"""

from __future__ import annotations

import html
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator import research
from ragflow_integrations.emulator.answering import Reference, document_counts, insert_markers
from ragflow_integrations.emulator.eras import ThinkTags
from ragflow_integrations.emulator.model import ModelError, Token
from ragflow_integrations.emulator.serializers.chunks import reference_chunk
from ragflow_integrations.emulator.text import count_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.model import Model, ModelRequest

_FLAGS: Final = ("start_to_think", "end_to_think")
_BATCH: Final = 16
"""The server collects so many tokens of visible text before it sends them."""


class TurnFailedError(Exception):
    """The turn ends in an event with code 500, or in code 100 if it is not streamed, and is not stored.

    Attributes:
        cause: The server's own exception, as code 100 shows it.
    """

    def __init__(self, text: str, cause: Exception | None = None) -> None:
        super().__init__(text)
        self.cause = TypeError(text) if cause is None else cause


@dataclass(kw_only=True)
class Turn:
    """What a turn is made of."""

    era: Era
    model: Model
    request: ModelRequest
    has_datasets: bool
    quote: bool = True
    empty_response: str = ""
    question_is_blank: bool = False
    legacy: bool = False
    """The 0.26.1+ request flag: cumulative text with raw tags, in events of the newer form."""
    researches: bool = False
    """Deep research, see `research`."""
    failure: Exception | None = None
    """What the server raises before it asks the model."""
    with_metadata: bool = False
    began: float = field(default_factory=time.perf_counter)
    retrieval_seconds: float = 0.0
    text: str = field(default="", init=False)
    """What is stored as the assistant's message when the turn is over."""
    reference: dict[str, Any] = field(default_factory=dict, init=False)

    @property
    def nothing_found(self) -> bool:
        """Nothing was retrieved, and the assistant has a text for that."""
        return self.has_datasets and not self.request.hits and bool(self.empty_response)

    @property
    def unreferenced(self) -> bool:
        """The reference object is an empty list: datasets were searched, and nothing was found or nothing may be cited."""
        return self.has_datasets and not self.nothing_found and not (self.request.hits and self.quote)

    def cite(self, text: str) -> dict[str, Any]:
        """Return the reference object of an answer."""
        if not (self.request.hits and self.quote):
            return {}
        reference = Reference(self.request.hits)
        chunks = [reference_chunk(hit, self.era, with_metadata=self.with_metadata) for hit in self.request.hits]
        return {"total": len(chunks), "chunks": chunks, "doc_aggs": document_counts(reference.cited(text))}

    def decorate(self, text: str) -> str:
        """Return the answer with the markers that the server inserts."""
        if not (self.quote and self.request.hits):
            return text
        return insert_markers(text, self.request.hits, self.era.marker.format)

    @property
    def prompt(self) -> str:
        """The debug text that the server adds to final events: its frame, and where the time went."""
        query = f"{self.request.system}  \n  \n### Query:  \n{self.request.question}"
        if self.nothing_found:
            return query
        total = (time.perf_counter() - self.began) * 1000
        retrieval = self.retrieval_seconds * 1000
        return (
            f"{query}  \n  \n## Time elapsed:  \n  - Total: {total:.1f}ms  \n  - Retrieval: {retrieval:.1f}ms  \n"
            f"  - Generate answer: {total - retrieval:.1f}ms  "
        )

    def piece(self, answer: str, **flags: bool) -> dict[str, Any]:
        """Return an event with a part of the answer."""
        event: dict[str, Any] = {"answer": answer, "reference": {"chunks": []}, "audio_binary": None}
        if not self.has_datasets:
            event |= {"prompt": "", "created_at": time.time()}
        if not self.era.cumulative:
            event["final"] = False
        return event | flags

    def final(self, answer: str, cited: str) -> dict[str, Any]:
        """Return the event that carries the reference."""
        self.reference = self.cite(cited)
        event: dict[str, Any] = {"answer": answer, "reference": self.reference, "prompt": self.prompt}
        event["created_at"] = time.time()
        return event if self.era.cumulative else event | {"final": True, "audio_binary": None}


async def _spoken(turn: Turn) -> AsyncIterator[Token]:
    """Yield the model's tokens; a failure becomes text if the era makes it text."""
    era, streamed = turn.era, turn.request.streamed
    coded = era.error_codes_streamed if streamed else era.error_codes_nonstream
    try:
        async for token in turn.model.write(turn.request):
            yield token
    except ModelError as error:
        if error.dropped and era.drop_is_error_event:
            raise TurnFailedError(error.detail) from error
        newline = "\n" if streamed and not coded else ""
        code = f"{error.code} - " if coded else ""
        yield Token(f"{newline}**ERROR**: {code}{error.detail}", notice=True)


async def _tagged(turn: Turn) -> AsyncIterator[Token]:
    """Yield the tokens, with ``<think>`` tags in the text treated as the era does."""
    thinking = swallowed = False
    treatment = turn.era.think_tags
    async for token in _spoken(turn):
        text = token.text
        if treatment is ThinkTags.KEPT or token.thinking or turn.legacy:
            yield token
        elif treatment is ThinkTags.EATEN:
            swallowed = swallowed or "<think>" in text
            yield Token(text.replace("<think>", "").replace("</think>", ""), thinking=swallowed, notice=token.notice)
        else:
            before, opened, text = text.partition("<think>") if "<think>" in text else ("", "", text)
            thinking = thinking or bool(opened)
            inside, closed, after = text.partition("</think>") if thinking else ("", "", text)
            thinking = thinking and not closed
            for part, inner in ((before, False), (inside, True), (after, False)):
                if part:
                    yield Token(part, thinking=inner, notice=token.notice)


async def _researched(turn: Turn) -> AsyncIterator[Token]:
    """Yield the tokens of deep research, then those of the answer."""
    for token in research.inline(turn.request) if turn.researches else ():
        yield token
    async for token in _tagged(turn):
        yield token


async def _cumulative(turn: Turn) -> AsyncIterator[dict[str, Any]]:
    """Yield events as up to 0.23.1: each has the whole text; reasoning is inline and its tag is closed each time."""
    reasoning = answer = sent = ""
    waiting = 0
    notice = False

    def whole() -> str:
        return f"<think>{reasoning}</think>{answer}" if reasoning else answer

    async for token in _researched(turn):
        reasoning += token.text if token.thinking else ""
        answer += "" if token.thinking else token.text
        waiting += count_tokens(token.text)
        notice = notice or token.notice
        if waiting >= _BATCH:
            sent, waiting = whole(), 0
            yield turn.piece(sent)
    if whole() != sent:
        sent = whole()
        yield turn.piece(sent)
    if notice and turn.era.notices_twice:
        yield turn.piece(sent)
    turn.text = whole()
    if turn.has_datasets:
        answer = turn.decorate(answer)
        turn.text = whole()
        yield turn.final(turn.text, turn.text)


def _research_events(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield what deep research sends in front of the answer, and keep its text in the turn."""
    for text, flags in research.events(turn.era, turn.request) if turn.researches else ():
        turn.text += "<think>" if "start_to_think" in flags else "</think>" if "end_to_think" in flags else text
        yield turn.piece(text, **flags)


async def _deltas(turn: Turn) -> AsyncIterator[dict[str, Any]]:
    """Yield events as from 0.24 on: each has a piece of the text; flags mark where reasoning starts and ends."""
    era = turn.era
    reasoning = answer = batch = ""
    waiting = 0
    thinking = False
    for event in _research_events(turn):
        yield event
    front = turn.text
    async for token in _tagged(turn):
        if token.thinking != thinking:
            if batch:
                yield turn.piece(batch)
            yield turn.piece("", **{"start_to_think" if token.thinking else "end_to_think": True})
            thinking, batch, waiting = token.thinking, "", 0
        reasoning += token.text if token.thinking else ""
        answer += "" if token.thinking else token.text
        batch += token.text
        waiting += count_tokens(token.text)
        if waiting >= (era.thinking_batch if thinking else _BATCH):
            yield turn.piece(batch)
            batch, waiting = "", 0
    if batch:
        yield turn.piece(batch)
    thought = f"<think>{reasoning}</think>" if reasoning else ""
    turn.text = front + thought + answer
    if turn.has_datasets and (thought or answer):
        yield _closing(turn, thought, answer)


def _closing(turn: Turn, thought: str, answer: str) -> dict[str, Any]:
    """Return the final event of `_deltas`; with the decorated text in it, that text is stored."""
    if not turn.era.final_has_text:
        return turn.final("", turn.text)
    turn.text = thought + turn.decorate(answer)
    return turn.final(turn.text, turn.text)


async def _legacy(turn: Turn) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of ``legacy: true``: those of `_deltas`, each with the whole text so far and with raw tags."""
    whole = ""
    async for event in _deltas(turn):
        if event.get("start_to_think"):
            whole += "<think>"
        elif event.get("end_to_think"):
            whole += "</think>"
        whole += event["answer"]
        yield {key: value for key, value in event.items() if key not in _FLAGS} | {"answer": whole}


def _empty_response(turn: Turn) -> list[dict[str, Any]]:
    """Return the events of a turn without hits; the model is not called."""
    era = turn.era
    text = html.escape(turn.empty_response) if era.escapes_empty_response else turn.empty_response
    turn.text = text
    aggregates: list[Any] | dict[str, Any] = {} if turn.question_is_blank else []
    turn.reference = {"total": 0, "chunks": [], "doc_aggs": aggregates}
    full: dict[str, Any] = {"answer": text, "reference": turn.reference, "prompt": turn.prompt, "audio_binary": None}
    if era.cumulative:
        return [full] * era.empty_response_events
    last = full | {"final": True}
    if not era.empty_response_first_bare:
        return [last] * era.empty_response_events
    return [full | {"reference": {"chunks": []}, "prompt": "", "final": False}, last]


def _check(turn: Turn) -> None:
    """Raise what the server raises before it answers."""
    if not isinstance(turn.request.question, str):
        kind = type(turn.request.question).__name__
        raise TurnFailedError(f"sequence item 0: expected str instance, {kind} found")
    if turn.failure is not None:
        raise TurnFailedError(str(turn.failure), turn.failure)


async def answer_events(turn: Turn) -> AsyncIterator[dict[str, Any]]:
    """Run a turn.

    Args:
        turn: The turn; when the events are over it knows the text and the reference to store.

    Yields:
        Answer events.

    Raises:
        TurnFailedError: If the server would fail; nothing may be stored then.
    """
    _check(turn)
    if turn.nothing_found:
        for event in _empty_response(turn):
            yield event
        return
    events = _cumulative if turn.era.cumulative else _legacy if turn.legacy else _deltas
    async for event in events(turn):
        yield event


async def answer_at_once(turn: Turn, *, whole: bool = False) -> dict[str, Any]:
    """Run a turn whose answer is not streamed.

    Args:
        turn: The turn.
        whole: Whether to return the whole answer of releases whose native routes end after the first event (0.25.1 to 0.25.5).

    Returns:
        The answer object without ids: decorated and without reasoning.

    Raises:
        TurnFailedError: If the server would fail.
    """
    _check(turn)
    cut = turn.researches and research.cuts(turn.era)
    if (turn.era.first_event_only and not whole) or cut or turn.nothing_found:
        async for event in answer_events(turn):
            turn.text = turn.text if cut else event["answer"]
            return event
        return {}
    answer = ""
    async for token in _tagged(turn):
        answer += "" if token.thinking else token.text
    answer = turn.decorate(answer)
    turn.text = answer
    event = {"answer": answer, "audio_binary": None, "created_at": time.time(), "prompt": ""}
    if not turn.has_datasets:
        return event | {"reference": {"chunks": []}}
    turn.reference = turn.cite(answer)
    return event | {"reference": turn.reference, "prompt": turn.prompt}
