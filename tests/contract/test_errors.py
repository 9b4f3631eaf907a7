from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler

from tests.contract.harness import PATIENCE, Subject, contract, within
from tests.contract.world import CHAT, KEY, QUESTION, Endless, Ragflow, answer, refused, stream
from tests.support import sse
from tests.support.leaks import wait_until

FAILS_LATE = stream(
    sse.native_delta("one "), sse.native_delta("two "), sse.native_delta("three "), sse.native_error("boom"), sse.terminator()
)


class _StopError(BaseException):
    """Like KeyboardInterrupt, which pytest would take for its own."""


class _Interrupting(BaseCallbackHandler):
    def __init__(self) -> None:
        super().__init__([], [])

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None: ...

    def on_event_start(self, event_type: CBEventType, *_: Any, **__: Any) -> str:
        if event_type is CBEventType.RETRIEVE:
            raise _StopError
        return ""

    def on_event_end(self, *_: Any, **__: Any) -> None: ...


@contract("T4", "what is no Exception (an interrupt) reaches the reader and ends the answer")
def test_interrupt(subject: Subject) -> None:
    with Ragflow.answering(answer("some ", "text")) as server:
        engine = subject.engine(server, callback_manager=CallbackManager([_Interrupting()]))
        response = engine.stream_chat(QUESTION)
        try:
            with pytest.raises(_StopError):
                within(1.5, lambda: list(response.response_gen))
        finally:
            response.is_done = True  # or a reader of the naive response would spin for ever
        assert response.exception is None


@contract("T5", "all pieces before an error are given, then the error, once")
def test_pieces_before_error(subject: Subject) -> None:
    with Ragflow.answering(FAILS_LATE) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        wait_until(lambda: response.exception, 0.3)  # time for a writer to fail before anybody reads
        got: list[str] = []
        with pytest.raises(Exception, match="boom") as raised:  # noqa: PT012 - a loop is what readers have
            for piece in response.response_gen:
                got.append(piece)  # noqa: PERF402 - what comes before the error is to be kept
        assert got == ["one ", "two ", "three "]
        assert response.exception is raised.value
        assert list(response.response_gen) == []


@contract("T6", "an error comes to the reader only, not to some thread")
def test_no_dead_thread(subject: Subject) -> None:
    heard: list[Any] = []
    before = threading.excepthook
    threading.excepthook = heard.append
    try:
        with Ragflow.answering(FAILS_LATE) as server:
            response = subject.engine(server).stream_chat(QUESTION)
            with pytest.raises(Exception, match="boom"):
                list(response.response_gen)
            wait_until(lambda: heard, 0.2)
    finally:
        threading.excepthook = before
    assert heard == []


@contract("T7", "a refusal is raised by the call, so it cannot be missed by who does not read")
def test_refused(subject: Subject) -> None:
    with Ragflow.answering(refused()) as server, pytest.raises(Exception, match="own the chat"):
        subject.engine(server).stream_chat(QUESTION)


@contract("T7a", "… in asynchronous code too")
async def test_refused_async(subject: Subject) -> None:
    with Ragflow.answering(refused()) as server, pytest.raises(Exception, match="own the chat"):
        await subject.engine(server).astream_chat(QUESTION)


@contract("T15", "a failed turn leaves no question in the history")
def test_failed_turn(subject: Subject) -> None:
    with Ragflow.answering(stream(sse.native_error("boom"), sse.terminator())) as server:
        engine = subject.engine(server)
        with pytest.raises(Exception, match="boom"):
            list(engine.stream_chat(QUESTION).response_gen)
        assert engine.chat_history == []


@contract("T15a", "an interrupted turn keeps the question and the partial answer, marked")
def test_partial_kept(subject: Subject) -> None:
    with Ragflow.answering(FAILS_LATE, Endless()) as server:
        engine = subject.engine(server)
        with pytest.raises(Exception, match="boom"):
            list(engine.stream_chat(QUESTION).response_gen)
        pieces = engine.stream_chat(QUESTION).response_gen
        next(pieces)
        pieces.close()
        failed, left = engine.chat_history[1], engine.chat_history[3]
        assert failed.content == "one two three "
        assert left.content == "word0 "
        assert [message.additional_kwargs.get("interrupted") for message in engine.chat_history] == [None, True, None, True]


@contract("T16", "a server that is not there is said by the call")
def test_no_server(subject: Subject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    engine = subject.engine_class(base_url=f"http://127.0.0.1:{port}", api_key=KEY, chat_id=CHAT, session_id="s")
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        engine.stream_chat(QUESTION)


@contract("R28", "a failed search raises; it never looks like one that found nothing")
def test_search_fails(subject: Subject) -> None:
    with Ragflow.answering() as server:
        server.retrieval = lambda exchange: exchange.reply(500, body=b"<html>Internal Server Error</html>")
        with pytest.raises(Exception, match="500"):
            within(PATIENCE, lambda: subject.retriever(server).retrieve(QUESTION))
