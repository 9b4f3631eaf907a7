"""What a recorded completion says, worked out in the simplest way and without the code under test."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragflow_integrations import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.recordings import Recording

_MARKER = re.compile(r"\[ID:(\d+)\]|##(\d+)\$\$")
_THOUGHT = re.compile(r"\s*<think>(.*)</think>", re.DOTALL)
_FAILURE = re.compile(r"\*\*ERROR\*\*: (?:([A-Z_]{3,}) - )?(.*)")


@dataclass(frozen=True)
class Expected:
    """An answer or the error instead of one; None says that nothing is expected of it."""

    error: type[errors.RAGFlowError] | None = None
    text: str = ""
    reasoning: str | None = None
    chunks: tuple[str, ...] = ()
    session_id: str | None = None
    message_id: str | None = None
    kind: str | None = None
    usage: int | None = None


def expected(recording: Recording, route: str) -> Expected:
    """Work out what the reply of a completion stands for."""
    if not recording.is_stream:
        return _whole(recording, route)
    payloads = [text for text in (raw.decode().strip() for raw in recording.payloads) if text]
    events = [json.loads(text) for text in payloads if text != "[DONE]"]
    ended = "[DONE]" in payloads or any(event.get("data") is True for event in events)
    told = [event for event in events if event.get("data") is not True]
    if route == "agent" and any("event" in event for event in told):
        return _agent(told, ended=ended or any(event.get("event") == "workflow_finished" for event in told))
    if route == "agent":
        route = "openai" if any("choices" in event for event in told) else "native"
    return _openai(told, ended=ended) if route == "openai" else _native(told, ended=ended)


def _native(events: list[dict[str, Any]], *, ended: bool) -> Expected:
    text = thought = ""
    thinking = False
    last: dict[str, Any] = {}
    chunks: tuple[str, ...] = ()
    for event in events:
        data = event["data"]
        if event["code"] != 0:
            return Expected(errors.ServerError, text=numbered(text))
        last = data
        thinking = (thinking or bool(data.get("start_to_think"))) and not data.get("end_to_think")
        chunks = _ids(data.get("reference")) or chunks
        if "final" not in data or data["final"]:
            text = data["answer"] or text
        elif thinking:
            thought += data["answer"]
        else:
            text += data["answer"]
    ids = {"session_id": last.get("session_id"), "message_id": last.get("id")}
    return _finish(text, thought, chunks, ended=ended, **ids)


def _openai(events: list[dict[str, Any]], *, ended: bool) -> Expected:
    pieces, thought, final, usage = [], "", None, None
    chunks: tuple[str, ...] = ()
    for event in events:
        usage = (event.get("usage") or {}).get("total_tokens", usage)
        for choice in event["choices"]:
            delta = choice["delta"]
            thought += delta.get("reasoning_content") or ""
            pieces.append(delta.get("content") or "")
            final = delta.get("final_content") or final
            chunks = _ids(delta.get("reference")) or chunks
    pieces = [piece for piece in pieces if piece]
    # 0.25 says everything a second time.
    if len(pieces) > 1 and _bare(pieces[-1]) == _bare("".join(pieces[:-1])):
        pieces = pieces[-1:]
    # 0.17 repeats as much of the end as the markers that it inserted are long.
    first = events[0]["choices"][0]["delta"]
    if len(pieces) > 1 and "reasoning_content" not in first and "".join(pieces[:-1]).endswith(pieces[-1]):
        pieces = pieces[:-1]
    return _finish(final or "".join(pieces), thought, chunks, ended=ended, usage=usage)


def _agent(events: list[dict[str, Any]], *, ended: bool) -> Expected:
    text = thought = ""
    thinking = False
    failed, usage = "", None
    finished: list[str] = []
    used: list[str] = []
    ids: dict[str, Any] = {}
    chunks: dict[str, Any] = {}
    for event in events:
        data = event.get("data") or {}
        ids = {
            "session_id": event.get("session_id") or ids.get("session_id"),
            "message_id": event.get("message_id") or ids.get("message_id"),
        }
        thinking = (thinking or bool(data.get("start_to_think"))) and not data.get("end_to_think")
        if event["event"] == "message":
            thought += data["content"] if thinking else ""
            text += "" if thinking else data["content"]
        if event["event"] == "node_finished":
            failed = data.get("error") or failed
            finished.append(data["component_id"])
            used += [name.split("@")[0] for name in data.get("inputs") or {} if "@" in name]
        if event["event"] == "workflow_finished":
            usage = (data.get("usage") or {}).get("total_tokens")
        chunks = (data.get("reference") or {}).get("chunks") or chunks
    if not set(used) <= set(finished):  # the component whose output was used has failed
        return Expected(errors.GenerationError)
    if failed:
        found = _FAILURE.search(failed)
        return Expected(errors.GenerationError, kind=found[1] if found else None)
    cited = list(dict.fromkeys(key for key in re.findall(r"\[ID:(\d+)\]", text) if key in chunks))
    order = cited + [key for key in chunks if key not in cited]
    text = re.sub(r"\[ID:(\d+)\]", lambda found: f"[{order.index(found[1]) + 1}]", text)
    return _finish(text, thought, tuple(chunks[key]["id"] for key in order), ended=ended, usage=usage, **ids)


def _whole(recording: Recording, route: str) -> Expected:
    body = recording.reply_json
    if route == "openai" and "choices" in body:
        message = body["choices"][0]["message"]
        chunks, usage = _ids(message.get("reference")), body["usage"]["total_tokens"]
        return _finish(message["content"], message.get("reasoning_content") or "", chunks, ended=True, usage=usage)
    data = body["data"]
    if route == "agent" and isinstance(data, dict) and "event" in data:
        return _agent([{**data, "event": "message"}, data], ended=True)
    if not isinstance(data, dict):
        return Expected(errors.ProtocolError)
    if data.get("start_to_think"):  # the first event of a stream, not an answer
        return Expected(errors.ProtocolError)
    ids = {"session_id": data.get("session_id"), "message_id": data.get("id")}
    return _finish(data["answer"], "", _ids(data.get("reference")), ended=True, **ids)


def _finish(text: str, thought: str, chunks: tuple[str, ...], *, ended: bool, **more: Any) -> Expected:
    if not ended:
        return Expected(errors.StreamInterruptedError)
    if not text:  # 0.24 and 0.25 lose the end of thinking whose tags share a token with text
        text, thought = thought, ""
    inline = _THOUGHT.match(text)
    if inline:
        thought, text = re.sub("</?think>", "", inline[1]), text[inline.end() :]
    failure = _FAILURE.search(text.splitlines()[-1] if text else "")
    if failure:
        return Expected(errors.GenerationError, text=numbered(text[: text.index("**ERROR**")].rstrip()), kind=failure[1])
    return Expected(text=numbered(text), reasoning=thought, chunks=chunks, **more)


def numbered(text: str) -> str:
    """Show markers as the numbers that readers see."""
    return _MARKER.sub(lambda found: f"[{int(found[1] or found[2]) + 1}]", text)


def _bare(text: str) -> str:
    return _MARKER.sub("", _THOUGHT.sub("", text)).replace(" ", "").strip()


def _ids(reference: Any) -> tuple[str, ...]:
    chunks: Iterable[Any] = reference.get("chunks", ()) if isinstance(reference, dict) else reference or ()
    return tuple(chunk["id"] for chunk in chunks)
