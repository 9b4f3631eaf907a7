"""What runs in other processes: functions that can be imported there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.core.scripts import QUESTION

if TYPE_CHECKING:
    from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient
    from ragflow_integrations.langchain import ChatRAGFlow
    from ragflow_integrations.llamaindex import RAGFlowChatEngine


def ask(client: RAGFlowClient) -> str:
    with client, client.stream(**QUESTION) as stream:
        for _ in stream:
            pass
        return stream.answer.text


def ask_async(client: AsyncRAGFlowClient) -> str:
    async def main() -> str:
        async with client:
            return (await client.ask(**QUESTION)).text

    return asyncio.run(main())


def invoke(model: ChatRAGFlow) -> str:
    return str(model.invoke("Why?").content)


def chat(engine: RAGFlowChatEngine) -> str:
    return str(engine.chat("Why?"))
