"""LangChain's messages → what is sent to RAGFlow; RAGFlow's answers → LangChain's messages. No I/O."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.content import Citation
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ragflow_integrations import models
from ragflow_integrations._adapters import agent_metadata, chunk_metadata
from ragflow_integrations.citations import strip_markers
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.langchain._compat import PROVIDER, citations_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from ragflow_integrations.langchain.chat_models import SystemMessagePolicy

_ROLES: dict[str, models.Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "HumanMessageChunk": "user",
    "SystemMessageChunk": "system",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
#: Blocks of an assistant's turn that are not said again.
_UNSAID = ("reasoning", "non_standard", "server_tool_call", "server_tool_result")


# -- messages to send ------------------------------------------------------------------------------------------------------


def history(messages: Sequence[BaseMessage], policy: SystemMessagePolicy) -> list[models.Message]:
    """Write messages as RAGFlow's history.

    Raises:
        InvalidArgumentError: A message has no place in it, or the last is not a question.
    """
    written = _written(list(enumerate(messages)), policy)
    _check_last(written)
    return written


def _written(messages: Sequence[tuple[int, BaseMessage]], policy: SystemMessagePolicy) -> list[models.Message]:
    written: list[models.Message] = []
    system: list[str] = []
    for at, message in messages:
        role = _role(at, message)
        text = _text(at, message, role)
        if role == "system":
            _check_system(at, policy)
            system.append(text)
        else:
            written.append(models.Message(role=role, content=text))
    return _prepended(written, system) if system and policy == "prepend" else written


def question(messages: Sequence[BaseMessage], policy: SystemMessagePolicy) -> str:
    """Give the last message, the only one that is sent where the server keeps the history.

    Raises:
        InvalidArgumentError: It is not the user's.
    """
    roles = [_role(at, message) for at, message in enumerate(messages)]
    last = len(messages) - 1
    sent = [(at, message) for at, message in enumerate(messages) if at == last or roles[at] == "system"]
    if policy == "prepend" and "user" in roles[:last]:
        sent = sent[-1:]  # system messages were sent with the first question
    written = _written(sent, policy)
    _check_last(written)
    return written[-1].content


def _check_last(written: Sequence[models.Message]) -> None:
    if not written or written[-1].role != "user" or not written[-1].content.strip():
        raise InvalidArgumentError("messages", "must end with a message of the user, the question, which must not be empty")


def check_alone(messages: Sequence[BaseMessage]) -> None:
    """Check that there is one question and no history, for an agent without a session to remember it.

    Raises:
        InvalidArgumentError: There is more.
    """
    if sum(_role(at, message) != "system" for at, message in enumerate(messages)) > 1:
        raise InvalidArgumentError(
            "messages", "hold a history, which an agent keeps itself: pass `session_id` or `conversation_id`, or one message"
        )


def _role(at: int, message: BaseMessage) -> models.Role:
    kind = message.role if isinstance(message, ChatMessage) else message.type
    if kind not in _ROLES:
        raise InvalidArgumentError(
            f"messages[{at}]",
            f"is a {kind!r} message; RAGFlow takes messages of the user and the assistant. To let a model call RAGFlow as a "
            "tool, give RAGFlowToolkit's tools to a model that calls tools",
        )
    return _ROLES[kind]


def _text(at: int, message: BaseMessage, role: models.Role) -> str:
    if role != "assistant":
        if not isinstance(message.content, str):
            _check_blocks(at, message, ())
        return str(message.text)
    _check_blocks(at, message, _UNSAID)
    text = str(message.text)
    return strip_markers(text, _shown_spans(text, citations_of(message)))


def _check_blocks(at: int, message: BaseMessage, unsaid: Sequence[str]) -> None:
    for block in message.content_blocks:
        if block["type"] != "text" and block["type"] not in unsaid:
            raise InvalidArgumentError(
                f"messages[{at}]",
                f"holds content of type {block['type']!r}; RAGFlow assistants take text only. Upload files to a dataset",
            )


def _shown_spans(text: str, citations: Sequence[Citation]) -> Iterator[tuple[int, int]]:
    """Give the spans of `[4]`s, if the text still has them there; the server's own markers are found without spans."""
    for citation in citations:
        start, end = citation.get("start_index", 0), citation.get("end_index", 0)
        if text[start:end] == f"[{citation.get('extras', {}).get('number')}]":
            yield start, end


