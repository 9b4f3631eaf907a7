"""What a forked child must not share with its parent: open connections, and locks that another thread may have held."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that begins anew in a child process."""

    def after_fork(self) -> None:
        """Begin anew; nothing of the parent's is closed."""
        ...


#: Connections of the parent. Who drops one closes it, which waits for locks of threads that a child does not have, and takes
#: sockets from a selector that it shares with the parent.
of_parent: list[object] = []
_known: weakref.WeakSet[Forked] = weakref.WeakSet()


def begin_anew(one: Forked) -> None:
    """Have `after_fork` called in each child that is forked while this lives."""
    _known.add(one)


class Lock:
    """A lock that is free in a forked child, whoever held it in the parent."""

    def __init__(self) -> None:
        self.after_fork()
        begin_anew(self)

    def after_fork(self) -> None:
        """Begin anew."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _in_child() -> None:
    for one in tuple(_known):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
