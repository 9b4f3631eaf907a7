"""Answers as HTML for notebooks; everything the server sent is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragflow_integrations.models import Answer, Chunk

_EXCERPT = 400


def answer_html(answer: Answer) -> str:
    """Render text, numbered citations and sources."""
    cited = {citation.number: citation.chunk for citation in answer.citations}
    parts = []
    index = 0
    for citation in answer.citations:
        parts.append(escape(answer.text[index : citation.start]))
        title = escape(citation.chunk.document_name, quote=True)
        parts.append(f'<sup title="{title}">[{citation.number}]</sup>')
        index = citation.end
    parts.append(escape(answer.text[index:]))
    text = "".join(parts).replace("\n", "<br>")
    sources = "".join(_source(number, chunk) for number, chunk in sorted(cited.items()))
    thought = (
        f"<details><summary>Reasoning</summary><pre>{escape(answer.reasoning)}</pre></details>" if answer.reasoning else ""
    )
    return f'<div class="ragflow-answer">{thought}<p>{text}</p>{sources and f"<ol>{sources}</ol>"}</div>'


def _source(number: int, chunk: Chunk) -> str:
    excerpt = chunk.content.strip()
    shown = excerpt if len(excerpt) <= _EXCERPT else excerpt[: _EXCERPT - 1] + "…"
    return (
        f'<li value="{number}"><details><summary>{escape(chunk.document_name)}</summary>'
        f"<blockquote>{escape(shown)}</blockquote></details></li>"
    )
