"""Waiting for documents to be parsed: when to ask again, what to show, when to give up."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ragflow_integrations._protocol import validation
from ragflow_integrations._protocol.calls import documents
from ragflow_integrations._protocol.steps import Operation, Sleep
from ragflow_integrations.errors import DocumentParsingError, InvalidArgumentError, RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from ragflow_integrations.models import Document, ParsingProgress

#: Seconds between requests: short for small files, longer while big ones take minutes.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0


def wait(
    dataset_id: str,
    document_ids: Sequence[str],
    *,
    progress: Callable[[ParsingProgress], None] | bool,
    timeout: float | None,
) -> Operation[list[Document]]:
    """Wait until documents are parsed; see `documents.wait` of a client."""
    with _Waiting(document_ids, progress, timeout) as waiting:
        while True:
            state = yield from documents.parsing_states(dataset_id, waiting.document_ids)
            pause = waiting.check(state)
            if pause is None:
                return list(state.documents)
            yield Sleep(pause)


class _Waiting:
    """The progress of one wait.

    Args:
        document_ids: Documents to wait for.
        progress: Called with each state; True shows a bar.
        timeout: Seconds at most.
    """

    def __init__(
        self, document_ids: Sequence[str], progress: Callable[[ParsingProgress], None] | bool, timeout: float | None
    ) -> None:
        self.document_ids = validation.ids("document_ids", document_ids)
        if not isinstance(progress, bool) and not callable(progress):
            raise InvalidArgumentError("progress", f"must be True, False or a function, not {type(progress).__name__}")
        if timeout is not None and validation.number("timeout", timeout) < 0:
            raise InvalidArgumentError("timeout", f"must be seconds from 0, or None for no limit, not {timeout!r}")
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = _FIRST_PAUSE
        self._bar: AbstractContextManager[Any] = nullcontext()
        self._show: Callable[[ParsingProgress], None] | None = None
        if progress is True:
            self._bar, self._show = _progress_bar()
        elif callable(progress):
            self._show = progress

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._bar.__exit__(kind, error, traceback)

    def check(self, state: ParsingProgress) -> float | None:
        """Show a state; return the seconds until the server is asked again, None if all is parsed.

        Raises:
            DocumentParsingError: A document failed or was stopped.
            RequestTimeoutError: Time is up.
        """
        if self._show is not None:
            self._show(state)
        failed = [item for item in state.documents if item.status in ("FAIL", "CANCEL")]
        if failed:
            first = failed[0]
            raise DocumentParsingError(
                f"{len(failed)} of {len(state.documents)} documents were not parsed; {first.name!r} ended as {first.status}: "
                f"{first.progress_message.strip() or 'no log'}. Mend the file or the dataset's settings, then parse it again."
            )
        idle = [item.name for item in state.documents if item.status == "UNSTART"]
        if idle:
            raise DocumentParsingError(
                f"{len(idle)} of {len(state.documents)} documents are not being parsed, {idle[0]!r} for one: start them with "
                "`documents.parse` first."
            )
        if state.done == len(state.documents):
            return None
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise RequestTimeoutError(
                f"After {self._timeout:g} s {state.done} of {len(state.documents)} documents are parsed. The server goes on; "
                "wait again with a longer `timeout`."
            )
        pause, self._pause = self._pause, min(self._pause * 1.5, _LONGEST_PAUSE)
        return pause if self._deadline is None else max(0.0, min(pause, self._deadline - time.monotonic()))


def _progress_bar() -> tuple[AbstractContextManager[Any], Callable[[ParsingProgress], None]]:
    try:
        from rich.progress import Progress  # noqa: PLC0415 - in an extra
    except ImportError:
        raise InvalidArgumentError(
            "progress", "shows a bar with rich: install ragflow-integrations[cli], or give a function to call"
        ) from None
    bar = Progress()
    task = bar.add_task("Parsing", total=1.0)
    return bar, lambda state: bar.update(task, completed=state.fraction)
