"""LangChain's standard tests of tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from ragflow_integrations.langchain import RAGFlowToolkit
from tests.standard.support import Emulated
from tests.support.releases import RELEASES

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


def tools(**where: Any) -> tuple[BaseTool, BaseTool]:
    ask, search = RAGFlowToolkit(**where).get_tools()
    return ask, search


class TestAsk(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return tools(api_key="ragflow-key", chat_id="chat", dataset_ids=["dataset"])[0]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"question": "How long does a full charge take?"}


class TestSearch(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return tools(api_key="ragflow-key", chat_id="chat", dataset_ids=["dataset"])[1]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "full charge"}


class TestAskOn027(Emulated, ToolsIntegrationTests):
    @property
    def tool_constructor(self) -> BaseTool:
        server = self.server
        return tools(**self.connection(), chat_id=server.chat_id, dataset_ids=[server.dataset_id])[0]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"question": "How long does a full charge take?"}


class TestSearchOn027(Emulated, ToolsIntegrationTests):
    @property
    def tool_constructor(self) -> BaseTool:
        server = self.server
        return tools(**self.connection(), chat_id=server.chat_id, dataset_ids=[server.dataset_id])[1]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "full charge"}


for _kind in (TestAskOn027, TestSearchOn027):
    globals().update(_kind.older(*RELEASES[:-1]))
