"""Callback handlers that refuse: LlamaIndex lets their errors through, so nothing may be left open by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler

from ragflow_integrations import TextDelta
from tests.contract.tape import recording
from tests.llamaindex.test_chat_engine import ANSWER, QUESTION, engine_of

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator


def test_a_budget_that_is_passed(server: Emulator) -> None:
    counter = TokenCountingHandler(tokenizer=str.split, token_budget=3)
    engine = engine_of(server, callback_manager=CallbackManager([counter]))
    with recording() as tape:
        response = engine.stream_chat(QUESTION)
        got = []
        with pytest.raises(ValueError, match="budget"):  # noqa: PT012 - a loop is what readers have
            for delta in response.response_gen:
                got.append(delta)  # noqa: PERF402 - what comes before the error is to be kept
        assert "".join(got) == str(response) == ANSWER
        assert tape.lines[-1] == "exit _stream"
        tape.lines.clear()
        with pytest.raises(ValueError, match="budget"):
            engine.chat(QUESTION)
        assert tape.lines == [
            *("enter chat", "enter _ask", "event LLMChatStartEvent", "drop _ask", "event SpanDropEvent", "drop chat")
        ]
    assert [message.content for message in engine.chat_history] == [QUESTION, ANSWER]


def test_what_comes_after_the_end_is_not_told(server: Emulator) -> None:
    """A reader in another thread may hold an event when the response is closed."""
    with recording() as tape:
        response = engine_of(server).stream_chat(QUESTION)
        response.close()
        told = len(tape.lines)
        assert response._turn.take(TextDelta("late")) == ""
        assert (len(tape.lines), str(response)) == (told, "")


def test_nobody_listens(server: Emulator) -> None:
    """Without handlers a piece makes no event, and all else is the same."""
    with engine_of(server).stream_chat(QUESTION) as response:
        assert "".join(response.response_gen) == ANSWER
