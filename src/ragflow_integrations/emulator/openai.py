"""OpenAI-compatible completions of chats, cut out of the native events the way each era does."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.chats import known_model
from ragflow_integrations.emulator.completions import wants_metadata
from ragflow_integrations.emulator.defaults import CHAT_MODEL
from ragflow_integrations.emulator.eras import ReferenceFlag, Slices
from ragflow_integrations.emulator.model import SETTINGS
from ragflow_integrations.emulator.responses import TERMINATOR, Json, Refused, StreamBrokenError, exception_reply, frame, refuse
from ragflow_integrations.emulator.store import Chat
from ragflow_integrations.emulator.streams import TurnFailedError, answer_at_once, answer_events
from ragflow_integrations.emulator.text import count_tokens
from ragflow_integrations.emulator.turns import Question, make_turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call
    from ragflow_integrations.emulator.streams import Turn

_CLOSER = "</think>"
_TAGGED = re.compile(r"<think>(.*?)</think>", re.DOTALL)
_NO_REFERENCE = AttributeError("'list' object has no attribute 'get'")


def missing_arguments(body: dict[str, Any], *names: str) -> Refused | None:
    """Return the refusal of a body without required arguments, as the server's decorator words it."""
    missing = [name for name in names if name not in body]
    return refuse(101, f"required argument are missing: {','.join(missing)}; ", data=None) if missing else None


