"""Replies of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import decoders, wire
from ragflow_integrations._protocol.answers.native import NativeDecoder
from ragflow_integrations.errors import ProtocolError
from ragflow_integrations.models import InputRequest

if TYPE_CHECKING:
    from ragflow_integrations._protocol.answers.builder import AnswerBuilder
    from ragflow_integrations._protocol.http import Reply, Request
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import JsonObject, JsonValue


#: Events of a run that has an answer, a form, or the end of a workflow; one without any waits for a form that is not shown.
_SAY_SOMETHING = ("message", "message_end", "user_inputs", "workflow_finished")


class AgentDecoder(NativeDecoder):
    """`/agents/{id}/completions`: workflow events ≥ 0.20, the chats' format before.

    References come after the text, keyed by numbers that the markers hold (docs/protocol.md, "Agent events"), so markers are
    numbered as they come.
    """

    def __init__(self, answer: AnswerBuilder, request: Request, reply: Reply) -> None:
        super().__init__(answer, request, reply)
        answer.by_key = True
        self._finished: set[str] = set()
        self._used: set[str] = set()

    def event(self, data: str) -> RAGFlowError | bool:
        """Take an event."""
        ended = data.strip() == "[DONE]"
        if ended and self._answer.says_nothing is None:
            self._answer.says_nothing = True
        body = {} if ended else wire.parse(data)
        if "event" not in body:
            return super().event(data)
        self._workflow(body)
        return False

    def _content(self, data: dict[str, JsonValue]) -> None:
        if not data.get("running_status"):  # up to 0.19.1 an event says which component runs, as if it were text
            super()._content(data)

    def _follow_components(self, data: JsonObject) -> None:
        """Note which components have finished, and whose output they used.

        An LLM that fails is told by nothing else: its component never finishes, while the next one does, with its empty output
        [0.27.0-agent_llm_failure].
        """
        self._finished.add(wire.text(data, "component_id"))
        self._used.update(name.partition("@")[0] for name in wire.mapping(data, "inputs") if "@" in name)
        self._answer.unfinished_components = self._used - self._finished

    def _workflow(self, body: JsonObject) -> None:
        answer = self._answer
        kind, data = wire.text(body, "event"), wire.mapping(body, "data")
        answer.session_id = wire.text_or_none(body, "session_id") or answer.session_id
        answer.message_id = wire.text_or_none(body, "message_id") or answer.message_id
        answer.says_nothing = answer.says_nothing is not False and kind not in _SAY_SOMETHING
        if kind == "message":
            answer.flag(data)
            answer.add(wire.text(data, "content"))
        elif kind == "user_inputs":
            answer.input_request = InputRequest(inputs=wire.mapping(data, "inputs"), tips=wire.text(data, "tips"))
        elif kind == "node_finished":
            answer.failed = wire.text_or_none(data, "error") or answer.failed
            self._follow_components(data)
        elif kind == "workflow_finished":
            answer.ended = True
            answer.usage = decoders.usage(data.get("usage")) or answer.usage
        elif kind == "message_end" and isinstance(data.get("attachment"), dict):
            answer.attachments.append(decoders.attachment(wire.mapping(data, "attachment")))
        if kind in ("node_started", "node_finished"):
            answer.step(decoders.agent_step(kind, data))
        structured = wire.mapping(data, "outputs").get("structured")
        if kind == "node_finished" and structured:
            answer.structured[wire.text(data, "component_id")] = structured
        if kind.startswith("node_") and (self._request.json or {}).get("return_trace"):
            answer.trace.append(body)
        self._keyed(data.get("reference"))

    def _about(self, data: JsonObject) -> None:
        super()._about(data)
        self._keyed(data.get("reference"))

    def _keyed(self, value: JsonValue) -> None:
        found = value.get("chunks") if isinstance(value, dict) else None
        if isinstance(found, list):
            found = {str(at): item for at, item in enumerate(found)}
        if isinstance(found, dict) and found:
            self._answer.reference = decoders.reference(value)
            self._answer.keyed = {
                int(key): decoders.chunk(item, key=key)
                for key, item in found.items()
                if isinstance(item, dict) and key.isdecimal()
            }

    def whole(self, body: JsonObject) -> None:
        """Take the reply of a call that does not stream: the last event of the run."""
        last = wire.mapping(body, "data")
        if "answer" in last:
            super().whole(body)
            return
        if "event" not in last:
            raise ProtocolError("The server answered an agent's run with neither an answer nor an event in `data`.")
        data = wire.mapping(last, "data")
        self._workflow(last)
        self._answer.add(wire.text(data, "content"))