def _check_system(at: int, policy: SystemMessagePolicy) -> None:
    if policy == "prepend":
        return
    problem = "is a system message, which every RAGFlow server drops; put it into the assistant's prompt in RAGFlow"
    if policy == "error":
        raise InvalidArgumentError(f"messages[{at}]", f"{problem}, or set system_message='prepend'")
    warnings.warn(f"messages[{at}] {problem}, or set system_message='prepend' or 'error'.", UserWarning, stacklevel=2)


def _prepended(written: list[models.Message], system: list[str]) -> list[models.Message]:
    for at, message in enumerate(written):
        if message.role == "user":
            folded = models.Message(role="user", content="\n\n".join([*system, message.content]))
            return [*written[:at], folded, *written[at + 1 :]]
    return written


# -- answers ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a question shapes its answer's message.

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

    def chunks(self) -> Chunks:
        """Begin a stream."""
        return Chunks(self)

    def result(self, answer: models.Answer) -> ChatResult:
        """Give a whole answer."""
        text = _cut(answer.text, self.stop)
        about = self._about(answer, text)
        if answer.reasoning:
            about["additional_kwargs"]["reasoning_content"] = answer.reasoning
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text, **about))])

    def last(self, answer: models.Answer, said: str, rest: str) -> ChatGenerationChunk:
        """Give the chunk that ends a stream; it holds all that may come only once.

        Args:
            answer: The answer.
            said: Its text as streamed, `rest` included.
            rest: The end of it.
        """
        about = self._about(answer, said)
        final = _cut(answer.text, self.stop)
        if final != said:
            about["response_metadata"]["final_answer"] = final
        return ChatGenerationChunk(message=AIMessageChunk(content=rest, chunk_position="last", **about))

    def _about(self, answer: models.Answer, text: str) -> dict[str, Any]:
        known = answer.model if answer.model != "model" else None  # old servers repeat the placeholder that was sent
        chat_id, agent_id = answer.chat_id or self.chat_id, answer.agent_id or self.agent_id
        metadata: dict[str, Any] = {
            "model_provider": PROVIDER,
            "model_name": self.model or known or chat_id or agent_id,
            "chat_id": chat_id,
            "agent_id": agent_id,
            "session_id": answer.session_id,
            "message_id": answer.message_id,
            "finish_reason": answer.finish_reason or "stop",
            "reference": _reference(answer.reference),
        }
        if answer.timings is not None:
            timings = answer.timings
            metadata["timings"] = _known(total=timings.total, retrieval=timings.retrieval, generation=timings.generation)
        metadata |= agent_metadata(answer)
        counted = answer.usage
        usage = None
        if counted is not None and counted.prompt_tokens is not None and counted.completion_tokens is not None:
            usage = UsageMetadata(
                input_tokens=counted.prompt_tokens,
                output_tokens=counted.completion_tokens,
                total_tokens=counted.total_tokens,
            )
        elif counted is not None:  # of an agent; LangChain's own type could show it only as 0 + 0
            metadata["token_usage"] = {"total_tokens": counted.total_tokens}
        return {
            "additional_kwargs": {"citations": _citations(answer, text)},
            "response_metadata": _known(**metadata),
            "usage_metadata": usage,
        }


