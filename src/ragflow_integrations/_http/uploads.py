"""Files to upload: from the disk or from memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ragflow_integrations._protocol.steps import Upload
from ragflow_integrations.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations.models import File


def read(files: Sequence[File]) -> list[Upload]:
    """Read files.

    Raises:
        InvalidArgumentError: There are none, or one cannot be read.
    """
    if isinstance(files, str | bytes | os.PathLike) or not files:
        raise InvalidArgumentError("files", "must be a non-empty list of paths or (file name, bytes) pairs")
    return [_read(index, file) for index, file in enumerate(files)]


def _read(index: int, file: File) -> Upload:
    name = f"files[{index}]"
    if isinstance(file, tuple):
        if len(file) != 2 or not isinstance(file[0], str) or not isinstance(file[1], bytes) or not file[0]:  # noqa: PLR2004 - a pair
            raise InvalidArgumentError(name, "must be a pair of a file name and bytes")
        return Upload(name=file[0], content=file[1])
    if not isinstance(file, str | os.PathLike):
        raise InvalidArgumentError(name, f"must be a path or a (file name, bytes) pair, not {type(file).__name__}")
    try:
        return Upload(name=Path(file).name, content=Path(file).read_bytes())
    except OSError as problem:
        raise InvalidArgumentError(name, f"cannot be read: {problem}") from None
