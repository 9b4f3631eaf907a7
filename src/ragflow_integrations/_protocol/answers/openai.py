"""Replies of the OpenAI-compatible route."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import envelope, fields, models_from_json
from ragflow_integrations._protocol.answers import think_tags
from ragflow_integrations._protocol.steps import UnfinishedReply
from ragflow_integrations.citations import rewrite
from ragflow_integrations.errors import ProtocolError, UnsupportedByServerError
from ragflow_integrations.models import Reference

if TYPE_CHECKING:
    from ragflow_integrations._protocol.answers.builder import AnswerBuilder
    from ragflow_integrations._protocol.steps import Reply, Request
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import JsonObject


_BEGINNING_LOST = (
    "This RAGFlow release loses the beginning of a streamed answer whose LLM writes `<think>` itself. Ask without streaming, "
    "or in a session; RAGFlow 0.24 and newer stream such answers whole."
)
_SHORT = 6  # characters of the marker ` ##0$$`; that of chunk 10 has one more
_CUT_MARKER = re.compile(r"#?\d{1,6}\$\$|\$\$?")  # the rest of a marker that was cut
_LAST_MARKERS = re.compile(r"(?:[ \t]*##\d{1,6}\$\$)+\s*\Z")


class OpenAIDecoder:
    """`/chats_openai/{id}/chat/completions`, OpenAI's format with `reference` and `final_content` added."""

    def __init__(self, answer: AnswerBuilder, request: Request, reply: Reply) -> None:
        self._answer = answer
        answer.ends_unseen = True
        if (request.json or {}).get("reference") is False:
            answer.reference = Reference()  # none was asked for
        self._request = request
        self._reply = reply
        self._text: list[str] = []
        self._repeated: str | None = None
        self._told = False
        self._closer = ""  # a closing tag at the end of the last piece, if that was no end of the thinking
        self._tail: str | None = None  # a piece of 0.17 that may be no more than the end of the text once more

    def event(self, data: str) -> RAGFlowError | bool:
        """Accept an event."""
        if data.strip() == "[DONE]":
            self._settle()
            self._answer.add(self._closer)
            if self._answer.beginning_lost and not self._answer.complete_text:
                return UnsupportedByServerError(
                    _BEGINNING_LOST, feature="streamed answers whose LLM writes `<think>` itself", since="0.24.0"
                )
            self._answer.withheld.clear()
            return True
        body = fields.parse(data)
        if "code" in body or not body.get("choices"):
            error = envelope.failure(body, self._request, self._reply)
            if error is not None:
                return error
        if not self._told or body.get("usage"):  # ids and model are the same in every event
            self._about(body)
            self._told = True
        for choice in fields.objects(body.get("choices")):
            if choice.get("finish_reason"):
                self._answer.finish_reason = fields.text_or_none(choice, "finish_reason")
            self._choice(fields.mapping(choice, "delta"))
        return False

    def _choice(self, delta: JsonObject) -> None:
        answer = self._answer
        if delta.get("reasoning_content"):
            self._reason(fields.text(delta, "reasoning_content"))
        text = fields.text(delta, "content")
        if text:
            self._content(text, of_017="reasoning_content" not in delta)
        if "final_content" in delta:
            answer.complete_text = fields.text(delta, "final_content") or answer.complete_text
        found = delta.get("reference")
        if found is not None:
            answer.reference = models_from_json.reference(found)

    def _content(self, text: str, *, of_017: bool) -> None:
        """Accept more text, or text that repeats what came before; what follows tells which (see `_settle`)."""
        if not self._answer.length and text.startswith(think_tags.OPEN):
            thought, rest = think_tags.split(text)
            if thought and self._answer.reasoning.endswith(thought):  # 0.25 repeats an answer that has no text, too
                text = rest
        for held in (self._repeated, self._tail):
            if held is not None:  # more comes behind it, so it was no repetition
                self._add(held)
        self._repeated = self._tail = None
        # 0.25.0–0.25.6 send the whole answer again as the last piece (ragflow#15286); it may be one only if it is as long.
        if of_017 and self._repeats_end(text):
            self._tail = text
        elif 0 < self._answer.length <= len(text) + len(think_tags.OPEN) and _same(text, "".join(self._text)):
            self._repeated = text
        else:
            self._add(text)

    def _reason(self, thought: str) -> None:
        """Accept thinking.

        Where a model tags its thoughts itself, 0.18–0.23.1 send them as text while the tag is open. Once it is closed all of
        them come again as reasoning, and what stands behind the tag in that same batch does not come at all
        (`streamed_response_generator` in api/apps/sdk/session.py of 0.20.5): only the whole text at the end has it.
        """
        if self._answer.tagged and self._answer.end_tagged_thought(thought):
            self._answer.beginning_lost = True
        else:
            self._answer.think(thought)

    def _repeats_end(self, piece: str) -> bool:
        """Return whether a piece of 0.17 may be what inserted markers have pushed out at the end of the decorated text.

        That release cuts the text that has markers at the length that the text had without them, so that as many characters
        of its end come once more as the markers have [v0.17.2/05_openai_stream_long_answer_with_kb_inserted].
        Whether it is the last piece tells the next.
        """
        size = len(piece)
        if not self._text or not any(size - _SHORT * count in range(count + 1) for count in range(1, size // _SHORT + 1)):
            return False
        return _end_repeated(piece, "".join(self._text)) is not None

    def _add(self, text: str) -> None:
        self._text.append(text)
        if self._answer.beginning_lost:
            self._answer.withheld.append(text)  # the whole text, which comes at the end, has its beginning
            return
        if think_tags.CLOSE not in text:
            if not self._closer:
                self._answer.add(text)
                return
            self._answer.add(self._closer)
        body = text.removesuffix(think_tags.CLOSE)
        self._answer.add(body)
        # 0.17.2 closes the tag at the end of every piece of thinking and does not open it again: the next piece tells.
        closed = text[len(body) :]
        self._closer = closed if self._answer.tagged else ""
        if not self._closer:
            self._answer.add(closed)

    def _settle(self) -> None:
        """Decide on a piece that repeats everything: it is the final text, unless the server's final text says otherwise."""
        tail, self._tail = self._tail, None
        if tail is not None:
            self._add(_end_repeated(tail, "".join(self._text)) or "")
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
        self._answer.model = fields.text_or_none(body, "model") or self._answer.model
        self._answer.usage = models_from_json.usage(body.get("usage")) or self._answer.usage

    def whole(self, body: JsonObject) -> None:
        """Accept the reply of a call that does not stream."""
        self._about(body)
        choice = next(fields.objects(body.get("choices")), None)
        if choice is None:
            raise ProtocolError("The server answered a completion without `choices`.")
        message = fields.mapping(choice, "message")
        self._answer.finish_reason = fields.text_or_none(choice, "finish_reason")
        if message.get("reference") is not None:
            self._answer.reference = models_from_json.reference(message["reference"])
        self._answer.think(fields.text(message, "reasoning_content"))
        content = fields.text(message, "content")
        if content.strip() == think_tags.RETRIEVING:
            raise UnfinishedReply("The server sent only the beginning of deep research. Ask for a stream instead.")
        self._answer.add(content)


def _end_repeated(piece: str, said: str) -> str | None:
    """Return the marker behind the repeated end of a text, empty if there is none; None if `piece` repeats no end."""
    cut = _CUT_MARKER.match(piece)
    for begin in {0, cut.end() if cut else 0}:
        repeated = rewrite(piece[begin:], "none").text
        if repeated.strip() and said.rstrip().endswith(repeated.rstrip()):
            last = _LAST_MARKERS.search(piece)
            return last[0] if last else ""
    return None


def _same(text: str, other: str) -> bool:
    """Return whether two texts differ in nothing but citation markers, thinking in front, and blanks around."""
    return _bare(text) == _bare(other)


def _bare(text: str) -> str:
    return rewrite(think_tags.split(text)[1], "none").text.strip()
