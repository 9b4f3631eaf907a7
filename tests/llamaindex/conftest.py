"""A running emulator, and the certainty that no LLM of `Settings` is touched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from llama_index.core.settings import _Settings

from ragflow_integrations.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def event_loop_of_the_thread() -> Iterator[None]:
    """LlamaIndex counts tokens in the thread's event loop (`async_utils.asyncio_run`), and leaves open the one it makes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(autouse=True)
def no_llm_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: _Settings) -> None:
        raise AssertionError("Settings.llm was asked for")

    monkeypatch.setattr(_Settings, "llm", property(refuse))
    monkeypatch.setattr(_Settings, "embed_model", property(refuse))
