"""The releases that the suite runs on."""

from __future__ import annotations

from typing import Final

from ragflow_integrations.emulator import SUPPORTED_VERSIONS

#: Every release the emulator speaks as, the oldest first; 0.26.0 differs from 0.26.4 in nothing that the matrices look at.
RELEASES: Final = tuple(version for version in SUPPORTED_VERSIONS if version != "0.26.0")
NEWEST: Final = RELEASES[-1]
#: Releases of every run; `make test-all` runs the matrices on all.
SHOWN: Final = (RELEASES[0], "0.24.0", NEWEST)


def parts(version: str) -> tuple[int, ...]:
    """Return a release's numbers, which compare as releases do."""
    return tuple(int(part) for part in version.split("."))
