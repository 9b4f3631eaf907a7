"""Questions the emulator has cited answers to, and what tests look at in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk

from tests.support import sse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.messages import BaseMessage
    from langchain_core.messages.content import Citation, ContentBlock

    from tests.support.wire import Exchange, Script

QUESTION = "How long does charging take and how far does a full battery go?"


def added(chunks: Iterable[BaseMessage]) -> AIMessageChunk:
    """Add up the chunks of a stream, as LangChain's own consumers do."""
    total: AIMessageChunk | None = None
    for chunk in chunks:
        assert isinstance(chunk, AIMessageChunk)
        total = chunk if total is None else total + chunk
    assert total is not None
    return total


def annotated(blocks: list[ContentBlock]) -> list[Citation]:
    """Give the annotations of the one text block there is."""
    (text,) = (block for block in blocks if block["type"] == "text")
    found = text.get("annotations", [])
    assert all(item["type"] == "citation" for item in found)
    return cast("list[Citation]", found)


def citations(message: BaseMessage) -> list[Citation]:
    return annotated(cast("AIMessage", message).content_blocks)


def shown(text: str, found: Iterable[Citation]) -> list[str]:
    return [text[item["start_index"] : item["end_index"]] for item in found]


def streaming(*events: bytes) -> Script:
    """Answer every request with a stream of these events."""

    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        for event in events:
            exchange.send(event)
        exchange.end()

    return script


def openai_stream(*pieces: str, final: str | None = None, chunks: Iterable[dict[str, Any]] = (), **extra: Any) -> Script:
    """Answer as the OpenAI-compatible route does, whose final text may differ from what it streamed."""
    text = "".join(pieces) if final is None else final
    events = [sse.openai_chunk(piece) for piece in pieces]
    last = sse.openai_chunk(finish="stop", reference=list(chunks), final_content=text, **extra)
    return streaming(*events, last, sse.DONE)
