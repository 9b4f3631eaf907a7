"""Words: how text becomes search terms, sentences and model tokens."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CJK: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_WORD: Final = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK: Final = re.compile(rf"[{_CJK}]")
_TOKEN: Final = re.compile(rf"[^\W\d_{_CJK}]+|\d{{1,3}}|[^\s\w]|[{_CJK}_]")
_PIECE: Final = re.compile(rf"\s*(?:[{_CJK}]|[^\s{_CJK}]+)|\s+\Z")
_LAST_WORD: Final = re.compile(r"\S+\s*")
_MARKUP: Final = re.compile(r"^\s*(?:#+\s.*|[|:\-\s]+|\d+[.)]\s+|[-*+>]\s+)", re.MULTILINE)
_SENTENCE: Final = re.compile(r"[^.!?。！？\n]+(?:[.!?](?!\s|\Z)[^.!?。！？\n]*)*[.!?。！？]*", re.MULTILINE)

_STOP_LINES: Final = (
    "a about after all also am an and any are as at be because been before being between both but by can "
    "could did do does doing down during each few for from further get give had has have having he her "
    "here hers him his how i if in into is it its just let may me might more most must my no nor not of "
    "off on once only or other our out over own please same shall she should so some such tell than that "
    "the their them then there these they think this those through to too under until up upon us very was "
    "we were what when where which while who whom why will with would you your 的 了 是 在 有 和 就 不 也 都 而 及 与 "
    "吗 呢 吧 啊 多 什么 怎么 哪里 谁 几 "
)
STOP_WORDS: Final = frozenset(_STOP_LINES.split())
"""Words that say nothing about what a text is about: a question that shares only these with it finds nothing."""

_MIN_STEM: Final = 3
_SUFFIXES: Final = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""))


def _stem(word: str) -> str:
    if not word.isascii() or not word.isalpha():
        return word
    for suffix, replacement in _SUFFIXES:
        if word.endswith(suffix) and not word.endswith("ss") and len(word) - len(suffix) >= _MIN_STEM:
            word = word[: -len(suffix)] + replacement
            break
    return word[:-1] if word.endswith("e") and len(word) > _MIN_STEM + 1 else word


def terms(text: str) -> list[str]:
    """Reduce a text to search terms.

    Western words are lower-cased and stemmed; a run of Chinese, Japanese or Korean characters gives its pairs, because
    it has no spaces to split at. Stop words are left out.

    Args:
        text: Any text.

    Returns:
        The terms in order, with repetitions.
    """
    result: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if not _IS_CJK.match(word):
            if word not in STOP_WORDS:
                result.append(_stem(word))
        elif len(word) == 1:
            result.extend([] if word in STOP_WORDS else [word])
        else:
            result.extend(word[index : index + 2] for index in range(len(word) - 1))
    return result


def sentences(text: str) -> list[str]:
    """Split a passage into sentences, without headings, rules, bullets, and the bars of tables."""
    plain = _MARKUP.sub("", text)
    stripped = (match.group().strip(" |\t").replace(" | ", ", ") for match in _SENTENCE.finditer(plain))
    return [sentence for sentence in stripped if terms(sentence)]


def count_tokens(text: str) -> int:
    """Estimate how many tokens a language model would make of a text."""
    return len(_TOKEN.findall(text))


def content_pieces(text: str) -> list[str]:
    """Split a text the way a model streams its answer: words with the space before them, Chinese by character."""
    return _PIECE.findall(text)


def reasoning_pieces(text: str) -> list[str]:
    """Split a text the way the recorded model streams its reasoning: words with the space after them."""
    return _LAST_WORD.findall(text)