class Chunks:
    """Makes the chunks of one stream.

    LangChain adds chunks up: it joins strings, sums numbers and refuses other values that differ. So each chunk carries its
    piece and the provider's name, and the last one carries the rest.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._stopper = Stopper(asked.stop)
        self._said: list[str] = []

    def feed(self, event: models.AnswerEvent) -> ChatGenerationChunk | None:
        """Take an event; give its chunk, if it shows anything."""
        if isinstance(event, models.TextDelta):
            text = self._stopper.feed(event.text)
            self._said.append(text)
            return _piece(text) if text else None
        if isinstance(event, models.ReasoningDelta):
            return _thought(event.text)
        if isinstance(event, models.AgentStep):
            return None
        rest = self._stopper.finish()
        return self._asked.last(event.answer, "".join(self._said) + rest, rest)


def _thought(text: str) -> ChatGenerationChunk:
    message = AIMessageChunk(
        content="", additional_kwargs={"reasoning_content": text}, response_metadata={"model_provider": PROVIDER}
    )
    return ChatGenerationChunk(message=message)


#: A piece of text is a copy of these: a tenth of the cost of a whole stream is pydantic's check of pieces that are all alike.
_MESSAGE = AIMessageChunk(content="", response_metadata={"model_provider": PROVIDER})
_CHUNK = ChatGenerationChunk(message=_MESSAGE)


def _piece(text: str) -> ChatGenerationChunk:
    own = {  # what could be changed in one must not be shared by all
        "content": text,
        "additional_kwargs": {},
        "response_metadata": {"model_provider": PROVIDER},
        "tool_calls": [],
        "invalid_tool_calls": [],
        "tool_call_chunks": [],
    }
    return _CHUNK.model_copy(update={"text": text, "message": _MESSAGE.model_copy(update=own)})


class Stopper:
    """Ends a text that comes in pieces before the first stop sequence; what may begin one is held back."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [item for item in stop if item]
        self._held = ""
        self._stopped = False

    def feed(self, piece: str) -> str:
        """Take a piece; give the text that surely comes before the end."""
        if not self._stop:
            return piece
        if self._stopped:
            return ""
        text = self._held + piece
        cut = _cut(text, self._stop)
        if len(cut) < len(text):
            self._stopped, self._held = True, ""
            return cut
        keep = max(_overlap(text, item) for item in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """Give what was held back."""
        return self._held


def _cut(text: str, stop: Sequence[str]) -> str:
    """Give the text before the stop sequence that is complete first, which is the one a stream meets first."""
    ends = [(at + len(item), at) for item in stop if item and (at := text.find(item)) >= 0]
    return text[: min(ends)[1]] if ends else text


def _overlap(text: str, stop: str) -> int:
    """How much of the end of a text begins a stop sequence."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


def _citations(answer: models.Answer, text: str) -> list[Citation]:
    """Describe the citations, with spans in a text that may be shorter, or lack markers the server added at its end."""
    if answer.text.startswith(text):
        return [
            _citation(cited, (cited.start, cited.end), (cited.claim_start, cited.claim_end))
            for cited in answer.citations
            if cited.end <= len(text)
        ]
    found: list[Citation] = []
    claim = (0, 0)
    at = 0  # end of the last claim or marker
    for cited in answer.citations:
        claimed, marker = answer.text[cited.claim_start : cited.claim_end], answer.text[cited.start : cited.end]
        start = text.find(claimed, claim[0])  # markers side by side share a claim
        if start < 0:
            continue
        claim = (start, start + len(claimed))
        at = max(at, claim[1])
        behind = len(text) - len(text[at:].lstrip())
        shown = (at, at)
        if marker and text.startswith(marker, behind):
            shown = (behind, behind + len(marker))
            at = shown[1]
        found.append(_citation(cited, shown, claim))
    return found


def _citation(cited: models.Citation, marker: tuple[int, int], claim: tuple[int, int]) -> Citation:
    start, end = marker if marker[0] < marker[1] else claim
    described = Citation(
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
        described["url"] = cited.chunk.url
    return described


def _reference(reference: models.Reference) -> dict[str, Any]:
    return {
        "chunks": [{**chunk_metadata(chunk), "content": chunk.content} for chunk in reference.chunks],
        "documents": [
            {"document_id": item.document_id, "document_name": item.document_name, "count": item.count}
            for item in reference.documents
        ],
        "total": reference.total,
    }


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# -- documents -------------------------------------------------------------------------------------------------------------


def document(chunk: models.Chunk) -> Document:
    """Give a chunk as a document."""
    return described_document({**chunk_metadata(chunk), "content": chunk.content})


def described_document(chunk: Mapping[str, Any]) -> Document:
    """Give a chunk of a message's `reference` as a document."""
    metadata = {"source": chunk["document_name"]} | {name: value for name, value in chunk.items() if name != "content"}
    return Document(id=chunk["chunk_id"] or None, page_content=chunk["content"], metadata=metadata)
