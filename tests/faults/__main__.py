"""`python -m tests.faults` plays every fault to every call and prints what came of it; `--write` makes the page of the docs."""

from __future__ import annotations

import sys

from tests.faults import page, printed

if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        page.write()
    else:
        printed.show()
