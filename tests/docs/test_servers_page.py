from __future__ import annotations

from tests.docs.servers_table import BEGIN, END, PAGE, PAIRS_BEGIN, PAIRS_END, pairs_table, table


def test_the_table_is_what_the_code_decides() -> None:
    written = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert written == table(), "run `python -m tests.docs.servers_table`"


def test_the_pairs_are_what_the_code_decides() -> None:
    """What each row says is tried by `tests/filters/test_option_pairs.py`."""
    written = PAGE.read_text(encoding="utf-8").split(PAIRS_BEGIN)[1].split(PAIRS_END)[0]
    assert written == pairs_table(), "run `python -m tests.docs.servers_table`"
