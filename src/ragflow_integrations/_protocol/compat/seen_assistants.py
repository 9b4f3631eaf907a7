"""What listings have shown of chat assistants: the settings that decide how an answer is asked for, and how it is read.

They come from every listing of assistants that passes by, so that a question seldom has to ask for them. Whoever changes an
assistant elsewhere makes them stale; so a rule that would do harm then looks the assistant up, or goes by what the reply shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ragflow_integrations._protocol import decoders, wire

if TYPE_CHECKING:
    from ragflow_integrations._protocol.http import Request
    from ragflow_integrations.models import Chat, JsonObject

#: Assistants that are remembered; the one seen longest ago is forgotten first.
_LIMIT: Final = 1000
#: Settings that add to the chunks that `top_n` allows, or replace them.
_UNBOUNDED: Final = ("tavily_api_key", "use_kg", "reasoning", "toc_enhance", "web_search")


@dataclass(frozen=True, slots=True)
class SeenAssistant:
    """The settings of a chat assistant that matter here.

    Attributes:
        researches: Whether its "Reasoning" switch is on.
        cites: Whether its answers have references.
        max_chunks: How many chunks it can give to its LLM, None if its settings set no bound.
    """

    researches: bool
    cites: bool
    max_chunks: int | None


def settings_of(chat: Chat) -> SeenAssistant:
    """Return the settings that matter of an assistant."""
    prompt = wire.mapping(chat.raw, "prompt_config", "prompt")
    reasoning = prompt.get("reasoning")
    return SeenAssistant(
        researches=bool(reasoning) and str(reasoning).strip() != "0",
        cites=chat.quote,
        max_chunks=None if any(prompt.get(name) for name in _UNBOUNDED) else chat.top_n,
    )


class SeenAssistants:
    """The assistants seen, for all who use them at once: each entry changes whole or not at all."""

    def __init__(self) -> None:
        self._seen: dict[str, SeenAssistant] = {}

    def get(self, chat_id: str) -> SeenAssistant | None:
        """Return what has been seen of an assistant."""
        return self._seen.get(chat_id)

    def observe(self, request: Request, reply: JsonObject | None) -> None:
        """Accept a reply: a listing shows assistants, also the one by which a change is read back."""
        if request.path != "/chats" or request.method != "GET" or reply is None:
            return
        data = reply.get("data")
        for item in wire.objects(data.get("chats") if isinstance(data, dict) else data):
            if chat_id := wire.text(item, "id"):
                self.forget(chat_id)
                self._seen[chat_id] = settings_of(decoders.chat(item))
        for chat_id in list(self._seen)[: max(0, len(self._seen) - _LIMIT)]:
            self.forget(chat_id)

    def forget(self, chat_id: str) -> None:
        """Forget an assistant whose settings may have changed."""
        self._seen.pop(chat_id, None)
