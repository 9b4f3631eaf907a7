from __future__ import annotations

from tests.docs.servers_table import BEGIN, END, PAGE, table


def test_the_table_is_what_the_code_decides() -> None:
    written = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert written == table(), "run `python -m tests.docs.servers_table`"
