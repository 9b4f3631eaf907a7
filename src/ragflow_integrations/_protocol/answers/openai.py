"""Replies of the OpenAI-compatible route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import decoders, envelope, thinking, wire
from ragflow_integrations.citations import rewrite
from ragflow_integrations.errors import ProtocolError

if TYPE_CHECKING:
    from ragflow_integrations._protocol.answers.builder import AnswerBuilder
    from ragflow_integrations._protocol.http import Reply, Request
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import JsonObject


class OpenAIDecoder:
    """`/chats_openai/{id}/chat/completions`, OpenAI's format with `reference` and `final_content` added."""

    def __init__(self, answer: AnswerBuilder, request: Request, reply: Reply) -> None:
        self._answer = answer
        self._request = request
        self._reply = reply
        self._text: list[str] = []
        self._length = 0
        self._repeated: str | None = None
        self._tail: str | None = None
        self._waiting: list[str] | None = None
        self._told = False
        self._closer = ""  # a closing tag at the end of the last piece, if that was no end of the thinking

    def event(self, data: str) -> RAGFlowError | bool:
        """Take an event."""
        if data.strip() == "[DONE]":
            self._settle()
            self._answer.add(self._closer)
            return True
        body = wire.parse(data)
        if "code" in body or not body.get("choices"):
            error = envelope.failure(body, self._request, self._reply)
            if error is not None:
                return error
        if not self._told or body.get("usage"):  # ids and model are the same in every event
            self._about(body)
            self._told = True
        for choice in wire.objects(body.get("choices")):
            if choice.get("finish_reason"):
                self._answer.finish_reason = wire.text_or_none(choice, "finish_reason")
            self._choice(wire.mapping(choice, "delta"))
        return False

    def _choice(self, delta: JsonObject) -> None:
        answer = self._answer
        if delta.get("reasoning_content"):
            self._think(wire.text(delta, "reasoning_content"))
        text = wire.text(delta, "content")
        if text and self._tail is not None:  # more comes behind it, so it was no repeated tail
            tail, self._tail = self._tail, None
            self._add(tail)
        if text and "reasoning_content" not in delta and self._repeats_tail(text):
            self._tail = text
        elif text:
            if self._repeated is not None:  # more comes behind it, so it was no repetition
                self._add(self._repeated)
                self._repeated = None
            # 0.25.0–0.25.6 send the whole answer again as the last piece (ragflow#15286); it may be one only if it is as long.
            if 0 < self._length <= len(text) + len(thinking.OPEN) and _same(text, "".join(self._text)):
                self._repeated = text
            else:
                self._add(text)
        if "final_content" in delta:
            answer.complete_text = wire.text(delta, "final_content") or answer.complete_text
        found = delta.get("reference")
        if found:
            answer.reference = decoders.reference(found)

    def _think(self, text: str) -> None:
        """Accept thinking.

        If an LLM writes `<think>` itself, 0.18.0–0.23.1 send what it thinks as text, and all of it again as thinking when the
        tag is closed. What it then says first is in no piece, only in `final_content`, so the text waits for that.
        """
        answer = self._answer
        if answer.tagged:
            text = text.removeprefix(answer.close_tag())
            self._waiting = []
        answer.think(text)

    def _repeats_tail(self, text: str) -> bool:
        """Tell whether a piece of 0.17 only repeats the end of the answer.

        Its pieces are cut from the whole text by position, so if citations are put in, the last piece is the end of the text
        once more [v0.17.2/05_openai_stream_long_answer_with_kb_inserted].
        """
        bare = rewrite(text, "none").text.strip()
        return bool(bare) and rewrite("".join(self._text), "none").text.rstrip().endswith(bare)

    def _add(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)
        if self._waiting is not None:
            self._waiting.append(text)
            return
        if thinking.CLOSE not in text:
            if not self._closer:
                self._answer.add(text)
                return
            self._answer.add(self._closer)
        body = text.removesuffix(thinking.CLOSE)
        self._answer.add(body)
        # 0.17.2 closes the tag at the end of every piece of thinking and does not open it again: the next piece tells.
        closed = text[len(body) :]
        self._closer = closed if self._answer.tagged else ""
        if not self._closer:
            self._answer.add(closed)

    def _settle(self) -> None:
        """Decide on a piece that repeats everything: it is the final text, unless the server's final text says otherwise."""
        self._tail = None
        if self._waiting is not None and self._answer.complete_text is None:
            self._answer.add("".join(self._waiting))
        repeated, self._repeated = self._repeated, None
        if repeated is None:
            return
        final = self._answer.complete_text
        doubled = "".join(self._text) + repeated
        if final is not None and _same(final, doubled):
            self._add(repeated)
        elif final is None:
            self._answer.complete_text = repeated

    def _about(self, body: JsonObject) -> None:
        self._answer.model = wire.text_or_none(body, "model") or self._answer.model
        self._answer.usage = decoders.usage(body.get("usage")) or self._answer.usage

    def whole(self, body: JsonObject) -> None:
        """Take the reply of a call that does not stream."""
        self._about(body)
        choice = next(wire.objects(body.get("choices")), None)
        if choice is None:
            raise ProtocolError("The server answered a completion without `choices`.")
        message = wire.mapping(choice, "message")
        self._answer.finish_reason = wire.text_or_none(choice, "finish_reason")
        self._answer.reference = decoders.reference(message.get("reference"))
        self._answer.think(wire.text(message, "reasoning_content"))
        self._answer.add(wire.text(message, "content"))


def _same(text: str, other: str) -> bool:
    """Whether two texts differ in nothing but citation markers, thinking in front, and blanks around."""
    return _bare(text) == _bare(other)


def _bare(text: str) -> str:
    return rewrite(thinking.split(text)[1], "none").text.strip()
