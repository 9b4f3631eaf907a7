from __future__ import annotations

import re
from pathlib import Path

from tests.docs.differences import DIFFERENCES
from tests.docs.servers_table import (
    BEGIN,
    DIFFERENCES_BEGIN,
    DIFFERENCES_END,
    END,
    PAGE,
    PAIRS_BEGIN,
    PAIRS_END,
    differences_table,
    pairs_table,
    table,
)


def test_the_table_is_what_the_code_decides() -> None:
    written = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert written == table(), "run `python -m tests.docs.servers_table`"


def test_the_pairs_are_what_the_code_decides() -> None:
    """What each row says is tried by `tests/filters/test_option_pairs.py`."""
    written = PAGE.read_text(encoding="utf-8").split(PAIRS_BEGIN)[1].split(PAIRS_END)[0]
    assert written == pairs_table(), "run `python -m tests.docs.servers_table`"


def test_the_differences_are_those_that_tests_show() -> None:
    written = PAGE.read_text(encoding="utf-8").split(DIFFERENCES_BEGIN)[1].split(DIFFERENCES_END)[0]
    assert written == differences_table(), "run `python -m tests.docs.servers_table`"
    modules = Path(__file__).parent.parent.rglob("test_*.py")
    tests = {name for module in modules for name in re.findall(r"^(?:async )?def (test_\w+)", module.read_text(), re.MULTILINE)}
    assert {difference.test for difference in DIFFERENCES} <= tests
