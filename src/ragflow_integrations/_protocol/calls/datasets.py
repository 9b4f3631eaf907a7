"""Calls on datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations._protocol import fields, models_from_json, validation
from ragflow_integrations._protocol.calls.paging import (
    Deletable,
    PageFetcher,
    check_filters,
    collect,
    confirm,
    delete,
    empty_on,
    listing,
    not_found_message,
    omit_none,
    only,
    require_found,
)
from ragflow_integrations._protocol.steps import Operation, Request, Subject, path
from ragflow_integrations.errors import (
    DatasetNotFoundError,
    InvalidArgumentError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations.models import Dataset, JsonValue


def list_datasets(*, name: str | None = None, dataset_id: str | None = None) -> PageFetcher[Dataset]:
    """List datasets, the newest first."""
    check_filters(name=name, dataset_id=dataset_id)
    pages = listing("/datasets", models_from_json.dataset, ("datasets",), {"name": name, "id": dataset_id})
    asked_for = only(pages, lambda dataset: dataset_id in (None, dataset.id) and name in (None, dataset.name))
    return empty_on(DatasetNotFoundError, asked_for)


def find_dataset(name: str) -> Operation[Dataset]:
    """Get a dataset by its exact name."""
    validation.text("name", name)
    datasets = yield from collect(list_datasets(name=name))
    one = next((dataset for dataset in datasets if dataset.name == name), None)
    return require_found(one, DatasetNotFoundError, not_found_message("dataset", name, "the name", "client.datasets.list()"))


def get_dataset(dataset_id: str) -> Operation[Dataset]:
    """Get a dataset."""
    validation.text("dataset_id", dataset_id)
    one = next(iter((yield from collect(list_datasets(dataset_id=dataset_id)))), None)
    return require_found(
        one, DatasetNotFoundError, not_found_message("dataset", dataset_id, "dataset_id", "client.datasets.list()")
    )


def _dataset_settings(**settings: str | None) -> dict[str, str]:
    check_filters(**settings)
    return dict(omit_none(settings))


def create_dataset(
    name: str, *, description: str | None = None, embedding_model: str | None = None, chunk_method: str | None = None
) -> Operation[Dataset]:
    """Create a dataset."""
    validation.text("name", name)
    settings = _dataset_settings(name=name, embedding_model=embedding_model, chunk_method=chunk_method)
    body: dict[str, JsonValue] = {**settings, **validation.described(description)}
    reply = yield Request("POST", "/datasets", json=body, subject=Subject("dataset", name, DatasetNotFoundError))
    return models_from_json.dataset(fields.mapping(reply, "data"))


def update_dataset(
    dataset_id: str, *, name: str | None = None, description: str | None = None, embedding_model: str | None = None
) -> Operation[Dataset]:
    """Change a dataset; what is not named stays."""
    settings = _dataset_settings(name=name, embedding_model=embedding_model)
    body: dict[str, JsonValue] = {**settings, **validation.described(description)}
    if not body:
        raise InvalidArgumentError("name", "or another setting to change must be given")
    url_path = path("datasets", validation.text("dataset_id", dataset_id))
    yield Request("PUT", url_path, json=body, subject=dataset_subject(dataset_id))
    changed = yield from get_dataset(dataset_id)
    model = (embedding_model, changed.embedding_model)
    confirm("dataset", name=(name, changed.name), description=(description, changed.description), embedding_model=model)
    return changed


def delete_datasets(dataset_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete datasets with their documents."""
    datasets = Deletable("/datasets", "dataset", DatasetNotFoundError, "dataset_ids", list_datasets())
    return delete(datasets, dataset_ids, delete_all=delete_all)


def dataset_subject(dataset_id: str) -> Subject:
    return Subject("dataset", dataset_id, DatasetNotFoundError)
