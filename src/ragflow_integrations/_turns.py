"""One turn at a time per session, across threads and tasks.

RAGFlow reads a session, answers, and writes the whole session back, so of two turns at once the last to finish erases the
other. A turn that finds its session taken waits, and does not wait where it would wait for itself.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragflow_integrations._forks import begin_anew
from ragflow_integrations.errors import SessionBusyError

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a turn is asked for: a task of a thread's event loop, or the thread itself.

    Both are held weakly: their numbers are given again to others when they have ended.
    """

    thread: weakref.ref[threading.Thread]
    task: weakref.ref[asyncio.Task[object]] | None

    @classmethod
    def here(cls) -> _Place:
        asyncio = sys.modules.get("asyncio")
        try:
            task = asyncio.current_task() if asyncio else None  # not loaded, no task
        except RuntimeError:
            task = None
        return cls(weakref.ref(threading.current_thread()), None if task is None else weakref.ref(task))

    def waits_for(self, other: _Place, *, blocking: bool) -> bool:
        """Whether waiting here would keep `other` from ever giving its turn back.

        A blocked thread keeps all of its tasks from going on; a waiting task keeps only itself, and what its thread began
        outside of the event loop.
        """
        if self.thread() is not other.thread():
            return False
        return blocking or other.task is None or (self.task is not None and self.task() is other.task())


@dataclass(slots=True)
class _Line:
    holder: _Place
    waiting: deque[tuple[Future[Turn], _Place]] = field(default_factory=deque)


class Turn:
    """The right to one turn of a session, until `release`."""

    def __init__(self, turns: Turns, session_id: str, line: _Line) -> None:
        self._turns = turns
        self._session_id = session_id
        self._line = line
        self._held = True

    def __del__(self) -> None:
        """Give back a turn that was granted to somebody who waits no more, in an event loop that was closed."""
        self.release()

    def release(self) -> None:
        """Let the next one have the session; a second call does nothing."""
        if self._held:
            self._held = False
            self._turns.pass_on(self._session_id, self._line)


class Turns:
    """The turns of sessions."""

    def __init__(self) -> None:
        self.after_fork()
        begin_anew(self)

    def after_fork(self) -> None:
        """Begin without turns: those that were taken are the parent's."""
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._returned: deque[tuple[str, _Line]] = deque()

    def __reduce__(self) -> tuple[type[Turns], tuple[()]]:
        """A copy in another process starts without turns."""
        return Turns, ()

    def request(self, session_id: str, *, blocking: bool) -> Future[Turn]:
        """Ask for a turn; the future is done when it has come.

        Args:
            session_id: The session.
            blocking: Whether the thread will wait for it, not a task.

        Raises:
            SessionBusyError: Waiting would never end: the session is held here, or by a task of the loop that it would block.
        """
        try:
            return self._ask(session_id, blocking=blocking)
        finally:
            self._settle()

    def _ask(self, session_id: str, *, blocking: bool) -> Future[Turn]:
        here = _Place.here()
        future: Future[Turn] = Future()
        with self._lock:
            self._pass_returned()  # of this thread too, whose last turn nobody may have passed on yet
            line = self._lines.get(session_id)
            if line is None:
                line = self._lines[session_id] = _Line(here)
                future.set_result(Turn(self, session_id, line))
            elif any(
                here.waits_for(place, blocking=blocking) for place in (line.holder, *(place for _, place in line.waiting))
            ):
                raise SessionBusyError(
                    f"Session {session_id!r} has an unfinished turn begun by this same thread or task, which cannot wait for "
                    "itself. Read that stream to its end or close it first, await the turn, or use another session."
                )
            else:
                line.waiting.append((future, here))
        return future

    def pass_on(self, session_id: str, line: _Line) -> None:
        """Give the session to the next that still waits.

        The garbage collector may call this for a dropped stream while this same thread is within `request`, so it never waits
        for the lock: who holds it gives the session on when it is done.
        """
        self._returned.append((session_id, line))
        self._settle()

    def _settle(self) -> None:
        while self._returned and self._lock.acquire(blocking=False):
            try:
                self._pass_returned()
            finally:
                self._lock.release()

    def _pass_returned(self) -> None:
        while self._returned:
            self._next(*self._returned.popleft())

    def _next(self, session_id: str, line: _Line) -> None:
        if self._lines.get(session_id) is not line:
            return  # a turn of the parent process, dropped in a child
        while line.waiting:
            future, line.holder = line.waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(Turn(self, session_id, line))
                return
        del self._lines[session_id]

    def wait(self, session_id: str, timeout: float) -> Turn:
        """Wait for a turn in a thread, at most `timeout` seconds."""
        future = self.request(session_id, blocking=True)
        try:
            return future.result(timeout)
        except TimeoutError:
            self._give_up(future)
            raise _still_busy(session_id, timeout) from None
        except BaseException:  # Control-C
            self._give_up(future)
            raise

    async def wait_async(self, session_id: str, timeout: float) -> Turn:  # noqa: ASYNC109 - as the sync twin
        """Wait for a turn in a task, at most `timeout` seconds."""
        import asyncio  # noqa: PLC0415 - a tenth of what loading requests takes, and synchronous programs do without

        future = self.request(session_id, blocking=False)
        try:
            async with asyncio.timeout(timeout):  # `wait_for` of 3.11 may swallow a cancellation
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self._give_up(future)
            raise _still_busy(session_id, timeout) from None
        except asyncio.CancelledError:
            self._give_up(future)
            raise

    @staticmethod
    def _give_up(future: Future[Turn]) -> None:
        if not future.cancel() and not future.cancelled():
            future.result().release()  # it came after all


def _still_busy(session_id: str, timeout: float) -> SessionBusyError:
    return SessionBusyError(
        f"Session {session_id!r} was busy with another turn for {timeout:g} s. One turn at a time keeps its history whole; use "
        "another session for parallel questions."
    )
