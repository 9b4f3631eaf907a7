"""Replies of the native route of chat assistants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import envelope, fields, models_from_json
from ragflow_integrations._protocol.answers import think_tags
from ragflow_integrations._protocol.steps import UnfinishedReply
from ragflow_integrations.errors import ProtocolError
from ragflow_integrations.models import Reference

if TYPE_CHECKING:
    from ragflow_integrations._protocol.answers.builder import AnswerBuilder
    from ragflow_integrations._protocol.steps import Reply, Request
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import JsonObject, JsonValue


#: What the first event of deep research says.
_NO_ANSWERS = ("", think_tags.RETRIEVING)
_UNFINISHED = "The server sent only the beginning of an answer (`final: false`). Ask for a stream instead."


class NativeDecoder:
    """`/chats/{id}/completions`: cumulative texts ≤ 0.23.1, deltas ≥ 0.24.

    The key `final` is on every event of a delta stream, so the first event tells which it is; no version is needed.
    """

    def __init__(self, answer: AnswerBuilder, request: Request, reply: Reply) -> None:
        self._answer = answer
        self._request = request
        self._reply = reply
        self._delta: bool | None = None
        self._began = False
        self._final = False
        self._beside: JsonObject | None = None
        self._seen = ""

    def event(self, data: str) -> RAGFlowError | bool:
        """Accept an event."""
        if data.strip() == "[DONE]":  # the Go server's
            self._settle_reference()
            return True
        body = fields.parse(data)
        content = body.get("data")
        if body.get("code") != 0 or not content:
            error = envelope.failure(body, self._request, self._reply)
            if error is not None:
                return error
        if isinstance(content, dict):
            self._content(content)
        elif content is True:
            self._settle_reference()
        return content is True

    def _settle_reference(self) -> None:
        """Treat an answer whose reference never had a chunk as one without sources."""
        self._answer.reference = self._answer.reference or Reference()

    def _content(self, data: dict[str, JsonValue]) -> None:
        answered = data.pop("answer", "")
        text = answered if isinstance(answered, str) else ""
        if data != self._beside:  # most events say beside their text what the one before them said
            self._beside = data
            self._final = data.get("final") is True
            if self._delta is None:
                self._delta = "final" in data
            self._about(data)
            self._answer.flag(data)
        if text and not self._began:
            self._began = True
            if text.startswith(think_tags.OPEN):
                self._delta = False  # asked for with `legacy` (≥ 0.26.1): deltas never hold the tag
        if not self._delta:
            self._cumulative(text)
        elif not text:
            pass  # an empty final one keeps what came before
        elif self._final:
            self._answer.complete_text = text
        else:
            self._answer.add(text)

    def _cumulative(self, text: str) -> None:
        """Show how far a text has grown; one that was rewritten inside replaces what came before at the end."""
        # While it thinks, 0.17–0.23 close the tag on every event and open it again in the next.
        grown = text.removesuffix(think_tags.CLOSE) if text.startswith(think_tags.OPEN) else text
        if grown.startswith(self._seen):
            self._answer.add(grown[len(self._seen) :])
            self._seen = grown
        if text:
            self._answer.complete_text = text

    def _about(self, data: JsonObject) -> None:
        answer = self._answer
        answer.session_id = fields.text_or_none(data, "session_id") or answer.session_id
        answer.message_id = fields.text_or_none(data, "id") or answer.message_id
        answer.chat_id = fields.text_or_none(data, "chat_id") or answer.chat_id
        found = data.get("reference")
        if _says_something(found):
            answer.reference = models_from_json.reference(found)
        prompt = data.get("prompt")
        if isinstance(prompt, str) and prompt:
            answer.timings = models_from_json.timings(prompt) or answer.timings

    def whole(self, body: JsonObject) -> None:
        """Accept the reply of a call that does not stream."""
        data = body.get("data")
        if not isinstance(data, dict):
            raise ProtocolError("The server answered a completion without an answer object in `data`.")
        self._about(data)
        text = fields.text(data, "answer")
        # ≥ 0.26.1 mark a whole text as unfinished, too: that for a question to which nothing is found.
        if data.get("start_to_think") is True or (data.get("final") is False and text.strip() in _NO_ANSWERS):
            raise UnfinishedReply(_UNFINISHED, self._answer.message_id)
        self._settle_reference()
        self._answer.add(text)


def _says_something(reference: JsonValue) -> bool:
    if isinstance(reference, dict):
        return bool(reference.get("chunks") or reference.get("doc_aggs") or reference.get("total"))
    return bool(reference)
