"""Options of questions and searches, and of the constructors that take them; the core's tables with LlamaIndex's additions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations.models import CompletionOptions, ConnectionOptions, RetrievalOptions

if TYPE_CHECKING:
    from collections.abc import Sequence


class QuestionOptions(CompletionOptions, total=False):
    """Options of one question: those of `CompletionOptions`, and `stop`.

    Attributes:
        stop: Sequences before which the answer is cut off (by the adapter; RAGFlow knows none).
    """

    stop: Sequence[str] | None


class EngineOptions(QuestionOptions, ConnectionOptions, total=False):
    """Options of every question of an engine, and settings of its client; see `ConnectionOptions`."""


class RetrieverOptions(RetrievalOptions, ConnectionOptions, total=False):
    """Options of every search of a retriever, and settings of its client; see `ConnectionOptions`."""


__all__ = ["EngineOptions", "QuestionOptions", "RetrieverOptions"]
