"""The demonstration: the bundled corpus, asked through LangChain and through LlamaIndex."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ragflow_integrations.client import RAGFlowClient
from ragflow_integrations.emulator import Emulator
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Show = Callable[[str], None]

_FIRST = "How long does a full charge take at a charging station?"
_SECOND = "Think: who must wear a helmet?"
_NOTE = (
    "This is the embedded emulator, not RAGFlow: it finds sentences of ten bundled documents and quotes them. The same code,\n"
    "pointed at your server (RAGFLOW_BASE_URL, RAGFLOW_API_KEY), asks your own assistants."
)


def run(delay: float, heading: Show, show: Show, sources: Callable[[Iterable[tuple[int, str, str]]], None]) -> None:
    """Ask one question through each framework and stream the answers.

    Args:
        delay: Seconds between the events of a stream.
        heading: Writes a line of the demonstration itself.
        show: Writes a piece of an answer.
        sources: Writes numbered sources: (number, document name, excerpt).
    """
    began = time.perf_counter()
    with Emulator(delay=delay) as server, RAGFlowClient(server.base_url, server.api_key) as client:
        heading(f"[dim]{_NOTE}\n{server.base_url}[/dim]\n")

        heading(f"[bold]LangChain[/bold]   ChatRAGFlow.stream({_FIRST!r})")
        model = ChatRAGFlow(chat_id=server.chat_id, client=client)
        message = None
        for chunk in model.stream(_FIRST):
            show(chunk.text)
            message = chunk if message is None else message + chunk
        heading("")
        cited = message.additional_kwargs["citations"] if message else []
        sources((item["extras"]["number"], item["title"], item["cited_text"]) for item in cited)

        heading(f"\n[bold]LlamaIndex[/bold]  RAGFlowChatEngine.stream_chat({_SECOND!r})")
        engine = RAGFlowChatEngine.from_defaults(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key)
        response = engine.stream_chat(_SECOND)
        for token in response.response_gen:
            show(token)
        heading("")
        nodes = response.source_nodes
        sources((n, nodes[n - 1].metadata["file_name"], nodes[n - 1].text) for n in _numbers(response.metadata))
    heading(f"\n[dim]Done in {time.perf_counter() - began:.1f} s; the emulator is stopped.[/dim]")


def _numbers(metadata: dict[str, object] | None) -> list[int]:
    citations = (metadata or {}).get("citations")
    return [item["number"] for item in citations] if isinstance(citations, list) else []
