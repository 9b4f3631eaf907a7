"""The public names of the package with their signatures: `python -m tests.docs.public_names` writes them down.

A change of this list is a change for users: CHANGELOG says what it is.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Final

MODULES: Final = (
    "ragflow_integrations",
    "ragflow_integrations.citations",
    "ragflow_integrations.langchain",
    "ragflow_integrations.llamaindex",
    "ragflow_integrations.emulator",
)
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
PAGE: Final = Path(__file__).parent / "public_names.txt"


def listing() -> str:
    """Return one line for each public name, and for each public method of our classes."""
    return "".join(f"{line}\n" for module in MODULES for line in _module(module))


def _module(name: str) -> list[str]:
    module = importlib.import_module(name)
    lines = [name]
    for public in sorted(module.__all__):
        value = getattr(module, public)
        if not inspect.isclass(value):
            lines.append(f"    {public}{_signature(value)}")
            continue
        # A framework's pydantic model has the fields of its bases in its signature, which differ with the framework's version.
        fields = getattr(value, "model_fields", None)
        is_ours = fields is None and not issubclass(value, dict)
        lines.append(f"    class {public}{_signature(value) if is_ours else ''}")
        lines += [f"        {field}" for field in sorted(vars(value).get("__annotations__", {})) if not field.startswith("_")]
        for member, defined in sorted(vars(value).items()):
            if not member.startswith("_") and (callable(defined) or isinstance(defined, property | classmethod | staticmethod)):
                lines.append(f"        {member}{_signature(getattr(value, member))}")
    return lines


def _signature(value: object) -> str:
    try:
        return _ADDRESS.sub("", str(inspect.signature(value))) if callable(value) else ""
    except ValueError:  # a type alias
        return ""


if __name__ == "__main__":
    PAGE.write_text(listing(), encoding="utf-8")
