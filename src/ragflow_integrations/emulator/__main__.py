"""Runs the emulator from a shell."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ragflow_integrations.emulator.eras import SUPPORTED_VERSIONS
from ragflow_integrations.emulator.server import DEFAULT_KEY, Emulator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ragflow_integrations.emulator",
        description="Serve documents the way RAGFlow does, on this machine. This is an emulator and not RAGFlow.",
    )
    parser.add_argument("--docs", type=Path, help="folder of .md, .txt and .html files (default: the bundled ones)")
    parser.add_argument("--port", type=int, default=9380, help="port on 127.0.0.1; 0 for a free one (default: 9380)")
    versions = ", ".join(SUPPORTED_VERSIONS)
    parser.add_argument("--version", default="0.27.0", help=f"release to behave like: {versions} (default: 0.27.0)")
    parser.add_argument("--api-key", default=DEFAULT_KEY, help=f"key that clients must send (default: {DEFAULT_KEY})")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between the events of a stream (default: 0)")
    parser.add_argument("--data", type=Path, help="SQLite file that keeps everything (default: nothing is kept)")
    parser.add_argument("--llm-base-url", help="OpenAI-compatible API whose model writes the answers")
    parser.add_argument("--llm-api-key", help="key of that API")
    parser.add_argument("--llm-model", default="default", help="model to ask it for")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    Args:
        arguments: Command line arguments; None for those of the process.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        server = Emulator(
            options.docs,
            options.version,
            options.api_key,
            options.port,
            delay=options.delay,
            data=options.data,
            llm_base_url=options.llm_base_url,
            llm_api_key=options.llm_api_key,
            llm_model=options.llm_model,
        )
        server.start()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    done = threading.Event()

    def finish(_signal: int, _frame: FrameType | None) -> None:
        done.set()

    before = {number: signal.signal(number, finish) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.stdout.write(
        f"An emulator of RAGFlow {server.version}. It is not RAGFlow: it quotes documents and generates nothing.\n"
        f"  base URL    {server.base_url}\n"
        f"  API key     {server.api_key}\n"
        f"  chat id     {server.chat_id}\n"
        f"  dataset id  {server.dataset_id}\n"
        f"  agent id    {server.agent_id}\n"
        "Only this machine can reach it. Press Ctrl-C to stop.\n"
    )
    sys.stdout.flush()
    done.wait()
    server.stop()
    for number, handler in before.items():
        signal.signal(number, handler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
