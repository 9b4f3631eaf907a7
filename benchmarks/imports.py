"""What importing costs: CPU time and memory of a fresh process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field

from benchmarks.processes import ContenderMissingError, evaluate

_PROGRAM = """
import json, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
memory, begin = resident(), time.process_time()
{statement}
print(json.dumps([time.process_time() - begin, resident() - memory]))
"""

#: What is imported, by name. Our halves come behind what they are compared with, which they import first, in the same place:
#: CPython 3.11 is slower where the stack of calls ends at a boundary of its memory, so that LangChain takes 430 or 530 ms
#: depending on nothing but how many frames deep its import stands.
IMPORTS = {
    "requests": "import requests",
    "**core**": "import ragflow_integrations",
    "**core**, and a client made": "import ragflow_integrations; ragflow_integrations.RAGFlowClient('http://h', 'key')",
    "**core, async**": "import ragflow_integrations.async_client",
    "ragflow-sdk": "import ragflow_sdk",
    "ragflow-async-sdk": "import ragflow_async_sdk",
    "langchain_core chat model": "import langchain_core.language_models.chat_models",
    "**LangChain half**": (
        "import langchain_core.language_models.chat_models\nfrom ragflow_integrations.langchain import ChatRAGFlow"
    ),
    "langchain-openai": "import langchain_openai",
    "llama_index.core": "import llama_index.core",
    "**LlamaIndex half**": "import llama_index.core\nfrom ragflow_integrations.llamaindex import RAGFlowChatEngine",
    "llama-index-llms-openai-like": "import llama_index.llms.openai_like",
}


@dataclass
class Imports:
    """Seconds and bytes of each import, by round."""

    costs: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def seconds(self, name: str) -> float:
        """Give the median of the CPU time."""
        return statistics.median(cost[0] for cost in self.costs[name])

    def memory(self, name: str) -> float:
        """Give the median of the memory."""
        return statistics.median(cost[1] for cost in self.costs[name])

    def ratio(self, name: str, to: str) -> float:
        """Give the median of the rounds' ratios."""
        return statistics.median(mine[0] / other[0] for mine, other in zip(self.costs[name], self.costs[to], strict=True))


def run(rounds: int) -> Imports:
    """Import everything in turn, each time in a fresh process; the first round, which fills caches, is not counted."""
    imports = Imports()
    with tempfile.TemporaryDirectory() as cache:
        # Compiled files for all alike, also for what is installed from sources that must not be written to.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for at in range(rounds + 1):
            sys.stderr.write(f"Imports: round {at} of {rounds}\n")
            for name, statement in IMPORTS.items():
                try:
                    seconds, memory = evaluate(_PROGRAM.format(statement=statement), environment)
                except ContenderMissingError:
                    continue
                if at:
                    imports.costs.setdefault(name, []).append((seconds, memory))
    return imports
