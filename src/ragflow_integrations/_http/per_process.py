"""State that a forked child must not share with its parent: open connections, and locks that another thread may hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One value per process, made when it is first needed.

    A forked child makes a value of its own. The parent's value is kept and never touched there: to close an inherited
    connection, or to let the garbage collector do so, would take locks that threads of the parent may hold, and remove
    sockets from a selector that both processes share.

    Args:
        make: Makes the value of a process.
        value: The value of this process; made if it is None.

    Example:
        >>> numbers = PerProcess(list)
        >>> numbers.get() is numbers.get()
        True
    """

    def __init__(self, make: Callable[[], T], value: T | None = None) -> None:
        self._make = make
        self._values: dict[int, T] = {} if value is None else {os.getpid(): value}

    def get(self) -> T:
        """Return the value of this process."""
        process = os.getpid()
        value = self._values.get(process)
        # `setdefault` of a dict is atomic: of two threads that make a value at once, both get the same.
        return self._values.setdefault(process, self._make()) if value is None else value

    def pop(self) -> T | None:
        """Forget the value of this process and return it; None if there is none."""
        return self._values.pop(os.getpid(), None)
