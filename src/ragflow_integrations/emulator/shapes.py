"""How stored objects look on the wire of each era."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ragflow_integrations.emulator.era import Era
    from ragflow_integrations.emulator.store import Record

TENANT: Final = "0e8a9978e6bf11f199fc02fc00000001"
"""The id of the only user."""
NICKNAME: Final = "emulator"
CHAT_MODEL: Final = "emulated-chat@Emulator"
EMBEDDING_MODELS: Final = ("emulated-embedding@Emulator", "emulated-embedding-2@Emulator")
"""The embedding models that are configured; the first is the default."""
RERANK_MODEL: Final = "emulated-rerank"
"""The one rerank model there is, without its provider."""

PROLOGUE: Final = "Hi! I'm your assistant. What can I do for you?"
EMPTY_RESPONSE: Final = "Sorry! No relevant content was found in the knowledge base!"
SYSTEM: Final = (
    "You are an intelligent assistant. Answer the question from the content of the dataset.\n"
    "Here is the knowledge base:\n{knowledge}\nThe above is the knowledge base."
)
LLM_SETTING: Final = {
    "temperature": 0.1,
    "top_p": 0.3,
    "presence_penalty": 0.4,
    "frequency_penalty": 0.7,
    "max_tokens": 512,
}
_PARSER_CONFIG: Final[dict[str, Any]] = {
    "auto_keywords": 0,
    "auto_questions": 0,
    "chunk_token_num": 512,
    "delimiter": "\n",
    "graphrag": {"use_graphrag": False},
    "html4excel": False,
    "layout_recognize": "Plain Text",
    "raptor": {"use_raptor": False},
}
OLD_NAMES: Final = {
    "prompt": "system",
    "opener": "prologue",
    "variables": "parameters",
    "show_quote": "quote",
    "empty_response": "empty_response",
    "refine_multiturn": "refine_multiturn",
    "tts": "tts",
    "reasoning": "reasoning",
}


def default_parser_config() -> dict[str, Any]:
    """The parser settings of a dataset that was created without any."""
    return dict(_PARSER_CONFIG)


def default_prompt_config(era: Era) -> dict[str, Any]:
    """The prompt settings of a chat that was created without any."""
    parameters: list[dict[str, Any]] = [{"key": "knowledge", "optional": False}]
    if era.new_chat_api:
        parameters.append({"key": "date", "optional": True})
    return {
        "system": SYSTEM,
        "prologue": PROLOGUE,
        "parameters": parameters,
        "empty_response": EMPTY_RESPONSE,
        "quote": True,
        "tts": False,
        "refine_multiturn": True,
    }


def date(era: Era, milliseconds: int) -> str:
    """Return a time as the era writes it."""
    if era.iso_dates:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(milliseconds / 1000))
    return formatdate(milliseconds / 1000, usegmt=True)


def times(era: Era, record: Record) -> dict[str, Any]:
    """When an object was made and last changed."""
    return {
        "create_date": date(era, record.created),
        "create_time": record.created,
        "update_date": date(era, record.updated),
        "update_time": record.updated,
    }


def nulls(era: Era) -> dict[str, None]:
    """Return the fields that the era sends as null."""
    return {f"{task}_task_{part}": None for task in era.dataset_tasks for part in ("finish_at", "id")}


# Chats


def old_prompt(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the ``prompt`` object of older bodies to a ``prompt_config``."""
    return {new: body[old] for old, new in OLD_NAMES.items() if old in body}
