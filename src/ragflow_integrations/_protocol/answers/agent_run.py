"""What became of a run of an agent: by its events, and by what its session keeps of it.

Streams hide a failed LLM on every release, and the form that an agent waits for up to 0.26.2. The session that the run was
made in knows both (docs/protocol.md, "What the session of an agent keeps").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.answers import llm_errors
from ragflow_integrations.errors import GenerationError, ProtocolError, UnsupportedByServerError
from ragflow_integrations.models import InputRequest

if TYPE_CHECKING:
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import JsonObject, JsonValue

_FORM = "userfillup"


@dataclass(slots=True)
class AgentRun:
    """What a run tells of itself, event by event.

    Attributes:
        began: Whether an event of a workflow has come; ≤ 0.19.1 answer as chats do.
        spoke: Whether a message has come, or the end of one.
        asked: Whether it showed a form.
        workflow_ended: Whether it said that the workflow has ended, which a failed one does not.
        error: What a component failed with.
        state: What the session keeps of the run, if it was read.
    """

    began: bool = False
    spoke: bool = False
    asked: bool = False
    workflow_ended: bool = False
    error: str | None = None
    state: RunState | None = None
    _finished: set[str] = field(default_factory=set)
    _used: set[str] = field(default_factory=set)

    def take(self, kind: str, data: JsonObject) -> None:
        """Accept an event."""
        self.began = True
        self.spoke = self.spoke or kind in ("message", "message_end")
        self.asked = self.asked or kind == "user_inputs"
        self.workflow_ended = self.workflow_ended or kind == "workflow_finished"
        if kind == "node_finished":
            self._finished.add(fields.text(data, "component_id"))
            self._used.update(name.partition("@")[0] for name in fields.mapping(data, "inputs") if "@" in name)
            self.error = fields.text_or_none(data, "error") or self.error

    def take_whole(self) -> None:
        """Accept that there are no other events: a reply that does not stream holds the last one, with the text of all."""
        self.spoke = self.spoke or not self.asked
        self._used.clear()

    @property
    def unfinished(self) -> set[str]:
        """Components whose output was used, and which did not finish: so a failed LLM looks [0.27.0-agent_llm_failure].

        Other components that look so ran in an earlier turn.
        """
        return self._used - self._finished

    @property
    def silent(self) -> bool:
        """Whether the run had neither a message nor a form."""
        return not self.spoke and not self.asked

    @property
    def doubtful(self) -> bool:
        """Whether the events leave open what became of the run."""
        return self.silent or bool(self.unfinished or self.error)

    def settle(self, session: JsonObject | None) -> None:
        """Accept the session as it is after the run, None if it could not be read."""
        self.state = None if session is None else RunState.of(session)

    @property
    def form(self) -> InputRequest | None:
        """The form that the run waits for without having shown it."""
        state = self.state
        if state is None or state.form is None or self.asked or state.form_id in self._finished:
            return None
        return state.form

    def failure(self, text: str) -> llm_errors.Failure | None:
        """Return what the run failed with, None if it did not; `text` is what it said."""
        state = self.state
        told = state.error if state is not None else None
        if told is None and (state is None or not state.knows_errors) and self.error and not (self.workflow_ended and text):
            told = self.error  # and the workflow did not go on to an answer
        if told is not None:
            found = llm_errors.find(told)
            return llm_errors.Failure(text, found.kind, found.detail) if found else llm_errors.Failure(text, None, told)
        if state is None and self.unfinished:
            names = ", ".join(sorted(self.unfinished))
            return llm_errors.Failure(text, None, f"the agent's component {names} did not finish; RAGFlow does not say why")
        return None

    def said_nothing(self, session_id: str | None) -> RAGFlowError:
        """Return the error of a run without a message and without a form."""
        session = f" in the session {session_id!r}" if session_id else ""
        if self.state is not None:
            return GenerationError(
                f"The agent's run{session} ended without a message: its workflow reached no Message component. Check it in "
                "RAGFlow.",
                detail="the run ended without a message",
            )
        return UnsupportedByServerError(
            "The agent answered with neither a message nor a form: it most likely waits for a form, which RAGFlow shows in a "
            f"session from 0.26.3 on only. Ask again{session}, with `inputs` for its fields.",
            feature="forms of agents in a session",
            since="0.26.3",
        )


@dataclass(frozen=True, slots=True)
class RunState:
    """What the session of an agent keeps of its last run.

    Attributes:
        error: What failed, None if nothing did.
        knows_errors: Whether the session would know that the run was ended by an error.
        form: The form that the agent waits for.
        form_id: Its component.
    """

    error: str | None = None
    knows_errors: bool = False
    form: InputRequest | None = None
    form_id: str = ""

    @classmethod
    def of(cls, session: JsonObject) -> RunState:
        """Read the object of a session."""
        dsl = _workflow(session.get("dsl"))
        components = fields.mapping(dsl, "components")
        form_id, form = _form(dsl.get("path"), components)
        errors = session.get("errors")
        return cls(
            error=(errors if isinstance(errors, str) and errors else None) or _failed_stream(components),
            knows_errors=isinstance(errors, str),
            form=form,
            form_id=form_id,
        )


def _workflow(stored: JsonValue) -> JsonObject:
    """Return a workflow, which may be stored as an object or as its text."""
    if isinstance(stored, dict):
        return stored
    try:
        return fields.parse(stored) if isinstance(stored, str) else {}
    except ProtocolError:
        return {}


def _parameters(components: JsonObject, name: str) -> tuple[str, JsonObject]:
    """Return a component's kind and parameters."""
    component = fields.mapping(fields.mapping(components, name), "obj")
    return fields.text(component, "component_name").lower(), fields.mapping(component, "params")


def _output(parameters: JsonObject, name: str) -> JsonValue:
    return fields.mapping(fields.mapping(parameters, "outputs"), name).get("value")


def _form(path: JsonValue, components: JsonObject) -> tuple[str, InputRequest | None]:
    """Return the form at the end of a run's path: a run that waits ends there."""
    names = [name for name in path if isinstance(name, str)] if isinstance(path, list) else []
    if not names or _parameters(components, names[-1])[0] != _FORM:
        return "", None
    inputs: dict[str, JsonValue] = {}
    tips = ""
    for name in names:
        kind, parameters = _parameters(components, name)
        if kind == _FORM:
            inputs |= fields.mapping(parameters, "inputs")
            if parameters.get("enable_tips") is not False:
                shown = _output(parameters, "tips")
                tips = shown if isinstance(shown, str) else fields.text(parameters, "tips")
    return names[-1], InputRequest(inputs=inputs, tips=tips)


def _failed_stream(components: JsonObject) -> str | None:
    """Return what the LLM of a component failed with while its text was streamed.

    Its text was never set, so that in its place there is an empty object.
    """
    for name in components:
        _, parameters = _parameters(components, name)
        error = _output(parameters, "_ERROR")
        if isinstance(error, str) and error and _output(parameters, "content") == {}:
            return error
    return None
