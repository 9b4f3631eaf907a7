"""Deletes of objects by their ids, as each era treats ids that are missing or unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.responses import ok, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call
    from ragflow_integrations.emulator.store import Record


def ids_to_delete(call: Call, body: Mapping[str, Any], existing: Sequence[str], *, field: str = "ids") -> list[str]:
    """Return the ids of the objects to delete.

    Without ids, older servers delete everything, and newer ones nothing unless the body says ``delete_all``
    [10_chat_delete_empty_body].

    Args:
        call: The request.
        body: Its body.
        existing: The ids of all objects that can be deleted.
        field: The field of the body that holds the ids.
    """
    if ids := body.get(field):
        return list(ids)
    return list(existing) if call.era.empty_ids_delete_all or body.get("delete_all") else []


def delete_by_ids(
    call: Call, ids: Sequence[str], owned: Mapping[str, Record], *, kind: str, unknown_message: str
) -> Response | None:
    """Delete objects; an unknown id ends the delete there, or is reported at its end [10_session_delete_partial].

    Args:
        call: The request.
        ids: The ids, each once.
        owned: The objects that can be deleted, by id.
        kind: What the objects are, in the plural.
        unknown_message: The refusal of an unknown id, with a place for the ``id``.

    Returns:
        The reply, if only some of the objects were deleted; None if all were.

    Raises:
        Refused: If an unknown id ended the delete, or if no id is known.
    """
    era = call.era
    errors = [unknown_message.format(id=key) for key in ids if key not in owned]
    if errors and not era.partial_deletes:
        ids = ids[: next(index for index, key in enumerate(ids) if key not in owned)]
    deleted = [key for key in ids if key in owned]
    for key in deleted:
        call.store.delete(owned[key])
    if not errors:
        return None
    if not deleted or not era.partial_deletes:
        raise refuse(102, errors[0])
    message = f"Partially deleted {len(deleted)} {kind} with {len(errors)} errors" if era.new_chat_api else None
    return ok({"success_count": len(deleted), "errors": errors}, message)
