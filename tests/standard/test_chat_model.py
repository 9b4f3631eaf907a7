"""LangChain's standard tests of chat models."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from ragflow_integrations.langchain import ChatRAGFlow
from tests.standard.support import Emulated

# One test is skipped, since it needs recorded traffic, and its fixture says that it was not used.
pytestmark = pytest.mark.filterwarnings("ignore::pytest_benchmark.logger.PytestBenchmarkWarning")


class TestUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatRAGFlow]:
        return ChatRAGFlow

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"chat_id": "chat", "api_key": "ragflow-key"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return (
            {"RAGFLOW_BASE_URL": "http://ragflow.test", "RAGFLOW_API_KEY": "ragflow-key"},
            {"chat_id": "chat"},
            {"base_url": "http://ragflow.test", "api_key": "ragflow-key"},
        )


class TestOn027(Emulated, ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[ChatRAGFlow]:
        return ChatRAGFlow

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**self.connection(), "chat_id": self.server.chat_id, "system_message": "prepend"}

    @property
    def returns_usage_metadata(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str | None:
        return "emulated-chat@Emulator"


class TestOn0256(TestOn027):
    version = "0.25.6"

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # Servers before 0.26 take neither from a request without a session.
        return {**super().chat_model_params, "temperature": None, "max_tokens": None}


class TestOn0240(TestOn0256):
    version = "0.24.0"

    @property
    def supports_model_override(self) -> bool:
        return False  # RAGFlow does from 0.25.1 on


globals().update(TestOn027.older("0.26.4"))
globals().update(TestOn0256.older("0.25.3"))
globals().update(TestOn0240.older("0.23.1", "0.22.1", "0.20.5", "0.19.1", "0.17.2"))
