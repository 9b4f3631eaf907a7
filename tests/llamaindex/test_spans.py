"""Every event of a turn is of the turn's span, whoever reads the answer; and a quiet index leaves no thread."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

from llama_index_instrumentation.span import active_span_id

from tests.contract.tape import recording
from tests.llamaindex.test_chat_engine import ANSWER, QUESTION, engine_of

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator
    from tests.contract.tape import Tape

OF_THE_RETRIEVAL = {"RetrievalStartEvent", "RetrievalEndEvent"}


def check(tape: Tape) -> None:
    """Check that all events are of one span of the answer, apart from those of its retrieval, which has a span within it."""
    spans = {event.span_id for event in tape.events if event.class_name() not in OF_THE_RETRIEVAL}
    assert len(spans) == 1
    [span] = spans
    assert str(span).startswith("RAGFlowChatEngine._stream")
    kinds = [event.class_name() for event in tape.events]
    assert "StreamChatDeltaReceivedEvent" in kinds
    assert {str(event.span_id).partition("-")[0] for event in tape.events if event.class_name() in OF_THE_RETRIEVAL} == {
        "RAGFlowChatEngine._retrieve"
    }


def test_events_of_a_turn_that_is_read_within_another_span(server: Emulator) -> None:
    with recording() as tape:
        response = engine_of(server).stream_chat(QUESTION)
        token = active_span_id.set("the reader's own")
        try:
            assert "".join(response.response_gen) == ANSWER
        finally:
            active_span_id.reset(token)
    check(tape)


def test_events_of_a_turn_that_is_read_in_another_thread(server: Emulator) -> None:
    with recording() as tape:
        response = engine_of(server).stream_chat(QUESTION)
        reader = threading.Thread(target=lambda: list(response.response_gen))
        reader.start()
        reader.join()
        assert str(response) == ANSWER
    check(tape)


async def test_events_of_an_asynchronous_turn(server: Emulator) -> None:
    with recording() as tape:
        response = await engine_of(server).astream_chat(QUESTION)
        token = active_span_id.set("the reader's own")
        try:
            assert "".join([piece async for piece in response.async_response_gen()]) == ANSWER
        finally:
            active_span_id.reset(token)
    check(tape)


SCRIPT = """
    import threading
    from llama_index.core.schema import Document
    from ragflow_integrations import RAGFlowClient
    from ragflow_integrations.llamaindex import RAGFlowIndex

    with RAGFlowClient({address!r}, {key!r}) as client:
        index = RAGFlowIndex.from_documents([Document(text="A lamp.", id_="lamp")], client=client, dataset_name="Quiet {shown}",
                                            show_progress={shown})
        index.insert(Document(text="A radio.", id_="radio"))
        client.datasets.delete([index.dataset_id])
    print([thread.name for thread in threading.enumerate() if thread is not threading.main_thread()])
"""


def _threads_left(server: Emulator, *, shown: bool) -> str:
    """The threads of a process that has made an index."""
    script = textwrap.dedent(SCRIPT.format(address=server.base_url, key=server.api_key, shown=shown))
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=120
    ).stdout.strip()


def test_an_index_without_a_bar_leaves_no_thread(server: Emulator) -> None:
    """With a bar tqdm keeps a monitor for ever, which is its own business; without one nobody has asked for it."""
    assert _threads_left(server, shown=False) == "[]"
    assert _threads_left(server, shown=True) != "[]"
