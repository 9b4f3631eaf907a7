"""Replies of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields, models_from_json
from ragflow_integrations._protocol.answers import keyed_markers
from ragflow_integrations._protocol.answers.agent_run import AgentRun
from ragflow_integrations._protocol.answers.keyed_markers import KnownMarkers
from ragflow_integrations._protocol.answers.native import NativeDecoder
from ragflow_integrations.errors import ProtocolError, UnsupportedByServerError
from ragflow_integrations.models import InputRequest

if TYPE_CHECKING:
    from ragflow_integrations._protocol.answers.builder import AnswerBuilder
    from ragflow_integrations._protocol.steps import Reply, Request
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import JsonObject, JsonValue


class AgentDecoder(NativeDecoder):
    """`/agents/{id}/completions`: workflow events ≥ 0.20, the chats' format before.

    References come after the text, keyed by numbers that the markers hold (docs/protocol.md, "Agent events"), so markers are
    numbered as they come, if they have a source.
    """

    def __init__(self, answer: AnswerBuilder, request: Request, reply: Reply) -> None:
        super().__init__(answer, request, reply)
        answer.by_key = True
        answer.markers = KnownMarkers() if answer.style == "bracket" else None
        self._run = answer.run = AgentRun()

    def event(self, data: str) -> RAGFlowError | bool:
        """Accept an event."""
        if data.strip() == "[DONE]":
            self._run.began = self._run.began or not self._began
            return True
        body = fields.parse(data)
        if "event" not in body:
            return super().event(data)
        self._workflow(body)
        return False

    def _content(self, data: dict[str, JsonValue]) -> None:
        if not data.get("running_status"):  # up to 0.19.1 an event says which component runs, as if it were text
            super()._content(data)

    def _workflow(self, body: JsonObject) -> None:
        answer = self._answer
        kind, data = fields.text(body, "event"), fields.mapping(body, "data")
        answer.session_id = fields.text_or_none(body, "session_id") or answer.session_id
        answer.message_id = fields.text_or_none(body, "message_id") or answer.message_id
        self._run.take(kind, data)
        if kind == "message":
            answer.flag(data)
            answer.add(fields.text(data, "content"))
        elif kind == "message_end":
            self._message_end(data)
        elif kind == "user_inputs":
            answer.input_request = InputRequest(inputs=fields.mapping(data, "inputs"), tips=fields.text(data, "tips"))
        elif kind == "workflow_finished":
            answer.ended = True
            answer.usage = models_from_json.usage(data.get("usage")) or answer.usage
        elif kind in ("node_started", "node_finished"):
            self._component(body, kind, data)
        self._keyed(data.get("reference"))

    def _message_end(self, data: JsonObject) -> None:
        self._keyed(data.get("reference"))
        self._answer.settle_markers()
        if isinstance(data.get("attachment"), dict):
            self._answer.attachments.append(models_from_json.attachment(fields.mapping(data, "attachment")))

    def _component(self, body: JsonObject, kind: str, data: JsonObject) -> None:
        answer = self._answer
        answer.step(models_from_json.agent_step(kind, data))
        found = keyed_markers.retrieved(data)
        answer.retrieved.update(found)
        answer.learn(found)
        structured = fields.mapping(data, "outputs").get("structured")
        if structured is not None and kind == "node_finished":
            answer.structured[fields.text(data, "component_id")] = structured
        if (self._request.json or {}).get("return_trace"):
            answer.trace.append(body)

    def _about(self, data: JsonObject) -> None:
        super()._about(data)
        self._keyed(data.get("reference"))
        self._check_inputs(data.get("param"))

    def _check_inputs(self, used: JsonValue) -> None:
        """Compare the values of the begin form that a run has used, which ≤ 0.19.1 tell, with those that were given.

        Up to 0.19.0 a session keeps those that it was made with (source v0.19.0 `api/db/services/canvas_service.py`).
        """
        given = fields.mapping(self._request.json or {}, "inputs")
        for field in fields.objects(used):
            name = fields.text(field, "key")
            if name in given and field.get("value") != fields.mapping(given, name).get("value"):
                self._answer.refusal = UnsupportedByServerError(
                    f"`inputs` did not arrive: the agent has used another value of {name!r}. RAGFlow takes new `inputs` in a "
                    "session that exists from 0.19.1 on; leave `session_id` out, or create a session with them.",
                    feature="`inputs` in an agent's session that exists",
                    since="0.19.1",
                )

    def _keyed(self, value: JsonValue) -> None:
        keyed = keyed_markers.chunks_by_key(value.get("chunks") if isinstance(value, dict) else None)
        if keyed:
            self._answer.reference = models_from_json.reference(value)
            self._answer.keyed = {**(self._answer.keyed or {}), **keyed}
            self._answer.learn(keyed)

    def whole(self, body: JsonObject) -> None:
        """Accept the reply of a call that does not stream: the last event of the run."""
        last = fields.mapping(body, "data")
        if "answer" in last:
            super().whole(body)
            return
        if "event" not in last:
            raise ProtocolError("The server answered an agent's run with neither an answer nor an event in `data`.")
        data = fields.mapping(last, "data")
        self._workflow(last)
        self._run.take_whole()
        self._answer.add(fields.text(data, "content"))
