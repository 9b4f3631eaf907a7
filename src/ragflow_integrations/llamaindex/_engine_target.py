"""Whom an engine asks, and how: the target, its clients, and the options of every question."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ragflow_integrations._adapters.clients import ClientPair, split_connection
from ragflow_integrations._adapters.options import question_options
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.stop import check_stop
from ragflow_integrations._adapters.target import Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ragflow_integrations._adapters.clients import AnyClient
    from ragflow_integrations._adapters.target import ChatTarget
    from ragflow_integrations.async_client import AsyncAnswerStream
    from ragflow_integrations.client import AnswerStream
    from ragflow_integrations.models import Answer, CompletionOptions, Message


class EngineTarget:
    """A chat assistant or an agent, with the options of every question.

    Args:
        client: Client to share.
        target: Who is asked.
        options: `EngineOptions`: options of every question, and settings of the client.

    Attributes:
        clients: The clients.
        target: Who is asked.
        options: Options of every question.

    Raises:
        InvalidArgumentError: An option is unknown, or a setting is given beside `client`.
    """

    def __init__(self, client: AnyClient | None, target: ChatTarget, options: Mapping[str, object]) -> None:
        connection, others = split_connection(options)
        self.target = target
        self._stop = check_stop(cast("Sequence[str] | None", others.pop("stop", None)))
        self.options = question_options(others)
        self.clients = ClientPair(client, **connection)

    @property
    def all_options(self) -> dict[str, object]:
        """Options of every question, the stop sequences included."""
        return {**self.options, **({"stop": list(self._stop)} if self._stop else {})}

    @property
    def name(self) -> str:
        """The name of the target in traces."""
        return f"ragflow/{self.target.chat_name or self.target.name}"

    def question(
        self,
        text: str,
        options: Mapping[str, object],
        *,
        session_id: str | None = None,
        history: Sequence[Message] | None = None,
    ) -> Question:
        """Return a question; its options replace those of the engine.

        Raises:
            InvalidArgumentError: An option is unknown.
        """
        others = dict(options)
        stop = cast("Sequence[str] | None", others.pop("stop", None))
        merged = cast("CompletionOptions", {**self.options, **question_options(others)})
        return Question(text, session_id, history, merged, self._stop if stop is None else check_stop(stop))

    def ask(self, question: Question) -> Answer:
        """Ask and wait for the whole answer."""
        answer: Answer = run(self.target.ask(self.clients.sync, question))
        return answer

    async def aask(self, question: Question) -> Answer:
        """Ask and wait for the whole answer, asynchronously."""
        answer: Answer = await arun(self.target.ask(self.clients.async_, question))
        return answer

    def stream(self, question: Question) -> AnswerStream:
        """Ask; refusals are raised here, the answer comes from the stream."""
        stream: AnswerStream = run(self.target.ask(self.clients.sync, question, stream=True))
        return stream

    async def astream(self, question: Question) -> AsyncAnswerStream:
        """Ask asynchronously; refusals are raised here, the answer comes from the stream."""
        stream: AsyncAnswerStream = await arun(self.target.ask(self.clients.async_, question, stream=True))
        return stream
