"""What not every release can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ragflow_integrations._protocol import validation

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
#: 0.25.1–0.25.5 give no message an id (docs/protocol.md, "Messages of a session").
MESSAGES = Feature("Deleting and rating messages", (0, 25, 0), broken=((0, 25, 1), (0, 25, 5)))
#: 0.22.x runs no agent: streams end at once, other replies are an exception [v0.22.1/08_agent_*].
AGENTS = Feature("Running an agent", (0, 17, 0), broken=((0, 22, 0), (0, 22, PATCHES)))
#: These releases take `messages` only and overwrite the session with them, so the whole history is sent; and they cut replies
#: that do not stream after the first piece, so answers are streamed and gathered (docs/protocol.md).
MESSAGES_ONLY = Feature("a body of messages only", (0, 25, 1), (0, 25, 5))
EFFORT_LEVELS = Feature("`reasoning_effort` of more than on and off", (0, 27, 0))

#: Beside `model`, 0.25.1–0.25.6 drop settings that are 0 [temp0-0.25.6.txt].
ZERO_SETTINGS = Feature(
    "`temperature`, `top_p` or a penalty of 0 beside `model` in a session",
    (0, 26, 0),
    instead="It is dropped there: use a small number such as 0.001, or set it on the assistant.",
)
#: PageFetcher of a retrieval are cut from candidates that have been ranked; before, see docs/protocol.md, "Retrieval pages".
PAGES_RANKED = Feature("pages of a ranked retrieval", (0, 23, 0))
PAGES_UNRANKED = Feature("retrievals of more than 63 chunks", (0, 22, 0))

#: Deep research, by an option or by the assistant's own "Reasoning" switch, is cut to its first event if it is not streamed
#: [reasoning-0.24.0-raw]; and the option cannot turn the switch off.
RESEARCH_CUT = Feature("deep research that must be streamed", (0, 24, 0), (0, 26, PATCHES))
#: The text for "nothing was found" is marked as unfinished if it is not streamed, although it is whole.
NOTHING_FOUND_UNFINISHED = Feature("a whole reply that is marked as unfinished", (0, 26, 4))
#: Stateless answers without a reference are an exception if references are asked for [nothing-raw-0.23.1].
REFERENCE_NEEDED = Feature("stateless answers that fail without a reference", (0, 20, 0), (0, 23, PATCHES))

#: Values of an agent's begin form are keys of the body itself, also when a session is made (source v0.19.1).
INPUTS_IN_BODY = Feature("`inputs` as keys of the body", (0, 17, 0), (0, 19, PATCHES))

#: Before, a run in a session hides the form that the agent waits for, and what failed [form-0.23.1] [form-0.25.6].
FORMS_SHOWN = Feature("forms of agents in a session", (0, 26, 3))

# Options of questions and searches → what a server must be to honour them.
SESSION_FEATURES: dict[str, Feature] = {
    "model": Feature("`model` in a session", (0, 25, 1), instead="Set the LLM on the assistant."),
    "reasoning_effort": Feature("`reasoning_effort`", (0, 24, 0)),
    "internet": Feature("`internet`", (0, 25, 0)),
}
AGENT_FEATURES: dict[str, Feature] = {
    "return_trace": Feature("`return_trace`", (0, 23, 0)),
    "agent_steps": Feature("`agent_steps`", (0, 23, 0)),
}
STATELESS_FEATURES: dict[str, Feature] = {
    "model": Feature("`model`", (0, 25, 1), instead="Set the LLM on the assistant."),
    **{
        name: Feature(f"`{name}` without a session", (0, 26, 0), instead="Set it on the assistant.")
        for name in validation.GENERATION
    },
    # 0.23 compares otherwise: see docs/protocol.md, "Metadata operators".
    "metadata_condition": Feature("`metadata_condition` without a session", (0, 24, 0), instead="Ask in a session."),
    **{
        name: Feature(f"`{name}` without a session", (0, 27, 0), instead="Ask in a session.")
        for name in ("document_ids", "reasoning_effort", "internet")
    },
}
RETRIEVAL_FEATURES: dict[str, Feature] = {
    "cross_languages": Feature("`cross_languages` in a retrieval", (0, 20, 0)),
    "toc_enhance": Feature("`toc_enhance` in a retrieval", (0, 23, 0)),
    "metadata_fields": Feature("`metadata_fields` in a retrieval", (0, 25, 2)),
}