class OpenAIReply:
    """One OpenAI-compatible completion."""

    def __init__(self, call: Call, chat: Chat, turn: Turn, *, model: str, with_reference: bool, context: int) -> None:
        self.call = call
        self.turn = turn
        self.with_reference = with_reference
        self.context = context
        self.head = {"id": f"chatcmpl-{chat.id}", "created": int(time.time()), "model": model}

    def _count(self, text: str) -> int:
        return len(text) if self.call.era.usage_counts_characters else count_tokens(text)

    def _usage(self, text: str) -> dict[str, int]:
        prompt_tokens, completion_tokens = self._count(str(self.turn.request.question)), self._count(text)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None) -> str:
        whole = {"content": None, "role": "assistant", "function_call": None, "tool_calls": None}
        if self.call.era.openai_reasoning_key:
            whole["reasoning_content"] = None
        choice = {"delta": whole | delta, "finish_reason": finish, "index": 0, "logprobs": None}
        body = {"choices": [choice], "object": "chat.completion.chunk", "system_fingerprint": "", "usage": usage}
        return frame(self.head | body)

    async def _raw_slices(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the slices of 0.17.2: the cumulative text from the end of the last slice, before a closing tag."""
        position = 0
        async for event in answer_events(self.turn):
            piece = event["answer"][position:]
            position = len(event["answer"]) - (len(_CLOSER) if piece.endswith(_CLOSER) else 0)
            yield {"content": piece}

    async def _channel_slices(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the slices of 0.19 to 0.23: the growth; a visible text that does not continue the last adds nothing.

        A tag that the model wrote itself counts once it is closed: until then the thought is visible text, and then all of
        it comes once more as reasoning (source: streamed_response_generator of 0.20.5).
        """
        sent_reasoning = sent_text = ""
        async for event in answer_events(self.turn):
            tagged = _TAGGED.search(event["answer"])
            reasoning = tagged[1] if tagged else ""
            visible = event["answer"][tagged.end() :] if tagged else event["answer"]
            new_reasoning = reasoning.removeprefix(sent_reasoning)
            new_text = visible.removeprefix(sent_text) if visible.startswith(sent_text) else ""
            sent_reasoning, sent_text = reasoning or sent_reasoning, visible
            if new_reasoning or new_text:
                yield {"content": new_text or None, "reasoning_content": new_reasoning or None}

    async def _delta_slices(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the slices from 0.24 on: the native deltas; 0.25 repeats the text of the final event."""
        repeats = self.call.era.openai_slices is Slices.DELTAS_AND_WHOLE
        thinking = False
        async for event in answer_events(self.turn):
            thinking = bool(event.get("start_to_think")) or (thinking and not event.get("end_to_think"))
            text = event["answer"]
            if not text or (event["final"] and not repeats):
                continue
            yield {"reasoning_content": text} if thinking and not event["final"] else {"content": text}

    def _slices(self) -> AsyncIterator[dict[str, Any]]:
        slices = self.call.era.openai_slices
        if slices is Slices.RAW:
            return self._raw_slices()
        return self._channel_slices() if slices is Slices.CHANNELS else self._delta_slices()

    async def frames(self) -> AsyncGenerator[str, None]:
        """Yield the frames of the stream."""
        streamed = content = ""
        try:
            async for delta in self._slices():
                content += delta.get("content") or ""
                streamed += (delta.get("reasoning_content") or "") + (delta.get("content") or "")
                yield self._chunk(delta)
        except TurnFailedError as error:
            empty = {"reasoning_content": ""} if self.call.era.openai_reasoning_key else {}
            yield self._chunk({"content": f"**ERROR**: {error}"} | empty)
        else:
            if self._fails_without_references:
                raise StreamBrokenError
        last: dict[str, Any] = {}
        if self.with_reference:
            chunks = self.turn.reference.get("chunks", [])
            last = {"reference": chunks, "final_content": self._final_content(content)}
        yield self._chunk(last, "stop", self._usage(streamed))
        yield TERMINATOR

    @property
    def _fails_without_references(self) -> bool:
        """Whether the server falls over an answer without references."""
        return self.with_reference and self.call.era.openai_empty_reference_fails and self.turn.unreferenced

    def _final_content(self, content: str) -> str:
        era = self.call.era
        return self.turn.text if era.cumulative or era.final_has_text else content or self.turn.text

    async def reply(self) -> Response:
        """Return the answer in one piece."""
        try:
            event = await answer_at_once(self.turn, whole=True)
        except TurnFailedError as error:
            raise Refused(exception_reply(error.cause)) from error
        if self._fails_without_references:
            raise Refused(exception_reply(_NO_REFERENCE))
        message = {"role": "assistant", "content": event["answer"]}
        if self.with_reference:
            message["reference"] = self.turn.reference.get("chunks", [])
        usage = self._usage(event["answer"])
        details = {
            "reasoning_tokens": self.context,
            "accepted_prediction_tokens": usage["completion_tokens"],
            "rejected_prediction_tokens": 0,
        }
        choice = {"message": message, "finish_reason": "stop", "index": 0, "logprobs": None}
        body = {"choices": [choice], "object": "chat.completion", "usage": usage | {"completion_tokens_details": details}}
        return Json(self.head | body)


def _reference_flag(call: Call, body: dict[str, Any], extra: dict[str, Any]) -> bool | None:
    """Return whether the request wants references; None if the era has no such flag and the chat's setting holds."""
    flag = call.era.openai_reference
    if flag is ReferenceFlag.NONE:
        return None
    return bool((body if flag is ReferenceFlag.TOP_LEVEL else extra).get("reference"))


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in SETTINGS if body.get(name) is not None}


def _plain(call: Call, content: Any) -> str:
    if isinstance(content, list):
        if not call.era.openai_content_lists:
            raise Refused(exception_reply(TypeError("expected string or bytes-like object, got 'list'")))
        return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return str(content or "")


async def _checked_body(call: Call) -> dict[str, Any]:
    """Return the body, or raise the refusal of one without its required arguments."""
    try:
        body = await call.body()
    except Refused:
        body = {}  # these routes check for required arguments first, whatever the body is
    if refusal := missing_arguments(body, "model", "messages"):
        raise refusal
    if not body["messages"]:
        raise refuse(102, "You have to provide messages.")
    if body["messages"][-1].get("role") != "user":
        raise refuse(102, "The last content of this conversation is not from user.")
    return body


def _model(call: Call, chat: Chat, name: Any) -> Any:
    """Return the name of the model in replies: that of the request, or of the assistant if the era checks the request's."""
    if not call.era.openai_checks_model:
        return name
    if name != "model" and not known_model(str(name)):
        raise refuse(101, f"`llm_id` {name} doesn't exist")
    return chat.llm_id or CHAT_MODEL


async def complete(call: Call) -> Response:
    """Answer ``POST /chats_openai/{chat_id}/chat/completions`` and ``POST /openai/{chat_id}/chat/completions``."""
    era = call.era
    body = await _checked_body(call)
    chat = call.store.get(Chat, call.arg("chat_id"))
    if chat is None:
        raise refuse(102, f"You don't own the chat {call.arg('chat_id')}")
    model = _model(call, chat, body["model"])
    messages = [message for message in body["messages"] if message.get("role") in ("user", "assistant")]
    extra: dict[str, Any] = body["extra_body"] if isinstance(body.get("extra_body"), dict) else {}
    with_reference = _reference_flag(call, body, extra)
    question = Question(
        text=_plain(call, messages[-1]["content"]),
        history=messages[:-1],
        streamed=bool(body.get("stream", era.openai_stream_default)),
        quote=with_reference,
        metadata_condition=extra.get("metadata_condition") if with_reference is not None else None,
        with_metadata=wants_metadata(extra),
        settings=chat.llm_setting | _settings(body) if era.openai_takes_settings else None,
    )
    turn = make_turn(call, chat, question)
    context = sum(count_tokens(str(message.get("content"))) for message in messages)
    reply = OpenAIReply(call, chat, turn, model=model, with_reference=bool(with_reference), context=context)
    return call.stream(reply.frames(), question=question.text) if question.streamed else await reply.reply()
