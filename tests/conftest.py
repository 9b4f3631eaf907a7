"""Which tests run every time, and which only in `make test-all`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.releases import NEWEST, RELEASES, SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

_RECORDED: Final = re.compile(r"\bv(\d+\.\d+\.\d+)\b")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the releases of a matrix that show nothing new.

    A test that runs on the oldest release, 0.24.0 or the newest is marked `matrix` on all others. A test that runs on others
    only, such as that of a fault of one release, is not marked. Recordings are marked by the release that was recorded.
    """
    shown: set[str] = set()
    others: list[tuple[str, pytest.Item]] = []
    for item in items:
        recorded = _RECORDED.search(item.nodeid)
        version = _release(item)
        if recorded is not None:
            if recorded[1] not in SHOWN:
                item.add_marker(pytest.mark.matrix)
        elif version is None:
            # Classes of langchain-tests are derived from that of the newest release.
            if getattr(getattr(item, "cls", None), "version", NEWEST) not in SHOWN:
                item.add_marker(pytest.mark.matrix)
        elif version in SHOWN:
            shown.add(item.nodeid.replace(version, "*"))
        else:
            others.append((item.nodeid.replace(version, "*"), item))
    for test, item in others:
        if test in shown:
            item.add_marker(pytest.mark.matrix)


def _release(item: pytest.Item) -> str | None:
    """Return the release that a test's parameters name."""
    callspec = getattr(item, "callspec", None)
    values: Iterable[object] = callspec.params.values() if callspec is not None else ()
    for value in values:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, str) and part in RELEASES:
                return part
    return None
