"""Steps that need several calls of a client, written once for both modes."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

from ragflow_integrations.errors import SessionBusyError

T = TypeVar("T")

#: A generator that yields what a client's method returned, the result itself or an awaitable, and is sent the result.
#: If it yields a `Pending`, it goes on when that is finished.
Steps: TypeAlias = Generator[Any, Any, T]


class Pending:
    """A session that another call of this process is creating."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()
        self._thread = weakref.ref(threading.current_thread())

    def finish(self) -> None:
        """Let those who wait go on."""
        self._future.set_result(None)

    def wait(self) -> None:
        """Wait in a thread.

        Raises:
            SessionBusyError: A task of this same thread creates it, which could not go on meanwhile.
        """
        if self._thread() is threading.current_thread() and not self._future.done():
            raise SessionBusyError(
                "The session of this conversation is being created by a task of this thread, which waiting would block; "
                "within an event loop use `ainvoke` or `achat`."
            )
        self._future.result()

    async def wait_async(self) -> None:
        """Wait in a task. To cancel one who waits must not cancel the future that others wait for, so it is shielded."""
        await asyncio.shield(asyncio.wrap_future(self._future))


def run(steps: Steps[T]) -> T:
    """Run steps with a synchronous client; return their result."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pending):
                    step.wait()
            except BaseException as error:  # noqa: BLE001 - Control-C too; the steps release what they hold and raise it
                step = steps.throw(error)
            else:
                step = steps.send(step)
    except StopIteration as end:
        value: T = end.value
        return value


async def arun(steps: Steps[T]) -> T:
    """Run steps with an asynchronous client; return their result."""
    try:
        step = next(steps)
        while True:
            try:
                result = await (step.wait_async() if isinstance(step, Pending) else step)
            except BaseException as error:  # noqa: BLE001 - cancellation too; the steps release what they hold and raise it
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
