"""One run of an agent: the events of its nodes.

The agents have fixed flows: Begin, perhaps a message and a form that asks the user for something, perhaps a retrieval, an
agent node that writes, and a message node that says it; or a message node alone, with a fixed text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.answering import Query, agent_key, document_counts, search
from ragflow_integrations.emulator.eras import AgentEvents
from ragflow_integrations.emulator.model import Commands, ModelError, ModelRequest
from ragflow_integrations.emulator.serializers.agents import TIPS, form_of
from ragflow_integrations.emulator.serializers.chunks import raw_hit, reference_chunk
from ragflow_integrations.emulator.store import new_id
from ragflow_integrations.emulator.text import count_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ragflow_integrations.emulator.answering import Hit
    from ragflow_integrations.emulator.calls import Call
    from ragflow_integrations.emulator.store import Agent, Session

_HITS = 6
_THRESHOLD = 0.2


@dataclass(kw_only=True)
class Run:
    """One run of an agent."""

    call: Call
    agent: Agent
    session: Session
    is_new: bool
    """The session was made for this run."""
    question: str
    inputs: dict[str, Any]

    def __post_init__(self) -> None:
        self.message_id = new_id()
        self.resumed = self.session.waits_for_input
        self.era = self.call.era
        self.hits: list[Hit] = []
        self.retrieved_inputs: dict[str, str] = {}
        self.reference: dict[str, Any] = {}
        self.text = ""
        self.thought = ""
        self.greeting = ""
        self.failure: ModelError | None = None
        self.path: list[str] = []
        self.outputs: dict[str, dict[str, Any]] = {}
        self.errors = ""

    @property
    def failed(self) -> bool:
        """Whether the model failed, or an error of an earlier run stuck."""
        return self.failure is not None or bool(self.errors)

    @property
    def full_text(self) -> str:
        """All text of the run."""
        return self.greeting + self.text

    @property
    def _pauses(self) -> bool:
        """Whether the run ends with a form: each does that has not begun with one, whatever inputs it was given.

        (Source: the end of ``Canvas.run``, 0.20.5 to 0.27.0.)
        """
        return bool(self.agent.asks) and not self.resumed and not self.era.agent_inputs_in_body

    # Events

    @property
    def _has_session_id(self) -> bool:
        """Whether events carry the session's id."""
        return not (self.is_new and self.era.agent_forgets_session)

    def _event(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        event = {
            "event": name,
            "message_id": self.message_id,
            "created_at": int(time.time()),
            "task_id": self.session.id,
            "data": data,
        }
        return event | ({"session_id": self.session.id} if self._has_session_id else {})

    def _started(self, node: str, thoughts: str = "") -> dict[str, Any]:
        facts = {"inputs": None, "created_at": int(time.time()), "thoughts": thoughts}
        return self._event("node_started", facts | _component(node))

    def _finished(self, node: str, inputs: dict[str, Any], outputs: dict[str, Any], error: str | None = None) -> dict[str, Any]:
        clock = time.perf_counter()
        self.path.append(node)
        self.outputs[node] = outputs
        facts = {
            "inputs": inputs,
            "outputs": outputs | {"_created_time": clock, "_elapsed_time": 0.0005},
            "error": error,
            "elapsed_time": 0.001,
            "created_at": clock,
        }
        return self._event("node_finished", facts | _component(node))

    def _message(self, content: str, number: int = 0, **flags: bool) -> dict[str, Any]:
        audio = {"audio_binary": None} if self.era.agent_audio and number % 2 else {}
        return self._event("message", {"content": content} | audio | flags)

    def _message_outputs(self) -> dict[str, Any]:
        """Return the outputs of the message node."""
        return {"content": self.thought + self.text} | ({"downloads": []} if self.era.agent_downloads else {})

    def usage(self) -> dict[str, Any]:
        """Return what the run cost, if the era reports it."""
        if not self.era.agent_usage:
            return {}
        total = 0 if self.failed or self.agent.says is not None else count_tokens(self.question) + count_tokens(self.text)
        usage = {
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "total_tokens": total,
            "calls": 0 if self.failed or self.agent.says is not None else 1,
        }
        return {"usage": usage}

    async def _retrieval_node(self, question: str) -> AsyncIterator[dict[str, Any]]:
        """Run the retrieval node; keep the hits for the agent node."""
        yield self._started("Retrieval:Kb", f"\nKeywords: {question}\nLooking for the most relevant articles.\n")
        plain = Commands.of(question).question
        query = Query(question=plain, dataset_ids=self.agent.dataset_ids, similarity_threshold=_THRESHOLD)
        self.hits = search(self.call.store, query)[:_HITS]
        text = "".join(
            f"\nID: {self._key(index)}\n├── Title: {hit.chunk.document_name}\n└── Content:\n{hit.chunk.content}"
            for index, hit in enumerate(self.hits)
        )
        self.retrieved_inputs = {"Retrieval:Kb@formalized_content": text}
        outputs = {"formalized_content": text, "json": [raw_hit(hit, self.era) for hit in self.hits]}
        yield self._finished("Retrieval:Kb", {"query": question}, outputs)

    def _key(self, index: int) -> str:
        return str(agent_key(self.hits[index].chunk.id, self.era.agent_keys))

    async def _model_messages(self, question: str) -> AsyncIterator[dict[str, Any]]:
        """Yield each token of the model as a message, its reasoning between flags; a failure sends nothing."""
        request = ModelRequest(
            question=question,
            hits=self.hits,
            history=self.session.messages,
            cite=lambda index: f" [ID:{self._key(index)}]",
            failure=self.call.plan.llm_error,
        )
        thinking = False
        number = 0
        try:
            async for token in self.call.backend.model.write(request):
                if token.thinking != thinking:
                    thinking = token.thinking
                    yield self._message("", **{"start_to_think" if thinking else "end_to_think": True})
                if thinking:
                    self.thought += token.text
                else:
                    self.text += token.text
                yield self._message(token.text, number)
                number += 1
        except ModelError as error:
            self.failure = error
            if self.era.agent_errors_stick:
                self.call.backend.agent_errors[self.agent.id] = f"**ERROR**: {error.code} - {error.detail}"

    def _retrieved(self) -> dict[str, Any]:
        """Return the reference object; its chunks are keyed by a hash."""
        if not self.hits:
            return {}
        chunks = {self._key(index): reference_chunk(hit, self.era) for index, hit in enumerate(self.hits)}
        counts = document_counts(self.hits) if self.era.agent_counts_documents else []
        return {"chunks": chunks, "doc_aggs": {counted["doc_name"]: counted for counted in counts}}

    def _message_end(self) -> dict[str, Any]:
        """Return the event that carries the reference."""
        cited = "[ID:" in self.text or not self.era.agent_reference_if_cited
        self.reference = self._retrieved() if cited else {}
        if self.era.agent_null_reference:
            return self._event("message_end", {"reference": self.reference or None})
        return self._event("message_end", {"reference": self.reference} if self.reference else {})

    def _stuck_error(self, inputs: dict[str, Any], error: str) -> dict[str, Any]:
        self.errors = error
        return self._finished("Agent:Main", inputs, {"content": None, "_ERROR": error}, error)

    async def _agent_and_message_nodes(self, question: str) -> AsyncIterator[dict[str, Any]]:
        """Run the agent node, and the message node that streams what the agent writes."""
        inputs = self.retrieved_inputs | {"sys.query": question}
        stuck = self.call.backend.agent_errors.get(self.agent.id) if self.is_new else None
        yield self._started("Agent:Main", f"⌛Give me a moment—starting from: \n\n{question}\n\nI’ll figure it out.")
        if stuck:
            yield self._stuck_error(inputs, stuck)
            return
        yield self._started("Message:Out")
        async for event in self._model_messages(question):
            yield event
        yield self._message_end()
        whole = (f"<think>{self.thought}</think>" if self.thought else "") + self.text
        if self.failure is None:
            # A session that has failed before keeps the field [08_agent_err_llm_500_in_session_next_turn].
            extra = {"_ERROR": None} if self.session.failed else {}
            yield self._finished("Agent:Main", inputs, {"content": whole} | extra)
        else:
            # Nobody is told that the node has failed; the session knows it (source: ``agent/component/llm.py``).
            self.path.append("Agent:Main")
            self.outputs["Agent:Main"] = {"content": {}, "_ERROR": f"**ERROR**: {self.failure.code} - {self.failure.detail}"}
        yield self._finished("Message:Out", {"Agent:Main@content": whole}, self._message_outputs())

    def _fixed_message(self, node: str, text: str) -> list[dict[str, Any]]:
        """Return the events of a message node that sends a fixed text."""
        finished = self._finished(node, {}, {"content": text})
        return [self._started(node), self._message(text), self._message_end(), finished]

    def _workflow_finished(self) -> dict[str, Any]:
        clock = time.perf_counter()
        outputs = self._message_outputs() | {"_created_time": clock, "_elapsed_time": 0.0005}
        facts = {"inputs": {}, "outputs": outputs, "elapsed_time": 0.001, "created_at": clock}
        return self._event("workflow_finished", facts | self.usage())

    async def _nodes(self) -> AsyncIterator[dict[str, Any]]:
        agent = self.agent
        if not self.resumed:
            for event in self._begin_nodes():
                yield event
        if self._pauses:
            self.path = ["UserFillUp:Ask"]
            self.outputs["UserFillUp:Ask"] = {"tips": TIPS}
            yield self._event("user_inputs", {"inputs": form_of(agent), "tips": TIPS})
            return
        question = self.question
        if agent.asks:
            value = self.inputs.get(agent.asks)
            filled = value.get("value", "") if isinstance(value, dict) else value or ""
            yield self._finished("UserFillUp:Ask", {}, {agent.asks: filled})
            question = f"{question} {filled}".strip()
        if agent.says is not None:
            self.text = agent.says
            for event in self._fixed_message("Message:Out", agent.says):
                yield event
        else:
            async for event in self._answer_nodes(question):
                yield event
        if not self.errors:
            yield self._workflow_finished()

    def _begin_nodes(self) -> Iterator[dict[str, Any]]:
        yield self._event("workflow_started", {"inputs": {}})
        yield self._started("begin")
        yield self._finished("begin", {}, {})
        if self.agent.greets:
            self.greeting = self.agent.greets
            yield from self._fixed_message("Message:Hello", self.greeting)

    async def _answer_nodes(self, question: str) -> AsyncIterator[dict[str, Any]]:
        if self.agent.dataset_ids:
            async for event in self._retrieval_node(question):
                yield event
        async for event in self._agent_and_message_nodes(question):
            yield event

    def _remember(self) -> None:
        session = self.session
        session.waits_for_input = self._pauses
        session.pending_question = self.question if session.waits_for_input else ""
        session.failed = self.failed or session.failed
        session.path, session.outputs = self.path, self.outputs
        if session.source == "agent":
            session.errors = self.errors
        labels = {"id": self.message_id, "created_at": time.time()}
        question = {"role": "user", "content": self.question, "files": []} | labels
        session.messages += [question, {"role": "assistant", "content": self.full_text} | labels]
        session.references.append(self._retrieved())
        self.call.store.touch(session)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield all events of the run, and store it after the last."""
        async for event in self._nodes():
            yield event
        self._remember()

    def visible_event(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event as the client receives it; None if it receives none."""
        name = event["event"]
        style = self.era.agent_events
        if style is AgentEvents.MESSAGES and name == "node_finished":
            return None
        if name == "user_inputs" and self.era.agent_hides_forms and not self.is_new:
            return None
        if (style is not AgentEvents.ALL or not self.is_new) and name in ("workflow_started", "node_started"):
            return None
        if name == "workflow_finished" and (style is not AgentEvents.ALL or not self.is_new):
            usage = self.usage()
            return event | {"data": usage} if usage else None
        return event


def _component(node: str) -> dict[str, str]:
    return {"component_id": node, "component_name": node, "component_type": node.partition(":")[0].title()}
