"""A local server that speaks RAGFlow's API, for demonstrations and tests. It is not RAGFlow.

    with Emulator() as server:
        print(server.base_url, server.api_key, server.chat_id)

From a shell: ``python -m ragflow_integrations.emulator``.
"""

from ragflow_integrations.emulator.eras import SUPPORTED_VERSIONS
from ragflow_integrations.emulator.faults import FaultPlan
from ragflow_integrations.emulator.gate import RequestRecord
from ragflow_integrations.emulator.server import CORPUS, Emulator

__all__ = ["CORPUS", "SUPPORTED_VERSIONS", "Emulator", "FaultPlan", "RequestRecord"]
