"""What the emulator has configured: its user, its models, and the settings of chats and datasets made without any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ragflow_integrations.emulator.eras import Era

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


def default_parser_config() -> dict[str, Any]:
    """Return the parser settings of a dataset that was created without any."""
    return dict(_PARSER_CONFIG)


def default_prompt_config(era: Era) -> dict[str, Any]:
    """Return the prompt settings of a chat that was created without any."""
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
