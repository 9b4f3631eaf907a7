"""Standard content blocks of RAGFlow's messages.

Messages carry plain text, with thinking and citations in `additional_kwargs`. The translator, registered with LangChain for the
provider "ragflow", makes a reasoning block and one text block of them whose annotations are standard citations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.content import ReasoningContentBlock, TextContentBlock

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.messages.content import Annotation, Citation, ContentBlock

PROVIDER = "ragflow"


def content_blocks(message: AIMessage) -> list[ContentBlock]:
    """Return a message, or a chunk of one, as standard blocks.

    Blocks have no ids: random ones would keep the blocks of two chunks from being merged.
    """
    blocks: list[ContentBlock] = []
    thought = message.additional_kwargs.get("reasoning_content")
    if thought:
        blocks.append(ReasoningContentBlock(type="reasoning", reasoning=thought))
    annotations = cast("list[Annotation]", message.additional_kwargs.get("citations"))
    if message.text or annotations:
        text = TextContentBlock(type="text", text=str(message.text))
        if annotations:
            text["annotations"] = annotations
        blocks.append(text)
    return blocks


def register() -> None:
    """Register the translator with LangChain."""
    register_translator(PROVIDER, content_blocks, content_blocks)


def citations_of(message: BaseMessage) -> list[Citation]:
    """Read a message's citations, whichever form its content has; their spans are those of `message.text`."""
    citations: list[Citation] = []
    position = 0
    for block in message.content_blocks:
        if block["type"] != "text":
            continue
        annotations = block.get("annotations", ())
        citations += [_moved(annotation, position) for annotation in annotations if annotation["type"] == "citation"]
        position += len(block["text"])
    return citations


def _moved(citation: Citation, by: int) -> Citation:
    if not by:
        return citation
    moved = citation.copy()
    if "start_index" in citation and "end_index" in citation:
        moved["start_index"] = citation["start_index"] + by
        moved["end_index"] = citation["end_index"] + by
    return moved
