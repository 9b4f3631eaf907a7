"""An emulator of one release for a class of standard tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ragflow_integrations.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


class Emulated:
    """Gives the tests of a class a server of their own."""

    version: ClassVar[str] = "0.27.0"
    server: ClassVar[Emulator]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _running(cls) -> Iterator[None]:
        with Emulator(version=cls.version) as cls.server:
            yield

    @classmethod
    def older(cls, *versions: str) -> dict[str, type[Emulated]]:
        """Make the same class of tests for other releases, by their names."""
        kind = cls.__name__.removesuffix(cls.version.replace(".", "")).removesuffix("027")
        return {
            name: type(name, (cls,), {"version": version, "__module__": cls.__module__})
            for version in versions
            for name in [kind + version.replace(".", "")]
        }

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.server.base_url, "api_key": self.server.api_key}
