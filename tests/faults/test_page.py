from __future__ import annotations

from tests.faults.page import BEGIN, END, PAGE, table


def test_the_page_is_what_the_matrix_expects() -> None:
    written = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert written == table(), "run `python -m tests.faults --write`"
