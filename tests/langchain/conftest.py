"""A server and a model for the tests of the LangChain adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator import Emulator
from ragflow_integrations.langchain import ChatRAGFlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def where(server: Emulator) -> dict[str, Any]:
    return {"base_url": server.base_url, "api_key": server.api_key}


@pytest.fixture
async def model(server: Emulator, where: dict[str, Any]) -> AsyncIterator[ChatRAGFlow]:
    model = ChatRAGFlow(chat_id=server.chat_id, **where)
    yield model
    await model.aclose()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAGFLOW_API_KEY", raising=False)
    monkeypatch.delenv("RAGFLOW_BASE_URL", raising=False)
