"""The contenders: each a few lines over one client, loaded by name in a process of its own.

The names of packages that are not this project's are given to `import_module`: a contender that cannot be loaded is reported,
and nothing else needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.answers import Markers

KEY = "ragflow-benchmark"
QUESTION = "How warm is the room?"


@dataclass(frozen=True)
class Ask:
    """One question: the assistant, which is the answer's name, and the session."""

    chat: str
    session: str = "session"


class SyncClient(Protocol):
    """A synchronous contender."""

    markers: Markers

    def stream(self, ask: Ask) -> Iterator[str]:
        """Give the pieces of an answer."""
        ...

    def retrieve(self) -> int:
        """Search; give how many chunks were found."""
        ...


class AsyncClient(Protocol):
    """An asynchronous contender."""

    markers: Markers

    def astream(self, ask: Ask) -> AsyncIterator[str]:
        """Give the pieces of an answer."""
        ...

    async def aretrieve(self) -> int:
        """Search; give how many chunks were found."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True)
class Contender:
    """A contender.

    Attributes:
        key: Its name here.
        label: Its name in tables.
        place: `module:class` in this package.
        package: The distribution whose version is reported, where it is not this project's.
    """

    key: str
    label: str
    place: str
    package: str = ""

    @property
    def asynchronous(self) -> bool:
        """Whether it is asynchronous."""
        return self.key.endswith("-async")


CONTENDERS = {
    contender.key: contender
    for contender in (
        Contender("raw", "raw socket, JSON", "floors:RawSocket"),
        Contender("raw-async", "raw asyncio, JSON", "floors:RawAsync"),
        Contender("json", "JSON decoding alone", "floors:JsonOnly"),
        Contender("core", "**RAGFlowClient**", "ours:Core"),
        Contender("core-async", "**AsyncRAGFlowClient**", "ours:CoreAsync"),
        Contender("sdk", "ragflow-sdk", "ragflow_sdk:Sdk", "ragflow-sdk"),
        Contender("sdk-async", "ragflow-async-sdk", "ragflow_sdk:AsyncSdk", "ragflow-async-sdk"),
        Contender("lc-floor", "LangChain alone", "floors:LangChain"),
        Contender("lc-floor-async", "LangChain alone, async", "floors:LangChain"),
        Contender("lc", "**ChatRAGFlow.stream**, in a session", "ours:LangChain"),
        Contender("lc-async", "**ChatRAGFlow.astream**, in a session", "ours:LangChain"),
        Contender("lc-apart-async", "the same, pieces not merged", "ours:LangChainApart"),
        Contender("lc-stateless", "**ChatRAGFlow.stream**, stateless", "ours:LangChainStateless"),
        Contender("lc-stateless-async", "**ChatRAGFlow.astream**, stateless", "ours:LangChainStateless"),
        Contender("lc-openai", "langchain-openai", "openai:LangChain", "langchain-openai"),
        Contender("lc-openai-async", "langchain-openai, async", "openai:LangChain", "langchain-openai"),
        Contender("li-floor", "LlamaIndex alone", "floors:LlamaIndex"),
        Contender("li-floor-async", "LlamaIndex alone, async", "floors:LlamaIndex"),
        Contender("li", "**RAGFlowChatEngine.stream_chat**", "ours:LlamaIndex"),
        Contender("li-async", "**RAGFlowChatEngine.astream_chat**", "ours:LlamaIndex"),
        Contender("li-apart-async", "the same, pieces not merged", "ours:LlamaIndexApart"),
        Contender("li-openai", "llama-index-llms-openai-like", "openai:LlamaIndex", "llama-index-llms-openai-like"),
        Contender(
            "li-openai-async", "llama-index-llms-openai-like, async", "openai:LlamaIndex", "llama-index-llms-openai-like"
        ),
    )
}
