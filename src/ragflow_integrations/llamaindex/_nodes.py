"""Answers, chunks and messages in LlamaIndex's types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CitationBlock,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
)
from llama_index.core.base.response.schema import Response
from llama_index.core.schema import NodeRelationship, NodeWithScore, ObjectType, RelatedNodeInfo, TextNode
from llama_index.core.tools import ToolOutput

from ragflow_integrations._adapters import history
from ragflow_integrations._adapters.plain_data import agent_metadata, chunk_metadata, citation_data, citation_spans
from ragflow_integrations._protocol.answers.keyed_markers import cite_stored
from ragflow_integrations.citations import cite, rewrite
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import Answer, Message, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragflow_integrations.models import Chunk, Citation, CitationStyle

#: Metadata worth an LLM's attention; the rest is for programs and would only fill the prompt.
_FOR_LLMS = frozenset({"file_name", "page_label", "url"})
_BOX = 5


def node(chunk: Chunk) -> NodeWithScore:
    """Make the node of a chunk: its id is the chunk's, its source the document.

    The score stays None if the server gives none.
    """
    metadata: dict[str, Any] = {}
    if chunk.document_name:
        metadata["file_name"] = chunk.document_name
    page = _page(chunk)
    if page is not None:
        metadata["page_label"] = page
    metadata |= chunk_metadata(chunk)
    hidden = [key for key in metadata if key not in _FOR_LLMS]
    made = TextNode(
        text=chunk.content, metadata=metadata, excluded_llm_metadata_keys=hidden, excluded_embed_metadata_keys=hidden
    )
    if chunk.id:  # the knowledge graph's summary has none, and keeps the id that was made for it
        made.id_ = chunk.id
    if chunk.document_id:
        made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(
            node_id=chunk.document_id, node_type=ObjectType.DOCUMENT, metadata={"file_name": chunk.document_name}
        )
    return NodeWithScore(node=made, score=chunk.similarity)


def nodes(chunks: Iterable[Chunk]) -> list[NodeWithScore]:
    """Make the nodes of chunks, in their order."""
    return [node(chunk) for chunk in chunks]


def _page(chunk: Chunk) -> str | None:
    """Return the page of a paged document; elsewhere a position is an ordinal, written as a box without an area."""
    box = chunk.positions[0] if chunk.positions else ()
    if len(box) != _BOX or not (box[2] > box[1] and box[4] > box[3]):
        return None
    return str(int(box[0]))


def source(question: str, results: list[NodeWithScore]) -> ToolOutput:
    """Describe the retrieval behind an answer the way LlamaIndex's own chat engines do."""
    return ToolOutput(
        tool_name="ragflow_retrieval",
        content="\n\n".join(f"[{number}] {item.node.get_content()}" for number, item in enumerate(results, 1)),
        raw_input={"query": question},
        raw_output=Response(response=None, source_nodes=results),
    )


def metadata(session_id: str | None, answer: Answer | None = None) -> dict[str, Any]:
    """Describe an answer: the same keys for every kind of response, before the answer and after it."""
    answer = answer or Answer(text="")
    return {
        "session_id": answer.session_id or session_id,
        "message_id": answer.message_id,
        "citations": [citation_data(citation) for citation in answer.citations],
        "usage": usage(answer),
        "finish_reason": answer.finish_reason,
        **agent_metadata(answer),
    }


def usage(answer: Answer) -> dict[str, int] | None:
    """Return the tokens of an answer under the names that token counters read."""
    if answer.usage is None:
        return None
    counted = {
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "total_tokens": answer.usage.total_tokens,
    }
    return {name: count for name, count in counted.items() if count is not None}


def assistant_message(answer: Answer) -> ChatMessage:
    """Make the message of an answer: thinking, text, citations."""
    blocks: list[ContentBlock] = [ThinkingBlock(content=answer.reasoning)] if answer.reasoning else []
    blocks.append(TextBlock(text=answer.text))
    blocks += [_citation_block(citation) for citation in answer.citations]
    extra: dict[str, Any] = {"citations": [citation_data(citation) for citation in answer.citations]}
    extra |= {name: value for name, value in agent_metadata(answer).items() if value is not None and name != "trace"}
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=extra)


def partial_message(text: str, reasoning: str) -> ChatMessage:
    """Make the message of an answer that did not end."""
    blocks: list[ContentBlock] = [ThinkingBlock(content=reasoning)] if reasoning else []
    blocks.append(TextBlock(text=text))
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs={"citations": [], "interrupted": True})


def chat_response(message: ChatMessage, answer: Answer | None) -> ChatResponse:
    """Make what traces record of an answer."""
    counted = usage(answer) if answer is not None else None
    return ChatResponse(message=message, raw={"usage": counted} if counted else None)


def _citation_block(citation: Citation) -> CitationBlock:
    return CitationBlock(
        cited_content=TextBlock(text=citation.chunk.content),
        source=citation.chunk.id,
        title=citation.chunk.document_name,
        additional_location_info={
            "index": citation.index,
            "number": citation.number,
            "start": citation.start,
            "end": citation.end,
            "claim_start": citation.claim_start,
            "claim_end": citation.claim_end,
        },
    )


def stored_message(message: Message, style: CitationStyle) -> ChatMessage:
    """Make the message of a stored one, with its citations."""
    if message.role != "assistant":
        return ChatMessage(role=MessageRole(message.role), content=message.content)
    reference = message.reference or Reference()
    if isinstance(reference.raw.get("chunks"), Mapping):
        text, citations = cite_stored(message.content, reference, style)
        return assistant_message(Answer(text=text, reasoning=message.reasoning, citations=citations, citation_style=style))
    shown = rewrite(message.content, style)
    return assistant_message(
        Answer(text=shown.text, reasoning=message.reasoning, citations=cite(shown, reference.chunks), citation_style=style)
    )


def sent_messages(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Write messages as a history to send: text only, the assistant's without its markers.

    Raises:
        InvalidArgumentError: A message holds what no RAGFlow server reads.
    """
    return tuple(_sent(f"chat_history[{index}]", message) for index, message in enumerate(messages))


def _sent(name: str, message: ChatMessage) -> Message:
    role = history.role_of(name, message.role.value)
    if role == "system":
        raise InvalidArgumentError(name, "is a system message, which RAGFlow drops; put it into the assistant's prompt")
    unread = [block.block_type for block in message.blocks if not isinstance(block, TextBlock | ThinkingBlock | CitationBlock)]
    if unread:
        raise InvalidArgumentError(name, f"holds a block of type {unread[0]!r}; RAGFlow reads text only")
    return history.message(role, message.content or "", citation_spans(message.additional_kwargs.get("citations", [])))


def file_name(name: str, text_suffixes: frozenset[str]) -> str:
    """Return the name a text is uploaded under: one that makes the server parse it as text."""
    base = PurePosixPath(name.replace("\\", "/")).name or "document"
    return base if PurePosixPath(base).suffix.lower() in text_suffixes else f"{base}.txt"
