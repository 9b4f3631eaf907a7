"""One way to call both clients, so that each test is written once.

A call is a function of the client: `driver.do(lambda client: client.chats.get("x"))`. What it gives is awaited or gathered as
the client's kind needs; a stream is stepped through with `next`, `drain` and `close`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ragflow_integrations import AsyncRAGFlowClient, Completed, RAGFlowClient, RAGFlowError, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from ragflow_integrations import Answer, AnswerEvent

KEY = "ragflow-s3cr3tKEYs3cr3tKEYs3cr3tKEY"
CHAT = "be832fd0e6c011f1838d02fc00000001"
AGENT = "6f98bdcee6c311f19a3002fc00000001"
SESSION = "04182542e6c511f1b27e02fc00000001"
DATASET = "4eb6eb6ae6c011f199fc02fc00000001"
DOCUMENT = "1c9d7068e6c511f1927602fc00000001"

Call: TypeAlias = Callable[..., Any]


@dataclass
class Outcome:
    """All that a stream gave: its events, and how it ended."""

    events: list[AnswerEvent] = field(default_factory=list)
    error: RAGFlowError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def answer(self) -> Answer:
        """The answer of the last event; what went wrong instead is raised."""
        if self.error is not None:
            raise self.error
        last = self.events[-1]
        assert isinstance(last, Completed)
        assert sum(isinstance(event, Completed) for event in self.events) == 1
        return last.answer


class SyncDriver:
    """Calls a `RAGFlowClient`."""

    kind = "sync"

    def __init__(self, base_url: str, api_key: str = KEY, **settings: Any) -> None:
        self.client = RAGFlowClient(base_url, api_key, **settings)

    def do(self, call: Call) -> Any:
        given = call(self.client)
        return list(given) if isinstance(given, Iterator) else given

    def open(self, call: Call) -> Any:
        return call(self.client)

    def next(self, stream: Any) -> AnswerEvent | None:
        return next(stream, None)

    def close(self, stream: Any) -> None:
        stream.close()

    def shut(self) -> None:
        self.client.close()

    def drain(self, call: Call) -> Outcome:
        """Read a whole stream; what goes wrong, also when it is opened, is kept."""
        outcome = Outcome()
        try:
            stream = self.open(call)
            while (event := self.next(stream)) is not None:
                outcome.events.append(event)
        except RAGFlowError as error:
            outcome.error = error
        return outcome

    def fails(self, call: Call) -> RAGFlowError:
        """The error that a call ends with."""
        try:
            given = self.do(call)
        except RAGFlowError as error:
            return error
        raise AssertionError(f"no error, but {given!r}")


class AsyncDriver(SyncDriver):
    """Calls an `AsyncRAGFlowClient` on an event loop of its own."""

    kind = "async"

    def __init__(self, base_url: str, api_key: str = KEY, **settings: Any) -> None:
        self.runner = asyncio.Runner()
        self.ended = False
        self.client = AsyncRAGFlowClient(base_url, api_key, **settings)  # type: ignore[assignment]

    def do(self, call: Call) -> Any:
        return self.runner.run(self._do(call))

    async def _do(self, call: Call) -> Any:
        given = call(self.client)
        if isinstance(given, AsyncIterator) and not hasattr(given, "partial"):
            return [item async for item in given]
        return await given if inspect.isawaitable(given) else given

    def open(self, call: Call) -> Any:
        return self.do(call)

    def next(self, stream: Any) -> AnswerEvent | None:
        async def step() -> AnswerEvent | None:
            return await anext(stream, None)

        return self.runner.run(step())

    def close(self, stream: Any) -> None:
        self.runner.run(stream.aclose())

    def shut(self) -> None:
        if not self.ended:
            self.ended = True
            self.runner.run(self.client.aclose())  # type: ignore[attr-defined]
            self.runner.close()


Driver: TypeAlias = SyncDriver | AsyncDriver
DRIVERS: dict[str, type[SyncDriver]] = {"sync": SyncDriver, "async": AsyncDriver}
