"""LangChain's standard tests of retrievers."""

from __future__ import annotations

from typing import Any

from langchain_tests.integration_tests import RetrieversIntegrationTests

from ragflow_integrations.langchain import RAGFlowRetriever
from tests.standard.support import Emulated
from tests.support.releases import RELEASES


class TestOn027(Emulated, RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[RAGFlowRetriever]:
        return RAGFlowRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {**self.connection(), "dataset_ids": [self.server.dataset_id]}

    @property
    def retriever_query_example(self) -> str:
        return "How far does the battery of a bike go?"


globals().update(TestOn027.older(*RELEASES[:-1]))
