"""One turn at a time per session, across threads and tasks.

RAGFlow reads a session, answers, and writes the whole session back, so of two turns at once the last to finish erases the
other. A turn that finds its session taken waits, and does not wait where it would wait for itself.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from ragflow_integrations.errors import SessionBusyError

#: The task or thread that began a turn; held weakly, since their numbers are given again to others when they have ended.
_Owner: TypeAlias = "weakref.ref[asyncio.Task[object] | threading.Thread]"


def _here() -> asyncio.Task[object] | threading.Thread:
    try:
        return asyncio.current_task() or threading.current_thread()
    except RuntimeError:
        return threading.current_thread()


@dataclass(slots=True)
class _Line:
    holder: _Owner
    waiting: deque[tuple[Future[Turn], _Owner]] = field(default_factory=deque)


class Turn:
    """The right to one turn of a session, until `release`."""

    def __init__(self, turns: Turns, session_id: str) -> None:
        self._turns = turns
        self._session_id = session_id
        self._held = True

    def release(self) -> None:
        """Let the next one have the session; a second call does nothing."""
        if self._held:
            self._held = False
            self._turns.pass_on(self._session_id)


class Turns:
    """The turns of the sessions of one client and its twins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._returned: deque[str] = deque()

    def __reduce__(self) -> tuple[type[Turns], tuple[()]]:
        """A copy in another process starts without turns."""
        return Turns, ()

    def request(self, session_id: str) -> Future[Turn]:
        """Ask for a turn; the future is done when it has come.

        Raises:
            SessionBusyError: This thread or task itself holds the session.
        """
        try:
            return self._ask(session_id)
        finally:
            self._settle()

    def _ask(self, session_id: str) -> Future[Turn]:
        here = _here()
        future: Future[Turn] = Future()
        with self._lock:
            line = self._lines.get(session_id)
            if line is None:
                self._lines[session_id] = _Line(weakref.ref(here))
                future.set_result(Turn(self, session_id))
            elif line.holder() is here:
                raise SessionBusyError(
                    f"Session {session_id!r} has an unfinished stream begun by this same thread or task, which cannot wait for "
                    "itself. Read that stream to its end or close it first, or use another session."
                )
            else:
                line.waiting.append((future, weakref.ref(here)))
        return future

    def pass_on(self, session_id: str) -> None:
        """Give the session to the next that still waits.

        The garbage collector may call this for a dropped stream while this same thread is within `request`, so it never waits
        for the lock: who holds it gives the session on when it is done.
        """
        self._returned.append(session_id)
        self._settle()

    def _settle(self) -> None:
        while self._returned and self._lock.acquire(blocking=False):
            try:
                while self._returned:
                    self._next(self._returned.popleft())
            finally:
                self._lock.release()

    def _next(self, session_id: str) -> None:
        line = self._lines[session_id]
        while line.waiting:
            future, line.holder = line.waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(Turn(self, session_id))
                return
        del self._lines[session_id]

    def wait(self, session_id: str, timeout: float) -> Turn:
        """Wait for a turn in a thread, at most `timeout` seconds."""
        future = self.request(session_id)
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
        future = self.request(session_id)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout)
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
