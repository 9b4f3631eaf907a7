"""The language model behind the emulator: one that quotes the documents, or a real one over HTTP.

`ExtractiveModel` obeys commands in double brackets inside a question, as the model behind the recordings did: ``[[EMPTY]]``,
``[[NOCITE]]``, ``[[CITEALL]]``, ``[[UNICODE]]``, ``[[LENGTH]]``, ``[[LONG=n]]``, ``[[DELAY=s]]``, ``[[THINKTAG]]``,
``[[THINKTAG=n]]``, ``[[HANG]]``, ``[[FAIL401]]``, ``[[FAIL429]]``, ``[[FAIL500]]``, ``[[DROPMID]]``, ``[[ERRMID]]``. The
word "think" makes it reason first.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp

from ragflow_integrations.emulator.answering import extract, place_marker
from ragflow_integrations.emulator.prompting import conversation
from ragflow_integrations.emulator.text import content_pieces, reasoning_pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ragflow_integrations.emulator.answering import Hit

_COMMAND: Final = re.compile(r"\s*\[\[([A-Z]+\d*)(?:=([\d.]+))?\]\]")
_THINKS: Final = re.compile(r"\bthink", re.IGNORECASE)
_WORDS_BEFORE_BREAK: Final = 4
_REFUSALS: Final = {
    "FAIL401": ("AUTH_ERROR", "fake incorrect api key provided", 401),
    "FAIL429": ("MAX_RETRIES_EXCEEDED", "fake rate limit reached", 429),
    "FAIL500": ("MAX_RETRIES_EXCEEDED", "fake internal server error", 500),
}
_TRUNCATED: Final = "...\nThe answer is truncated by your chosen LLM due to its limitation on context length."
_UNICODE: Final = ' 你好，世界 😀 “quotes” "esc" \\ tab\tend\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\ndata: not an event\n\nline\u2028sep [DONE] end.'  # noqa: E501 - the recorded text, which is meant to be hard to read
_HTTP_OK: Final = 200
SETTINGS: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens")
"""Settings of a model that a question may have."""
_NEVER_SENT: Final = "max_tokens"
"""The server takes it out of what it sends to an OpenAI-compatible model [transcripts/temp0-0.25.6]."""
_MAX_RETRIES: Final = "MAX_RETRIES_EXCEEDED"
#: What the server calls a failure, by words in its text; the first that fits (source: rag/llm/chat_model.py). After
#: failures of the kinds that it tries again, it gives up with `_MAX_RETRIES`.
_FAILURES: Final = (
    ("QUOTA_EXCEEDED", re.compile("quota|capacity|credit|billing|balance")),
    (_MAX_RETRIES, re.compile("rate limit|429|tpm limit|too many requests")),
    ("AUTH_ERROR", re.compile("auth|key|401|forbidden|permission")),
    ("INVALID_REQUEST", re.compile("invalid|bad request|400|format|malformed|parameter")),
    (_MAX_RETRIES, re.compile("server|50[0234]|unavailable")),
    ("TIMEOUT", re.compile("timeout|timed out")),
    ("CONNECTION_ERROR", re.compile("connect|network|unreachable|dns")),
    ("CONTENT_FILTERED", re.compile("filter|content|policy|blocked|safety")),
    ("MODEL_ERROR", re.compile("model|not found|does not exist")),
)


@dataclass(frozen=True)
class Token:
    """A piece of what a model writes."""

    text: str
    thinking: bool = False
    notice: bool = False
    """An error or a truncation notice, which the oldest servers send twice."""


class ModelError(Exception):
    """The model failed.

    Attributes:
        code: The server's word for the failure.
        detail: What the model said.
        dropped: The connection broke in the middle of the answer.
    """

    def __init__(self, code: str, detail: str, *, dropped: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.dropped = dropped


@dataclass(frozen=True)
class Commands:
    """The commands of a question, and the question without them."""

    question: str
    values: dict[str, str]

    @classmethod
    def of(cls, question: str) -> Commands:
        """Read the commands out of a question."""
        return cls(_COMMAND.sub("", question).strip(), dict(_COMMAND.findall(question)))

    def number(self, name: str) -> float:
        """Return the value of a command; 0 if the question does not have it."""
        return float(self.values.get(name) or 0)


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """A request to a model."""

    question: str
    hits: Sequence[Hit] = ()
    history: Sequence[dict[str, Any]] = ()
    system: str = ""
    """The assistant's prompt, with what was retrieved and the variables in their places."""
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    cite: Callable[[int], str] | None = None
    """Spells the marker of a chunk; None for an answer without markers."""
    streamed: bool = True
    failure: str | None = None
    """An error to fail with, for tests."""


class Model(Protocol):
    """A language model."""

    def write(self, request: ModelRequest) -> AsyncIterator[Token]:
        """Write an answer piece by piece; raise `ModelError` if a model would fail."""
        ...


