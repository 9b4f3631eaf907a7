"""One question and its answer, while it comes and when it ends."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from ragflow_integrations._adapters.stop import StopFilter, cut_answer
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.models import Completed, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from llama_index.core.schema import NodeWithScore
    from llama_index.core.tools import ToolOutput

    from ragflow_integrations.llamaindex._tracing import Trace
    from ragflow_integrations.models import Answer, AnswerEvent


class Turn:
    """A turn: fills what its response shows, and tells the trace and the history, each once.

    Args:
        question: The question.
        session_id: The session asked, if there is one.
        trace: The trace, begun.
        record: Accepts the messages that the history keeps.
        streamed: Whether the answer is streamed.

    Attributes:
        question: The question.
        streamed: Whether the answer is streamed.
        nodes: Everything retrieved; filled in place.
        sources: The retrieval as a tool's output; filled in place.
        metadata: Session, message, citations, usage; filled in place.
        answer: The answer, when it is whole.
        ended: Whether it is over.
        kept: The messages that the history kept: question and answer, or none if nothing was answered.
    """

    def __init__(
        self,
        question: str,
        session_id: str | None,
        trace: Trace,
        record: Callable[[list[ChatMessage]], None],
        *,
        streamed: bool,
    ) -> None:
        self.nodes: list[NodeWithScore] = []
        self.sources: list[ToolOutput] = []
        self.metadata: dict[str, Any] = _nodes.metadata(session_id)
        self.answer: Answer | None = None
        self.ended = False
        self.kept: list[ChatMessage] = []
        self.question = question
        self.streamed = streamed
        self._stop: Sequence[str] = ()
        self._stop_filter = StopFilter(())
        self._trace = trace
        self._record = record
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._lock = threading.Lock()

    @property
    def text(self) -> str:
        """The server's final text, or what came of it."""
        return self.answer.text if self.answer is not None else "".join(self._text)

    def stop_before(self, stop: Sequence[str]) -> None:
        """Cut the answer off before the first of these sequences."""
        self._stop = stop
        self._stop_filter = StopFilter(stop)

    def take(self, event: AnswerEvent) -> str:
        """Accept an event of the stream; return the text to show for it."""
        if not self._stop:
            return self._show(event)
        return "".join(self._show(part) for part in self._stop_filter.feed_event(event))

    def _show(self, event: AnswerEvent) -> str:
        if self.ended:  # closed from another thread while this event was read
            return ""
        if isinstance(event, TextDelta):
            self._text.append(event.text)
            self._trace.delta(event.text)
            return event.text
        if isinstance(event, Completed):
            self.complete(event.answer)
        elif isinstance(event, ReasoningDelta):
            self._reasoning.append(event.text)
        return ""

    def complete(self, answer: Answer) -> None:
        """Accept the whole answer."""
        answer = cut_answer(answer, self._stop)
        self.answer = answer
        self.metadata.update(_nodes.metadata(self.metadata["session_id"], answer))
        self.nodes.extend(_nodes.nodes(answer.reference.chunks))
        if self.nodes:
            self.sources.append(_nodes.source(self.question, self.nodes))
            self._trace.retrieval(self.nodes)

    @contextmanager
    def ended_by_errors(self) -> Iterator[None]:
        """End the turn if its answer cannot even begin."""
        try:
            yield
        except Exception as error:
            self.end(error)
            raise
        except BaseException:  # cancelled
            self.end()
            raise

    def end(self, error: Exception | None = None) -> bool:
        """End the turn; without an error its reader has heard the answer, or enough of it.

        Returns:
            Whether this call ended it.
        """
        with self._lock:
            if self.ended:
                return False
            self.ended = True
        if self.answer is not None:
            message = _nodes.assistant_message(self.answer)
        else:
            message = _nodes.partial_message(self.text, "".join(self._reasoning))
        if self.text or self.answer is not None:
            self.kept = [ChatMessage(role=MessageRole.USER, content=self.question), message]
            self._record(self.kept)
        if error is not None:
            self._trace.fail(error)
        else:
            self._trace.finish(_nodes.chat_response(message, self.answer))
        return True
