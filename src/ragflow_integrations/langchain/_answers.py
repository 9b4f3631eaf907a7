"""RAGFlow's answers and chunks as LangChain's messages and documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.content import Citation
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ragflow_integrations import models
from ragflow_integrations._adapters.plain_data import agent_metadata, chunk_metadata
from ragflow_integrations._adapters.stop import StopFilter, cut_text
from ragflow_integrations.langchain._compat import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MessageBuilder:
    """Builds the messages of an answer.

    Attributes:
        chat_id: Chat assistant asked.
        agent_id: Agent asked.
        model: LLM asked for instead of the assistant's own.
        stop: Where to cut the text.
    """

    chat_id: str | None
    agent_id: str | None
    model: str | None
    stop: tuple[str, ...]

    def chunks(self) -> ChunkBuilder:
        """Return a builder of the chunks of a stream."""
        return ChunkBuilder(self)

    def result(self, answer: models.Answer) -> ChatResult:
        """Return a whole answer."""
        text = cut_text(answer.text, self.stop)
        fields = self._message_fields(answer, text)
        if answer.reasoning:
            fields["additional_kwargs"]["reasoning_content"] = answer.reasoning
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text, **fields))])

    def last_chunk(self, answer: models.Answer, streamed: str, rest: str) -> ChatGenerationChunk:
        """Return the chunk that ends a stream; it holds all that may come only once.

        Args:
            answer: The answer.
            streamed: Its text as streamed, `rest` included.
            rest: The end of it.
        """
        fields = self._message_fields(answer, streamed)
        final = cut_text(answer.text, self.stop)
        if final != streamed:
            fields["response_metadata"]["final_answer"] = final
        return ChatGenerationChunk(message=AIMessageChunk(content=rest, chunk_position="last", **fields))

    def _message_fields(self, answer: models.Answer, text: str) -> dict[str, Any]:
        answered_by = answer.model if answer.model != "model" else None  # old servers repeat the placeholder that was sent
        chat_id, agent_id = answer.chat_id or self.chat_id, answer.agent_id or self.agent_id
        metadata: dict[str, Any] = {
            "model_provider": PROVIDER,
            "model_name": self.model or answered_by or chat_id or agent_id,
            "chat_id": chat_id,
            "agent_id": agent_id,
            "session_id": answer.session_id,
            "message_id": answer.message_id,
            "finish_reason": answer.finish_reason or "stop",
            "reference": _reference(answer.reference),
        }
        if answer.timings is not None:
            timings = answer.timings
            metadata["timings"] = _without_none(total=timings.total, retrieval=timings.retrieval, generation=timings.generation)
        metadata |= agent_metadata(answer)
        tokens = answer.usage
        usage = None
        if tokens is not None and tokens.prompt_tokens is not None and tokens.completion_tokens is not None:
            usage = UsageMetadata(
                input_tokens=tokens.prompt_tokens,
                output_tokens=tokens.completion_tokens,
                total_tokens=tokens.total_tokens,
            )
        elif tokens is not None:  # of an agent; LangChain's own type could show it only as 0 + 0
            metadata["token_usage"] = {"total_tokens": tokens.total_tokens}
        return {
            "additional_kwargs": {"citations": _citations(answer, text)},
            "response_metadata": _without_none(**metadata),
            "usage_metadata": usage,
        }


class ChunkBuilder:
    """Builds the chunks of one stream.

    LangChain adds chunks up: it joins strings, sums numbers and refuses other values that differ. So each chunk carries its
    piece and the provider's name, and the last one carries the rest.
    """

    def __init__(self, builder: MessageBuilder) -> None:
        self._builder = builder
        self._stop_filter = StopFilter(builder.stop)
        self._texts: list[str] = []

    def feed(self, event: models.AnswerEvent) -> ChatGenerationChunk | None:
        """Accept an event; return its chunk, or None if it shows nothing."""
        if isinstance(event, models.TextDelta):
            text = self._stop_filter.feed(event.text)
            self._texts.append(text)
            return _text_chunk(text) if text else None
        if isinstance(event, models.ReasoningDelta):
            return _reasoning_chunk(event.text)
        if isinstance(event, models.AgentStep):
            return None
        rest = self._stop_filter.finish()
        return self._builder.last_chunk(event.answer, "".join(self._texts) + rest, rest)


def _reasoning_chunk(text: str) -> ChatGenerationChunk:
    message = AIMessageChunk(
        content="", additional_kwargs={"reasoning_content": text}, response_metadata={"model_provider": PROVIDER}
    )
    return ChatGenerationChunk(message=message)


#: Chunks of text are copies of these: pydantic's validation of chunks that are all alike is a tenth of the cost of a stream.
_MESSAGE = AIMessageChunk(content="", response_metadata={"model_provider": PROVIDER})
_CHUNK = ChatGenerationChunk(message=_MESSAGE)


def _text_chunk(text: str) -> ChatGenerationChunk:
    fields = {  # mutable values must not be shared by all chunks
        "content": text,
        "additional_kwargs": {},
        "response_metadata": {"model_provider": PROVIDER},
        "tool_calls": [],
        "invalid_tool_calls": [],
        "tool_call_chunks": [],
    }
    return _CHUNK.model_copy(update={"text": text, "message": _MESSAGE.model_copy(update=fields)})


def _citations(answer: models.Answer, text: str) -> list[Citation]:
    """Return the citations, with spans in a text that may be shorter, or lack markers the server added at its end."""
    if answer.text.startswith(text):
        return [
            _citation(cited, (cited.start, cited.end), (cited.claim_start, cited.claim_end))
            for cited in answer.citations
            if cited.end <= len(text)
        ]
    located: list[Citation] = []
    claim = (0, 0)
    position = 0  # end of the last claim or marker
    for cited in answer.citations:
        claim_text, marker = answer.text[cited.claim_start : cited.claim_end], answer.text[cited.start : cited.end]
        start = text.find(claim_text, claim[0])  # markers side by side share a claim
        if start < 0:
            continue
        claim = (start, start + len(claim_text))
        position = max(position, claim[1])
        marker_start = len(text) - len(text[position:].lstrip())
        marker_span = (position, position)
        if marker and text.startswith(marker, marker_start):
            marker_span = (marker_start, marker_start + len(marker))
            position = marker_span[1]
        located.append(_citation(cited, marker_span, claim))
    return located


def _citation(cited: models.Citation, marker: tuple[int, int], claim: tuple[int, int]) -> Citation:
    start, end = marker if marker[0] < marker[1] else claim
    citation = Citation(
        type="citation",
        title=cited.chunk.document_name,
        cited_text=cited.chunk.content,
        start_index=start,
        end_index=end,
        extras={
            **chunk_metadata(cited.chunk),
            "reference_index": cited.index,
            "number": cited.number,
            "claim_start": claim[0],
            "claim_end": claim[1],
        },
    )
    if cited.chunk.url:
        citation["url"] = cited.chunk.url
    return citation


def _reference(reference: models.Reference) -> dict[str, Any]:
    return {
        "chunks": [{**chunk_metadata(chunk), "content": chunk.content} for chunk in reference.chunks],
        "documents": [
            {"document_id": item.document_id, "document_name": item.document_name, "count": item.count}
            for item in reference.documents
        ],
        "total": reference.total,
    }


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def document(chunk: models.Chunk) -> Document:
    """Return a chunk as a document."""
    return document_from({**chunk_metadata(chunk), "content": chunk.content})


def document_from(chunk: Mapping[str, Any]) -> Document:
    """Return a chunk of a message's `reference` as a document."""
    metadata = {"source": chunk["document_name"]} | {name: value for name, value in chunk.items() if name != "content"}
    return Document(id=chunk["chunk_id"] or None, page_content=chunk["content"], metadata=metadata)
