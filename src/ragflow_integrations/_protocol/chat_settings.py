"""LLM and prompt settings of a chat assistant: their old and new names, and where a body has them.

One body serves every release that creates: ≤ 0.24 honour the new form too, and ≥ 0.25 ignore the old one (docs/protocol.md).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import fields, validation
from ragflow_integrations.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ragflow_integrations.models import JsonObject, JsonValue, LLMSettings, PromptSettings

    Check = Callable[[str, object], object]

_MODEL: dict[str, str] = {"llm_id": "llm_id", "model_name": "llm_id"}
_PROMPT_CONFIG = {
    "prompt": "system",
    "system": "system",
    "opener": "prologue",
    "prologue": "prologue",
    "empty_response": "empty_response",
    "show_quote": "quote",
    "quote": "quote",
    "variables": "parameters",
    "parameters": "parameters",
    "refine_multiturn": "refine_multiturn",
    "keyword": "keyword",
    "use_kg": "use_kg",
    "reasoning": "reasoning",
    "cross_languages": "cross_languages",
    "toc_enhance": "toc_enhance",
    "tts": "tts",
}
_TOP_LEVEL = {
    "similarity_threshold": "similarity_threshold",
    "vector_similarity_weight": "vector_similarity_weight",
    "keywords_similarity_weight": "vector_similarity_weight",  # the other part of 1
    "top_n": "top_n",
    "top_k": "top_k",
    "rerank_model": "rerank_id",
    "rerank_id": "rerank_id",
}


_OLD_PROMPT = {
    "system": "prompt",
    "prologue": "opener",
    "quote": "show_quote",
    "parameters": "variables",
    # These releases store the weight given for the keywords as the embedding's (docs/protocol.md, "Chat assistant bodies").
    "vector_similarity_weight": "keywords_similarity_weight",
    "rerank_id": "rerank_model",
}


def read(data: JsonObject) -> tuple[LLMSettings, PromptSettings]:
    """Read settings of a chat assistant: `llm` and `prompt` up to 0.24, `llm_setting` and `prompt_config` from 0.25 on."""
    llm = fields.mapping(data, "llm_setting", "llm")
    llm_settings: dict[str, JsonValue] = {name: llm[name] for name in validation.GENERATION if llm.get(name) is not None}
    llm_id = fields.text_or_none(data, "llm_id") or fields.text_or_none(llm, "model_name")
    if llm_id is not None:
        llm_settings["llm_id"] = llm_id
    config = fields.mapping(data, "prompt_config", "prompt")
    prompt: dict[str, JsonValue] = {}
    for name in dict.fromkeys((*_PROMPT_CONFIG.values(), *_TOP_LEVEL.values())):
        old = _OLD_PROMPT.get(name, name)
        value = next((value for value in (data.get(name), config.get(name), config.get(old)) if value is not None), None)
        if value is not None:
            prompt[name] = value
    keywords = fields.number(config, "keywords_similarity_weight")
    if keywords is not None:
        prompt["vector_similarity_weight"] = 1 - keywords
    return cast("LLMSettings", llm_settings), cast("PromptSettings", prompt)


def _list(name: str, value: object) -> object:
    if not isinstance(value, list | tuple):
        raise InvalidArgumentError(name, f"must be a list, not {type(value).__name__}")
    return validation.json_value(name, value)


_CHECKS: dict[str, Check] = {
    "llm_id": partial(validation.text, example="'gpt-4o@OpenAI'"),
    **validation.GENERATION,
    **dict.fromkeys(("system", "prologue", "empty_response", "rerank_id"), validation.string),
    **dict.fromkeys(("quote", "refine_multiturn", "keyword", "use_kg", "toc_enhance", "tts"), validation.flag),
    **dict.fromkeys(("parameters", "cross_languages"), _list),
    "reasoning": validation.json_value,  # a truth value, and a level ≥ 0.27
    **dict.fromkeys(("similarity_threshold", "vector_similarity_weight"), validation.fraction),
    **dict.fromkeys(("top_n", "top_k"), validation.positive),
}


def body(llm: LLMSettings | None, prompt: PromptSettings | None) -> dict[str, JsonValue]:
    """Write settings as the server reads them.

    Raises:
        InvalidArgumentError: One is unknown, given under two names, or of a wrong type.
    """
    written = _renamed("llm", llm, _MODEL)
    settings = _renamed("llm", llm, dict(zip(validation.GENERATION, validation.GENERATION, strict=True)))
    config = _renamed("prompt", prompt, _PROMPT_CONFIG)
    if settings:
        written["llm_setting"] = settings
    if config:
        written["prompt_config"] = config
    written |= _renamed("prompt", prompt, _TOP_LEVEL)
    if prompt is not None and "keywords_similarity_weight" in prompt:
        written["vector_similarity_weight"] = 1 - validation.fraction("weight", written["vector_similarity_weight"])
    return written


_KNOWN = {"llm": (*_MODEL, *validation.GENERATION), "prompt": (*_PROMPT_CONFIG, *_TOP_LEVEL)}


def _renamed(what: str, given: LLMSettings | PromptSettings | None, names: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return those settings that `names` has, checked, under their new names."""
    if given is None:
        return {}
    settings = validation.json_object(what, given)
    validation.known(what, settings, _KNOWN[what])
    found: dict[str, str] = {}
    for name in settings:
        if name in names:
            other = found.setdefault(names[name], name)
            if other != name:
                raise InvalidArgumentError(what, f"has both {other!r} and {name!r}, two names of one setting; give one")
            _CHECKS[names[name]](f"{what}[{name!r}]", settings[name])
    return {new: settings[name] for new, name in found.items()}


_OLD_TOP_LEVEL = ("name", "description", "dataset_ids")


def old_body(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Write the update of a chat assistant as ≤ 0.24 read it."""
    llm = dict(fields.mapping(body, "llm_setting"))
    if "llm_id" in body:
        llm["model_name"] = body["llm_id"]
    rest = {name: body[name] for name in body if name not in (*_OLD_TOP_LEVEL, "llm_id", "llm_setting", "prompt_config")}
    prompt = {_OLD_PROMPT.get(name, name): value for name, value in {**fields.mapping(body, "prompt_config"), **rest}.items()}
    old: dict[str, JsonValue] = {name: body[name] for name in _OLD_TOP_LEVEL if name in body}
    if llm:
        old["llm"] = llm
    if prompt:
        old["prompt"] = prompt
    return old
