"""RAGFlow's protocol without I/O: bytes and JSON in, values out; no sockets, no clock, no framework.

Its modules are loaded when they are first used, most of them with the first question: who imports a client does not wait for
the models of all that a server may answer, nor for the JSON parser.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from ragflow_integrations._protocol import asking_again, completions, datasets, envelope, http, operations, retries
    from ragflow_integrations._protocol.answers import reader
    from ragflow_integrations._protocol.compat import server_version

__all__ = ["asking_again", "completions", "datasets", "envelope", "http", "operations", "reader", "retries", "server_version"]

_PACKAGES = {"reader": "answers.", "server_version": "compat."}


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{_PACKAGES.get(name, '')}{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
