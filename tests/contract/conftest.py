"""Prints the contract, row by row: our engine and the naive one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows = [value for report in reports for name, value in report.user_properties if name == "contract"]
    if rows:
        terminalreporter.section("LlamaIndex contract: RAGFlowChatEngine | the core pattern")
        for row, promise, ours, naive in sorted(rows):
            terminalreporter.write_line(f"{row:4} {promise:78} {ours:6} {naive}")