class ExtractiveModel:
    """The built-in model: it quotes the sentences that match the question, or echoes it."""

    def _text(self, request: ModelRequest, commands: Commands) -> str:
        values = commands.values
        if "EMPTY" in values:
            return ""
        cite = None if "NOCITE" in values else request.cite
        if not request.hits:
            text = f"Echo: {commands.question}"
        elif "CITEALL" in values:
            parts = [(hit.chunk.content.strip(), index) for index, hit in enumerate(request.hits)]
            text = " ".join(place_marker(part, cite(index) if cite else "") for part, index in parts)
        else:
            sentences = extract(commands.question, request.hits)
            text = " ".join(place_marker(part, cite(index) if cite else "") for part, index in sentences)
        if "THINKTAG" in values:
            more = "".join(f" t{number}" for number in range(int(commands.number("THINKTAG"))))
            text = f"<think>inner thoughts here{more}</think>{text}"
        text += "".join(f" w{number}" for number in range(int(commands.number("LONG"))))
        return text + (_UNICODE if "UNICODE" in values else "")

    def _reasoning(self, request: ModelRequest, commands: Commands) -> str:
        if not _THINKS.search(commands.question):
            return ""
        return f"The user asks about: {commands.question}. I look through {len(request.hits)} knowledge chunks. Then I answer."

    async def write(self, request: ModelRequest) -> AsyncIterator[Token]:
        """Write the answer.

        Args:
            request: The question and its context.

        Yields:
            Words.

        Raises:
            ModelError: If a command or the request says so.
        """
        commands = Commands.of(request.question)
        values = commands.values
        if request.failure is not None:
            raise ModelError("GENERIC_ERROR", request.failure)
        for name in _REFUSALS.keys() & values.keys():
            code, message, status = _REFUSALS[name]
            raise ModelError(
                code, f"Error code: {status} - { ({'error': {'message': message, 'type': 'fake', 'code': status}}) }"
            )
        if "DROPMID" in values and not request.streamed:
            raise ModelError("CONNECTION_ERROR", "Connection error.")
        if "HANG" in values:
            await asyncio.Event().wait()
        reasoning = [Token(piece, thinking=True) for piece in reasoning_pieces(self._reasoning(request, commands))]
        pieces = content_pieces(self._text(request, commands))
        if "LENGTH" in values:
            pieces[-1] += _TRUNCATED
        answer = [Token(piece, notice=_TRUNCATED in piece) for piece in pieces]
        breaks = values.keys() & {"DROPMID", "ERRMID"}
        for token in [*reasoning, *(answer[:_WORDS_BEFORE_BREAK] if breaks else answer)]:
            yield token
        if "DROPMID" in breaks:
            detail = "peer closed connection without sending complete message body (incomplete chunked read)"
            raise ModelError("CONNECTION_ERROR", detail, dropped=True)
        if breaks:
            raise ModelError("GENERIC_ERROR", "fake mid-stream failure")


@dataclass(frozen=True)
class RemoteModel:
    """An OpenAI-compatible model that writes the answers from the retrieved chunks.

    Args:
        base_url: The URL before ``/chat/completions``.
        api_key: Its key, if it needs one.
        model: The name of the model to ask for.
        timeout: Seconds that the model may be silent.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    model: str = "default"
    timeout: float = 120.0

    def _request(self, request: ModelRequest) -> dict[str, Any]:
        system = request.system or "Answer the question."
        if request.hits and request.cite:
            marker = request.cite(0)
            system += f"\n\nAfter each sentence, before its full stop, name the knowledge it is from, as in: So it is{marker}."
        history = conversation(request.history)
        messages = [{"role": "system", "content": system}, *history, {"role": "user", "content": request.question}]
        settings = {name: request.settings[name] for name in SETTINGS if name in request.settings and name != _NEVER_SENT}
        return {"model": self.model, "messages": messages, "stream": request.streamed} | settings

    async def write(self, request: ModelRequest) -> AsyncIterator[Token]:
        """Stream the answer of the model.

        Args:
            request: The question and its context.

        Yields:
            What the model streams.

        Raises:
            ModelError: If it cannot be reached, refuses, or breaks off.
        """
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=self.timeout, sock_connect=self.timeout)
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        if request.failure is not None:
            raise ModelError("GENERIC_ERROR", request.failure)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.post(url, json=self._request(request)) as reply,
            ):
                if reply.status != _HTTP_OK:
                    detail = f"Error code: {reply.status} - {(await reply.text())[:500]}"
                    raise ModelError(failure_kind(detail), detail)
                if reply.content_type == "application/json":
                    for token in _read(await reply.json(), "message"):
                        yield token
                    return
                async for line in reply.content:
                    for token in _tokens(line):
                        yield token
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ModelError("CONNECTION_ERROR", str(error) or type(error).__name__, dropped=True) from error


def failure_kind(detail: str) -> str:
    """Return the server's name for a model's failure, by its text."""
    text = detail.lower()
    return next((kind for kind, words in _FAILURES if words.search(text)), "GENERIC_ERROR")


def _tokens(line: bytes) -> list[Token]:
    payload = line.removeprefix(b"data:").strip()
    if not line.startswith(b"data:") or payload == b"[DONE]":
        return []
    return _read(json.loads(payload), "delta")


def _read(body: dict[str, Any], key: str) -> list[Token]:
    """Return the tokens of a chunk or of a whole reply; a notice follows if the model ran out of tokens."""
    choice = (body.get("choices") or [{}])[0]
    message = choice.get(key) or {}
    parts = [(message.get("reasoning_content"), True), (message.get("content"), False)]
    tokens = [Token(text, thinking) for text, thinking in parts if text]
    return [*tokens, Token(_TRUNCATED, notice=True)] if choice.get("finish_reason") == "length" else tokens
