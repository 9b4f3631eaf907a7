"""What not every release can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ragflow_integrations._protocol import arguments

Version: TypeAlias = tuple[int, int, int]

NEWEST: Version = (999, 0, 0)
#: Stands for "any patch of this minor version" in an upper bound.
PATCHES = 99


@dataclass(frozen=True, slots=True)
class Feature:
    """Something not every release can do.

    Attributes:
        what: In words, for messages: "`document_ids` in a stateless call".
        since: First release that can.
        until: Last release that can, None for the newest.
        instead: What to do without it.
        broken: First and last of the releases in between that cannot.
    """

    what: str
    since: Version
    until: Version | None = None
    instead: str = ""
    broken: tuple[Version, Version] | None = None

    @property
    def span(self) -> tuple[Version, Version]:
        """First and last release that can."""
        return self.since, self.until or NEWEST


#: Chat assistants are changed with PATCH; before that with PUT and the old names, see `old_chat_body`.
CHATS_PATCHED = Feature("PATCH", (0, 25, 0))
MESSAGES = Feature("Deleting and rating messages", (0, 25, 0))
#: 0.22.x runs no agent: streams end at once, other replies are an exception (notes §9.12).
AGENTS = Feature("Running an agent", (0, 17, 0), broken=((0, 22, 0), (0, 22, PATCHES)))
#: These releases take `messages` only and overwrite the session with them, so the whole history is sent; and they cut replies
#: that do not stream after the first piece, so answers are streamed and gathered (notes §9.1, §9.5).
MESSAGES_ONLY = Feature("a body of messages only", (0, 25, 1), (0, 25, 5))
EFFORT_LEVELS = Feature("`reasoning_effort` of more than on and off", (0, 27, 0))
#: A reply that does not stream ends with the first sign of deep research (recordings/transcripts/reasoning-0.24.0-raw.txt;
#: `break` in api/apps/sdk/session.py of 0.24.0 and in restful_apis/chat_api.py and openai_api.py up to 0.26.4).
RESEARCH_CUT = Feature("cutting deep research short", (0, 24, 0), (0, 26, PATCHES))
#: The OpenAI route fails over an answer that has no references where they are asked for
#: (recordings/transcripts/nothing-raw-0.23.1.txt; `chunks_format` of 0.20.0 to 0.23.1).
NO_REFERENCE_FAILS = Feature("failing over an answer without references", (0, 20, 0), (0, 23, PATCHES))
#: 0.25.1–0.25.6 drop a setting of 0 beside `llm_id` (recordings/transcripts/temp0-0.25.6.txt).
ZERO_SETTINGS = Feature("a setting of 0 beside `model`", (0, 26, 0))

# Options of questions and searches → what a server must be to honour them.
SESSION_FEATURES: dict[str, Feature] = {
    "model": Feature("`model` in a session", (0, 25, 1), instead="Set the LLM on the assistant."),
    "metadata_condition": Feature(
        "`metadata_condition` in a session", (0, 23, 0), (0, 24, PATCHES), "Ask without a session, or use `document_ids`."
    ),
    "reasoning_effort": Feature("`reasoning_effort`", (0, 24, 0)),
    "internet": Feature("`internet`", (0, 25, 0)),
}
AGENT_FEATURES: dict[str, Feature] = {"return_trace": Feature("`return_trace`", (0, 23, 0))}
STATELESS_FEATURES: dict[str, Feature] = {
    "model": Feature("`model`", (0, 25, 1), instead="Set the LLM on the assistant."),
    **{
        name: Feature(f"`{name}` without a session", (0, 26, 0), instead="Set it on the assistant.")
        for name in arguments.GENERATION
    },
    "metadata_condition": Feature("`metadata_condition`", (0, 23, 0), instead="Use `document_ids` in a session."),
    **{
        name: Feature(f"`{name}` without a session", (0, 27, 0), instead="Ask in a session.")
        for name in ("document_ids", "reasoning_effort", "internet")
    },
}
RETRIEVAL_FEATURES: dict[str, Feature] = {
    # 0.20–0.22 filter, but answer unfiltered when nothing matches (notes §1.7).
    "metadata_condition": Feature("`metadata_condition` in a retrieval", (0, 23, 0), instead="Filter by `document_ids`."),
    "cross_languages": Feature("`cross_languages` in a retrieval", (0, 20, 0)),
    "toc_enhance": Feature("`toc_enhance` in a retrieval", (0, 23, 0)),
    "metadata_fields": Feature("`metadata_fields` in a retrieval", (0, 25, 6)),
}
