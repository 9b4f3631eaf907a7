"""What is known of the chat assistants of a server: the settings that decide how an answer has to be asked for.

They come from every listing of assistants that passes by, so that mostly nobody is asked for them, and may be out of date:
what a reply shows goes before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import decoders, wire

if TYPE_CHECKING:
    from ragflow_integrations.models import JsonObject

#: Assistants that are remembered; the longest known is forgotten first.
MOST = 1000
#: Settings that may add to the chunks that `top_n` allows, or replace them.
_UNBOUNDED = ("tavily_api_key", "use_kg", "reasoning", "toc_enhance", "web_search")


@dataclass(frozen=True, slots=True)
class Assistant:
    """The settings of a chat assistant that matter here.

    Attributes:
        researches: Its "Reasoning" switch is on.
        cites: Its answers have references.
        dataset_ids: The datasets it answers from.
        says_when_empty: It has a text for questions to which nothing is found.
        most_chunks: How many chunks it can give to its LLM, None if its settings set no bound.
        similarity_threshold: Chunks below are dropped.
        vector_similarity_weight: Share of the embedding's score.
    """

    researches: bool
    cites: bool
    dataset_ids: tuple[str, ...]
    says_when_empty: bool
    most_chunks: int | None
    similarity_threshold: float | None
    vector_similarity_weight: float | None

    @property
    def may_lack_references(self) -> bool:
        """Whether an answer from datasets may come without any reference."""
        return bool(self.dataset_ids) and not (self.cites and self.says_when_empty)


def _read(data: JsonObject) -> Assistant:
    chat = decoders.chat(data)
    prompt = wire.mapping(data, "prompt_config", "prompt")
    reasoning = prompt.get("reasoning")
    return Assistant(
        researches=bool(reasoning) and str(reasoning).strip() != "0",
        cites=chat.quote,
        dataset_ids=chat.dataset_ids,
        says_when_empty=bool(chat.empty_response),
        most_chunks=None if any(prompt.get(name) for name in _UNBOUNDED) else chat.top_n,
        similarity_threshold=chat.similarity_threshold,
        vector_similarity_weight=chat.vector_similarity_weight,
    )


class Assistants:
    """The assistants known, for all who use them at once: each entry changes whole or not at all."""

    def __init__(self) -> None:
        self._known: dict[str, Assistant] = {}

    def get(self, chat_id: str) -> Assistant | None:
        """Return what is known of an assistant."""
        return self._known.get(chat_id)

    def learn(self, reply: JsonObject) -> None:
        """Take the reply to a listing of assistants."""
        data = reply.get("data")
        for item in wire.objects(data.get("chats") if isinstance(data, dict) else data):
            key = wire.text(item, "id")
            if key:
                self._known.pop(key, None)
                self._known[key] = _read(item)
        for key in list(self._known)[: max(0, len(self._known) - MOST)]:
            self._known.pop(key, None)

    def forget(self, chat_id: str) -> None:
        """Forget an assistant whose settings have changed, as its replies show."""
        self._known.pop(chat_id, None)
