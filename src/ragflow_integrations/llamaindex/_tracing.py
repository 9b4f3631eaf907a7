"""The trace of one answer: dispatcher spans and events, and legacy callbacks, each exactly once.

A stream outlives the call that began it, and is read in whatever thread and task its reader likes. So everything here runs in
one private copy of the caller's context: the span opened within the call stays the parent of what comes later, and nothing
leaks into the reader's own context between two tokens.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.chat_engine import (
    StreamChatDeltaReceivedEvent,
    StreamChatEndEvent,
    StreamChatErrorEvent,
    StreamChatStartEvent,
)
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent, RetrievalStartEvent
from llama_index.core.instrumentation.span import active_span_id
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.event_handlers import NullEventHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.base.llms.types import ChatMessage, ChatResponse
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import NodeWithScore
    from llama_index_instrumentation.dispatcher import Dispatcher

dispatcher = get_dispatcher(__name__)


class Trace:
    """The trace of one answer, from the question on.

    Args:
        owner: The engine that answers.
        question: The question.
        messages: What is sent: the question, and the history before it where that is sent too.
        payload: What may be known of the engine; never a key.
        callbacks: Legacy callbacks.
        streamed: Whether the answer is a stream.
    """

    def __init__(
        self,
        owner: object,
        question: str,
        messages: Sequence[ChatMessage],
        payload: dict[str, Any],
        callbacks: CallbackManager,
        *,
        streamed: bool,
    ) -> None:
        self._owner = owner
        self._question = question
        self._messages = list(messages)
        self._payload = payload
        self._callbacks = callbacks
        self._streamed = streamed
        self._heard = _is_heard()  # half of what a piece costs is its event
        self._event = ""
        self._span = _Span(owner, "_stream" if streamed else "_ask", message=question)
        self._context = contextvars.copy_context()
        # Reading and closing may meet in two threads, and a context can be entered by one at a time.
        self._lock = threading.RLock()
        self._run(self._begin)

    def delta(self, text: str) -> None:
        """Record a piece of the answer."""
        if self._heard:
            self._run(self._delta, text)

    def _delta(self, text: str) -> None:
        # Made within the turn's context, an event has the id of the turn's span.
        dispatcher.event(StreamChatDeltaReceivedEvent(delta=text))

    def retrieval(self, nodes: list[NodeWithScore]) -> None:
        """Record what the answer was made from."""
        self._run(self._retrieval, nodes)

    def finish(self, response: ChatResponse) -> None:
        """Record the end: the answer, or as much of it as was wanted."""
        self._run(self._finish, response)

    def fail(self, error: Exception) -> None:
        """Record the end: an error."""
        self._run(self._fail, error)

    def _run(self, step: Callable[..., None], *given: object) -> None:
        with self._lock:
            self._context.run(step, *given)

    def _begin(self) -> None:
        self._span.enter()
        if self._streamed:
            dispatcher.event(StreamChatStartEvent())
        dispatcher.event(LLMChatStartEvent(messages=self._messages, additional_kwargs={}, model_dict=self._payload))
        try:
            self._callbacks.start_trace("chat")
            self._event = self._callbacks.on_event_start(
                CBEventType.LLM,
                payload={
                    EventPayload.MESSAGES: self._messages,
                    EventPayload.ADDITIONAL_KWARGS: {},
                    EventPayload.SERIALIZED: self._payload,
                },
            )
        except Exception as error:  # a handler that refuses the call, such as a token budget
            self._span.drop(error)
            raise

    def _retrieval(self, nodes: list[NodeWithScore]) -> None:
        span = _Span(self._owner, "_retrieve", str_or_query_bundle=self._question)
        span.enter()
        try:
            dispatcher.event(RetrievalStartEvent(str_or_query_bundle=self._question))
            with self._callbacks.event(CBEventType.RETRIEVE, payload={EventPayload.QUERY_STR: self._question}) as event:
                event.on_end(payload={EventPayload.NODES: nodes})
            dispatcher.event(RetrievalEndEvent(str_or_query_bundle=self._question, nodes=nodes))
        finally:
            span.exit(nodes)

    def _finish(self, response: ChatResponse) -> None:
        dispatcher.event(LLMChatEndEvent(messages=self._messages, response=response))
        if self._streamed:
            dispatcher.event(StreamChatEndEvent())
        try:
            self._end_callbacks({EventPayload.MESSAGES: self._messages, EventPayload.RESPONSE: response})
        finally:
            self._span.exit(response.message.content)

    def _fail(self, error: Exception) -> None:
        dispatcher.event(ExceptionEvent(exception=error))
        if self._streamed:
            dispatcher.event(StreamChatErrorEvent(exception=error))
        try:
            self._end_callbacks({EventPayload.EXCEPTION: error})
        finally:
            self._span.drop(error)

    def _end_callbacks(self, payload: dict[str, Any]) -> None:
        try:
            self._callbacks.on_event_end(CBEventType.LLM, payload=payload, event_id=self._event)
        finally:
            self._callbacks.end_trace("chat")


def _is_heard() -> bool:
    """Return whether anybody listens to events."""
    index: Dispatcher | None = dispatcher
    while index is not None:
        if any(not isinstance(handler, NullEventHandler) for handler in index.event_handlers):
            return True
        index = index.parent if index.propagate else None
    return False


class _Span:
    """A dispatcher span that is opened in one call and closed in another; its decorator closes with the call."""

    def __init__(self, owner: object, name: str, **arguments: object) -> None:
        self._id = f"{type(owner).__name__}.{name}-{uuid4()}"
        self._owner = owner
        parameters = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY) for key in arguments]
        self._arguments = inspect.Signature(parameters).bind(**arguments)
        self._parent: str | None = None

    def enter(self) -> None:
        self._parent = active_span_id.get()
        active_span_id.set(self._id)
        dispatcher.span_enter(
            id_=self._id,
            bound_args=self._arguments,
            instance=self._owner,
            parent_id=self._parent,
            tags=active_instrument_tags.get(),
        )

    def exit(self, result: object) -> None:
        dispatcher.span_exit(id_=self._id, bound_args=self._arguments, instance=self._owner, result=result)
        active_span_id.set(self._parent)

    def drop(self, error: BaseException) -> None:
        dispatcher.span_drop(id_=self._id, bound_args=self._arguments, instance=self._owner, err=error)
        active_span_id.set(self._parent)
