"""What differs between RAGFlow releases, as data.

`variants` lists the ways in which releases do one thing, `era` the fields of a release, and `releases` their values. No other
module of the emulator compares versions.
"""

from ragflow_integrations.emulator.eras.era import Era
from ragflow_integrations.emulator.eras.releases import ERAS, SUPPORTED_VERSIONS, era_of
from ragflow_integrations.emulator.eras.variants import (
    Access,
    AgentEvents,
    AgentReferences,
    BadBody,
    Combining,
    Comparison,
    DeepResearch,
    DocumentDelete,
    History,
    NoSession,
    PlainBody,
    Prompt,
    ReferenceFlag,
    Slices,
    StoredValues,
    TakenName,
    ThinkTags,
    UnknownPath,
    Window,
)

__all__ = [
    "ERAS",
    "SUPPORTED_VERSIONS",
    "Access",
    "AgentEvents",
    "AgentReferences",
    "BadBody",
    "Combining",
    "Comparison",
    "DeepResearch",
    "DocumentDelete",
    "Era",
    "History",
    "NoSession",
    "PlainBody",
    "Prompt",
    "ReferenceFlag",
    "Slices",
    "StoredValues",
    "TakenName",
    "ThinkTags",
    "UnknownPath",
    "Window",
    "era_of",
]
