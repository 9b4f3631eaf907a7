"""What both transports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


#: Seconds a stream may take to end behind its terminator before its connection is given up.
DRAIN_SECONDS = 1.0


class OnClose:
    """A function to call once when a stream closes: it releases the lock of the session.

    It is set after the stream has been opened for good, so that an attempt that is repeated does not release the lock.
    """

    def __init__(self) -> None:
        self._function: Callable[[], None] | None = None
        self._called = False

    def set(self, function: Callable[[], None] | None) -> None:
        """Set the function; it is called at once if the stream has closed already."""
        self._function = function
        if self._called:
            self._run()

    def call(self) -> None:
        """Call the function, now or when it is set; a second call does nothing."""
        self._called = True
        self._run()

    def _run(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
