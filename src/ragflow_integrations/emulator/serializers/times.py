"""Times of objects, in the format of each era."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Record


def date(era: Era, milliseconds: int) -> str:
    """Return a time as the era writes it."""
    if era.iso_dates:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(milliseconds / 1000))
    return formatdate(milliseconds / 1000, usegmt=True)


def times(era: Era, record: Record) -> dict[str, Any]:
    """Return the times at which an object was made and last changed."""
    return {
        "create_date": date(era, record.created),
        "create_time": record.created,
        "update_date": date(era, record.updated),
        "update_time": record.updated,
    }
