"""What makes a function a row of the contract: it must hold for our classes, and fail for the naive ones."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.llamaindex import RAGFlowChatEngine, RAGFlowRetriever
from tests.contract.naive import NaiveChatEngine, NaiveRetriever
from tests.contract.world import CHAT, KEY, Ragflow
from tests.support.leaks import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Longer than any answer of the scripts; who is not done by then hangs.
PATIENCE = 4.0


@dataclass(frozen=True)
class Subject:
    """The classes under test. They are `Any`: the naive ones do not keep to their base classes' types."""

    name: str
    engine_class: Any
    retriever_class: Any

    def engine(self, server: Ragflow, **settings: Any) -> Any:
        return self.engine_class(base_url=server.base_url, api_key=KEY, chat_id=CHAT, **settings)

    def retriever(self, server: Ragflow) -> Any:
        return self.retriever_class(base_url=server.base_url, api_key=KEY, dataset_ids=["dataset"])


OURS = Subject("ours", RAGFlowChatEngine, RAGFlowRetriever)
NAIVE = Subject("naive", NaiveChatEngine, NaiveRetriever)


def contract(row: str, promise: str) -> Callable[[Callable[[Subject], Any]], Callable[..., None]]:
    """Make a check a test of both.

    Args:
        row: The trap, or the row of the list.
        promise: What holds.
    """

    def wrap(check: Callable[[Subject], Any]) -> Callable[..., None]:
        def test(record_property: Callable[[str, object], None]) -> None:
            ours = naive = "fails"
            try:
                _run(check, OURS)
                ours = "holds"
                naive = _naive_outcome(check)
            finally:
                record_property("contract", [row, promise, ours, naive])
            assert naive != "holds", "the naive engine keeps this promise too: the check shows nothing"

        return test

    return wrap


def _run(check: Callable[[Subject], Any], subject: Subject) -> None:
    if inspect.iscoroutinefunction(check):
        asyncio.run(check(subject))
    else:
        check(subject)


def _naive_outcome(check: Callable[[Subject], Any]) -> str:
    try:
        with _unheard():
            _run(check, NAIVE)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - any way to fail is one
        return f"fails ({type(error).__name__})"
    return "holds"


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Keep what the naive engine leaves behind from failing other tests: warnings, dead threads, lost tasks."""
    before = set(threading.enumerate())
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                wait_until(lambda: set(threading.enumerate()) <= before, 2.0)
                gc.collect()
    finally:
        logging.disable(logging.NOTSET)
        threading.excepthook, sys.unraisablehook = hooks


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """Do something in another thread that must end in time."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - handed on below
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"not done within {seconds} s"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
