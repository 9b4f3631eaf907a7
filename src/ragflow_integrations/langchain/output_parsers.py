"""`CitedAnswerParser`: answers with their citations and sources at the end of a chain, where `StrOutputParser` drops them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document  # noqa: TC002 - pydantic evaluates the types of fields
from langchain_core.messages import BaseMessage
from langchain_core.messages.content import Citation  # noqa: TC002 - pydantic evaluates the types of fields
from langchain_core.output_parsers import BaseTransformOutputParser
from pydantic import BaseModel, ConfigDict, Field

from ragflow_integrations import models
from ragflow_integrations._html import answer_html
from ragflow_integrations.langchain._answers import document_from
from ragflow_integrations.langchain._compat import citations_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.outputs import Generation

_EXCERPT = 200


class CitedAnswer(BaseModel):
    """An answer and what it rests on.

    In a stream each piece holds what is new; pieces add up to the whole with `+`.
    """

    model_config = ConfigDict(frozen=True)

    text: str = ""
    """The answer."""
    citations: list[Citation] = Field(default_factory=list)
    """Its citations in LangChain's standard form; spans are those of `text`."""
    sources: list[Document] = Field(default_factory=list)
    """Everything retrieved, in the server's order: `[n]` in the text is `sources[n - 1]`."""
    reasoning: str = ""
    """The model's thinking, if it was sent."""

    @classmethod
    def from_message(cls, message: BaseMessage) -> CitedAnswer:
        """Read a message, or a chunk of one."""
        reference = message.response_metadata.get("reference") or {}
        return cls(
            text=str(message.text),
            citations=citations_of(message),
            sources=[document_from(chunk) for chunk in reference.get("chunks", ())],
            reasoning="".join(block.get("reasoning", "") for block in message.content_blocks if block["type"] == "reasoning"),
        )

    def __add__(self, other: CitedAnswer) -> CitedAnswer:
        """Join pieces of one answer."""
        return CitedAnswer(
            text=self.text + other.text,
            citations=self.citations + other.citations,
            sources=self.sources + other.sources,
            reasoning=self.reasoning + other.reasoning,
        )

    def to_markdown(self) -> str:
        """Return the text with a footnote per cited source."""
        parts: list[str] = []
        notes: dict[int, str] = {}
        position = 0
        for citation in self.citations:
            number = _number(citation)
            start, end = _marker(citation)
            parts += [self.text[position:start], f"[^{number}]"]
            position = end
            notes[number] = f"[^{number}]: {_title(citation)}: “{_excerpt(citation)}”"
        text = "".join([*parts, self.text[position:]])
        return "\n".join([text, "", *(notes[number] for number in sorted(notes))]) if notes else text

    def _repr_html_(self) -> str:
        """Show the answer in a notebook: text with numbered citations, sources below, all of it escaped."""
        cited = []
        for citation in self.citations:
            start, end = _marker(citation)
            chunk = models.Chunk(id="", content=citation.get("cited_text", ""), document_name=citation.get("title", ""))
            number = _number(citation)
            cited.append(
                models.Citation(
                    index=number - 1, number=number, start=start, end=end, claim_start=end, claim_end=end, chunk=chunk
                )
            )
        return answer_html(models.Answer(text=self.text, reasoning=self.reasoning, citations=tuple(cited)))


class CitedAnswerParser(BaseTransformOutputParser[CitedAnswer]):
    """Parses messages of `ChatRAGFlow` into `CitedAnswer`s, whole or as they are written.

    Messages of other models give their text and the standard citations they have.

    Example:
        >>> from ragflow_integrations.langchain import ChatRAGFlow, CitedAnswerParser
        >>> model = ChatRAGFlow(chat_id=chat_id, base_url=base_url, api_key=api_key)
        >>> chain = model | CitedAnswerParser()
        >>> answer = chain.invoke("How long does a full charge take?")
        >>> answer.sources[answer.citations[0]["extras"]["number"] - 1].metadata["source"]
        'charging-stations.md'
        >>> print(answer.to_markdown())
        A full charge at a charging station takes four hours [^1].
        <BLANKLINE>
        [^1]: charging-stations.md: ...
        >>> pieces = list(chain.stream("How long does a full charge take?"))
        >>> "".join(piece.text for piece in pieces) == answer.text
        True
        >>> model.close()
    """

    def parse(self, text: str) -> CitedAnswer:
        """Accept text without citations."""
        return CitedAnswer(text=text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> CitedAnswer:  # noqa: ARG002 - LangChain's
        """Accept a message."""
        message: Any = getattr(result[0], "message", None)
        return CitedAnswer.from_message(message) if isinstance(message, BaseMessage) else self.parse(result[0].text)

    async def aparse_result(self, result: list[Generation], *, partial: bool = False) -> CitedAnswer:
        """Accept a message; at once, where LangChain's default would go through a thread."""
        return self.parse_result(result, partial=partial)

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[CitedAnswer]:  # noqa: A002 - LangChain's name
        for chunk in input:
            yield self._piece(chunk)

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[CitedAnswer]:  # noqa: A002 - as above
        async for chunk in input:
            yield self._piece(chunk)

    def _piece(self, chunk: str | BaseMessage) -> CitedAnswer:
        return CitedAnswer.from_message(chunk) if isinstance(chunk, BaseMessage) else self.parse(chunk)

    @property
    def _type(self) -> str:
        return "ragflow-cited-answer"


def _number(citation: Citation) -> int:
    number: int = citation.get("extras", {}).get("number", 0)
    return number


def _marker(citation: Citation) -> tuple[int, int]:
    """Where the marker is, or would be if it were shown: then the citation's span is its claim's."""
    start, end = citation.get("start_index", 0), citation.get("end_index", 0)
    extras = citation.get("extras", {})
    return (end, end) if (start, end) == (extras.get("claim_start"), extras.get("claim_end")) else (start, end)


def _title(citation: Citation) -> str:
    title = citation.get("title", "").replace("[", "\\[").replace("]", "\\]")
    return f"[{title}]({citation['url']})" if "url" in citation else title


def _excerpt(citation: Citation) -> str:
    text = " ".join(citation.get("cited_text", "").split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


__all__ = ["CitedAnswer", "CitedAnswerParser"]
