"""Routes of datasets."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator import checks
from ragflow_integrations.emulator.calls import find
from ragflow_integrations.emulator.defaults import EMBEDDING_MODELS, TENANT, default_parser_config
from ragflow_integrations.emulator.ingestion import finish_parsing
from ragflow_integrations.emulator.responses import Refused, ok, refuse
from ragflow_integrations.emulator.serializers.datasets import dataset_object
from ragflow_integrations.emulator.store import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call

_METHODS: Final = (
    "naive",
    "book",
    "email",
    "laws",
    "manual",
    "one",
    "paper",
    "picture",
    "presentation",
    "qa",
    "table",
    "tag",
    "resume",
)
_NAME_LIMIT: Final = 128
_FIELDS: Final = frozenset(
    (
        *("name", "avatar", "description", "embedding_model", "permission", "chunk_method", "parser_config", "pagerank"),
        *("language", "parse_type", "pipeline_id", "auto_metadata_config", "ext"),
    )
)
_QUERY: Final = frozenset(("id", "ids", "name", "page", "page_size", "orderby", "desc", "include_parsing_status", "ext"))


# Datasets


def _refuse_dataset(call: Call, key: str, *, by_name: bool = False) -> Refused:
    if not by_name and call.era.dataset_id_checked and not _is_uuid(key, 1):
        return refuse(101, f"Field: <id> - Message: <Invalid UUID1 format> - Value: <{key}>")
    code, message = call.era.unknown_dataset_name if by_name else call.era.unknown_dataset_id
    return refuse(code, message.format(id=key, user=TENANT))


def _is_uuid(key: str, version: int | None = None) -> bool:
    try:
        return version in (None, uuid.UUID(key).version)
    except ValueError:
        return False


def _unknown_fields(call: Call, fields: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    unknown = [name for name in fields if name not in known] if call.era.dataset_fields_checked else []
    return [f"Field: <{name}> - Message: <Extra inputs are not permitted> - Value: <{fields[name]}>" for name in unknown]


def _field_errors(call: Call, body: dict[str, Any]) -> list[str]:
    errors = _unknown_fields(call, body, _FIELDS)
    name = body.get("name")
    if not isinstance(name, str):
        errors.append(f"Field: <name> - Message: <Field required> - Value: <{body}>")
    elif not name.strip():
        errors.append("Field: <name> - Message: <String should have at least 1 character> - Value: <>")
    elif len(name) > _NAME_LIMIT:
        errors.append(f"Field: <name> - Message: <String should have at most {_NAME_LIMIT} characters> - Value: <{name}>")
    method = body.get("chunk_method", "naive")
    if method not in _METHODS:
        allowed = ", ".join(f"'{known}'" for known in _METHODS[:-1]) + f" or '{_METHODS[-1]}'"
        errors.append(f"Field: <chunk_method> - Message: <Input should be {allowed}> - Value: <{method}>")
    return errors


async def create(call: Call) -> Response:
    """Answer ``POST /datasets``: a name that is taken gets a number."""
    body = await call.validated_body()
    if errors := _field_errors(call, body):
        raise refuse(101, "\n".join(errors))
    if body.get("embedding_model"):
        checks.embedding_model(call, body["embedding_model"])
    dataset = Dataset(
        name=checks.new_dataset_name(call, body["name"].strip()),
        description=body.get("description"),
        avatar=body.get("avatar"),
        chunk_method=body.get("chunk_method", "naive"),
        embedding_model=body.get("embedding_model") or EMBEDDING_MODELS[0],
        permission=body.get("permission", "me"),
        parser_config=default_parser_config() | (body.get("parser_config") or {}),
    )
    call.store.put(dataset)
    return ok(dataset_object(call.store, call.era, dataset))


async def list_datasets(call: Call) -> Response:
    """Answer ``GET /datasets``: an unknown id or name is an error, not an empty list."""
    finish_parsing(call.backend)
    if errors := _unknown_fields(call, call.request.query_params, _QUERY):
        raise refuse(101, "\n".join(errors))
    dataset_id, name = call.query("id"), call.query("name")
    datasets = find(call.store.all(Dataset), id=dataset_id, name=name)
    if not datasets and (dataset_id or name):
        raise _refuse_dataset(call, str(dataset_id or name), by_name=not dataset_id)
    page = [dataset_object(call.store, call.era, dataset, listed=True) for dataset in call.page(datasets)]
    return ok(page, None, **({"total_datasets": len(datasets)} if call.era.dataset_total else {}))


async def get(call: Call) -> Response:
    """Answer ``GET /datasets/{dataset_id}``."""
    dataset = call.store.get(Dataset, call.arg("dataset_id"))
    if dataset is None:
        raise _refuse_dataset(call, call.arg("dataset_id"))
    return ok(dataset_object(call.store, call.era, dataset, alone=True))


async def update(call: Call) -> Response:
    """Answer ``PUT /datasets/{dataset_id}``."""
    dataset = call.store.get(Dataset, call.arg("dataset_id"))
    if dataset is None:
        raise _refuse_dataset(call, call.arg("dataset_id"))
    body = await call.validated_body()
    if "name" in body:
        checks.changed_dataset_name(call, dataset, body["name"])
    if "embedding_model" in body:
        checks.changed_embedding_model(call, dataset, body["embedding_model"])
    for name in ("name", "description", "avatar", "permission", "embedding_model", "chunk_method"):
        if name in body:
            setattr(dataset, name, body[name])
    dataset.parser_config |= body.get("parser_config") or {}
    call.store.touch(dataset)
    return ok(dataset_object(call.store, call.era, dataset))


async def delete(call: Call) -> Response:
    """Answer ``DELETE /datasets``: null deletes all, an empty list none."""
    body = await call.validated_body()
    if "ids" not in body and not body.get("delete_all"):
        raise refuse(101, f"Field: <ids> - Message: <Field required> - Value: <{body}>")
    ids = body.get("ids")
    datasets = {dataset.id: dataset for dataset in call.store.all(Dataset)}
    unknown = [key for key in ids or [] if key not in datasets]
    if call.era.deleted_dataset_ids_checked:
        _check_deleted_ids(call, ids or [], unknown)
    deleted = [dataset for dataset in datasets.values() if ids is None or dataset.id in ids]
    for dataset in deleted:
        call.store.delete(dataset)
    if unknown:
        return _partly_deleted(len(deleted), unknown)
    return ok({"success_count": len(deleted)}) if call.era.new_chat_api else ok()


def _partly_deleted(count: int, unknown: list[str]) -> Response:
    """Return the reply to a delete of some unknown datasets; raise the refusal if all were unknown."""
    errors = [f"You don't own the dataset {key}" for key in unknown]
    if not count:
        raise refuse(102, "; ".join(errors))
    message = f"Partially deleted {count} datasets with {len(errors)} errors"
    return ok({"success_count": count, "errors": errors}, message)


def _check_deleted_ids(call: Call, ids: list[str], unknown: list[str]) -> None:
    """Refuse ids that are no UUIDs, and ids of no dataset."""
    only_uuid1 = call.era.dataset_id_checked
    if not all(_is_uuid(key, 1 if only_uuid1 else None) for key in ids):
        problem = "Invalid UUID1 format" if only_uuid1 else "Invalid UUID format"
        raise refuse(101, f"Field: <ids> - Message: <{problem}> - Value: <{ids}>")
    if unknown:
        code = call.era.unknown_dataset_name[0]
        raise refuse(code, f"User '{TENANT}' lacks permission for datasets: '{', '.join(unknown)}'")


def owned_dataset(call: Call, message: str = "You don't own the dataset {id}.") -> Dataset:
    """Return the dataset that the path names; raise the refusal if there is none."""
    dataset = call.store.get(Dataset, call.arg("dataset_id"))
    if dataset is None:
        raise refuse(102, message.format(id=call.arg("dataset_id")))
    return dataset
