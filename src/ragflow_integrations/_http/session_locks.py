"""One turn at a time per session, across the threads and tasks of this process.

RAGFlow reads a session, answers, and writes the whole session back, so of two turns at once the last to finish erases the
other. A turn waits for the lock of its session. If it would wait for itself, it raises an error instead.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragflow_integrations._http.per_process import PerProcess
from ragflow_integrations.errors import SessionBusyError

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who asks for a lock: a task of a thread's event loop, or the thread itself.

    Weak references, because the ids of threads and tasks are reused after these have ended.
    """

    thread: weakref.ref[threading.Thread]
    task: weakref.ref[asyncio.Task[object]] | None

    @classmethod
    def current(cls) -> _Owner:
        asyncio = sys.modules.get("asyncio")
        try:
            task = asyncio.current_task() if asyncio else None  # asyncio not loaded: no task
        except RuntimeError:
            task = None
        return cls(weakref.ref(threading.current_thread()), None if task is None else weakref.ref(task))

    def deadlocks_with(self, other: _Owner, *, blocking: bool) -> bool:
        """Return whether waiting here would keep `other` from ever releasing its lock.

        A blocked thread keeps all of its tasks from going on. A waiting task keeps only itself from going on, and what its
        thread began outside of the event loop.
        """
        if self.thread() is not other.thread():
            return False
        return blocking or other.task is None or (self.task is not None and self.task() is other.task())


@dataclass(slots=True)
class _WaitQueue:
    """The owner of a session's lock, and who waits for it."""

    owner: _Owner
    waiting: deque[tuple[Future[Lease], _Owner]] = field(default_factory=deque)


class Lease:
    """The lock of one session, until `release`."""

    def __init__(self, locks: InProcessSessionLocks, session_id: str, queue: _WaitQueue) -> None:
        self._locks = locks
        self._session_id = session_id
        self._queue = queue
        self._held = True

    def __del__(self) -> None:
        """Release a lock that was granted to a task whose event loop has been closed meanwhile."""
        self.release()

    def release(self) -> None:
        """Let the next one have the session; a second call does nothing."""
        if self._held:
            self._held = False
            self._locks.release(self._session_id, self._queue)


class _State:
    """The locks of one process."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.queues: dict[str, _WaitQueue] = {}
        self.released: deque[tuple[str, _WaitQueue]] = deque()


class InProcessSessionLocks:
    """Locks of sessions, by the id of the session. A forked child begins without locks: those taken are its parent's."""

    def __init__(self) -> None:
        self._state = PerProcess(_State)

    def __reduce__(self) -> tuple[type[InProcessSessionLocks], tuple[()]]:
        """Begin without locks in another process."""
        return InProcessSessionLocks, ()

    @property
    def queues(self) -> dict[str, _WaitQueue]:
        """The owner and the waiting of each locked session."""
        return self._state.get().queues

    def acquire(self, session_id: str, timeout: float) -> Lease:
        """Wait for the lock of a session in a thread.

        Args:
            session_id: The session.
            timeout: Seconds to wait at most.

        Raises:
            SessionBusyError: The lock did not come in time, or would never come.
        """
        future = self.request(session_id, blocking=True)
        try:
            return future.result(timeout)
        except TimeoutError:
            self._cancel(future)
            raise _still_busy(session_id, timeout) from None
        except BaseException:  # Control-C
            self._cancel(future)
            raise

    async def aacquire(self, session_id: str, timeout: float) -> Lease:  # noqa: ASYNC109 - as `acquire`
        """Wait for the lock of a session in a task; see `acquire`."""
        import asyncio  # noqa: PLC0415 - a tenth of what loading requests takes, and synchronous programs do without

        future = self.request(session_id, blocking=False)
        try:
            async with asyncio.timeout(timeout):  # `wait_for` of 3.11 may swallow a cancellation
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self._cancel(future)
            raise _still_busy(session_id, timeout) from None
        except asyncio.CancelledError:
            self._cancel(future)
            raise

    def request(self, session_id: str, *, blocking: bool) -> Future[Lease]:
        """Ask for the lock of a session; the future is done when it has come.

        Args:
            session_id: The session.
            blocking: Whether the thread will wait for it, not a task.

        Raises:
            SessionBusyError: Waiting would never end: the lock is held here, or by a task of the loop that waiting would
                block.
        """
        try:
            return self._enqueue(session_id, blocking=blocking)
        finally:
            self._drain_released()

    def _enqueue(self, session_id: str, *, blocking: bool) -> Future[Lease]:
        current = _Owner.current()
        future: Future[Lease] = Future()
        state = self._state.get()
        with state.mutex:
            self._grant_released(state)  # of this thread too, whose last lock nobody may have passed on yet
            queue = state.queues.get(session_id)
            if queue is None:
                queue = state.queues[session_id] = _WaitQueue(current)
                future.set_result(Lease(self, session_id, queue))
            elif any(
                current.deadlocks_with(owner, blocking=blocking)
                for owner in (queue.owner, *(owner for _, owner in queue.waiting))
            ):
                raise SessionBusyError(
                    f"Session {session_id!r} has an unfinished turn begun by this same thread or task, which cannot wait for "
                    "itself. Read that stream to its end or close it first, await the turn, or use another session."
                )
            else:
                queue.waiting.append((future, current))
        return future

    def release(self, session_id: str, queue: _WaitQueue) -> None:
        """Grant the lock to the next that still waits.

        The garbage collector may call this for a dropped stream while this same thread is within `request`. So it never waits
        for the mutex: whoever holds the mutex grants the lock before returning.
        """
        self._state.get().released.append((session_id, queue))
        self._drain_released()

    def _drain_released(self) -> None:
        state = self._state.get()
        while state.released and state.mutex.acquire(blocking=False):
            try:
                self._grant_released(state)
            finally:
                state.mutex.release()

    def _grant_released(self, state: _State) -> None:
        while state.released:
            self._grant_to_next(state, *state.released.popleft())

    def _grant_to_next(self, state: _State, session_id: str, queue: _WaitQueue) -> None:
        if state.queues.get(session_id) is not queue:
            return  # a lock of the parent process, dropped in a child
        while queue.waiting:
            future, queue.owner = queue.waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(Lease(self, session_id, queue))
                return
        del state.queues[session_id]

    @staticmethod
    def _cancel(future: Future[Lease]) -> None:
        if not future.cancel() and not future.cancelled():
            future.result().release()  # it came after all


def _still_busy(session_id: str, timeout: float) -> SessionBusyError:
    return SessionBusyError(
        f"Session {session_id!r} was busy with another turn for {timeout:g} s. One turn at a time keeps its history whole; use "
        "another session for parallel questions."
    )
