"""Checks that nothing is left behind: threads and network sockets of this process.

Both work as `with` and as `async with`; code on an event loop needs the latter, for transports are closed by the loop,
which must run while the check waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from types import TracebackType

_STEP = 0.005


def wait_until(condition: Callable[[], object], timeout: float = 5.0) -> bool:
    """Whether the condition came true within the time; returns as soon as it does."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True


@dataclass
class NothingLeft:
    """Compares what there is at the end with what there was at the start; waits a little for it to go away."""

    what: str
    present: Callable[[], Mapping[Hashable, str]]
    timeout: float
    _before: frozenset[Hashable] = field(default=frozenset(), init=False)

    def left(self) -> list[str]:
        return [text for key, text in self.present().items() if key not in self._before]

    def __enter__(self) -> Self:
        self._before = frozenset(self.present())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:  # a failing test has its own message
            wait_until(lambda: not self.left(), self.timeout)
            self._check()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            deadline = time.monotonic() + self.timeout
            while self.left() and time.monotonic() < deadline:  # noqa: ASYNC110 - the kernel sends no event for this
                await asyncio.sleep(_STEP)
            self._check()

    def _check(self) -> None:
        left = self.left()
        assert not left, f"{self.what} left: {', '.join(left)}"


def no_new_threads(timeout: float = 2.0) -> NothingLeft:
    return NothingLeft("threads", _threads, timeout)


def no_open_sockets(timeout: float = 2.0) -> NothingLeft:
    """TCP and UDP sockets; an event loop's own wake-up pair (AF_UNIX) lives as long as the loop and is not counted."""
    return NothingLeft("sockets", _sockets, timeout)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """A whole test that must leave neither threads nor sockets; import it into a conftest to use it."""
    with no_new_threads(), no_open_sockets():
        yield


def _threads() -> dict[Hashable, str]:
    return {thread: thread.name for thread in threading.enumerate()}


def _sockets() -> dict[Hashable, str]:
    found: dict[Hashable, str] = {}
    for entry in Path("/proc/self/fd").iterdir():
        # Descriptors come and go while the folder is read.
        with contextlib.suppress(OSError):
            inode = str(entry.readlink())
            if not inode.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as copy:
                if copy.family in (socket.AF_INET, socket.AF_INET6):
                    found[inode] = f"{copy.getsockname()} -> {_peer(copy)}"
    return found


def _peer(sock: socket.socket) -> object:
    try:
        return sock.getpeername()
    except OSError:
        return "nobody"
