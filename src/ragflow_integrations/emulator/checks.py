"""Refusals of what a request sets: models, names and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator import files
from ragflow_integrations.emulator.defaults import EMBEDDING_MODELS, RERANK_MODEL
from ragflow_integrations.emulator.eras import TakenName
from ragflow_integrations.emulator.responses import refuse
from ragflow_integrations.emulator.store import Dataset, Document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ragflow_integrations.emulator.calls import Call

_FILE_NAME_BYTES: Final = 255


def embedding_model(call: Call, name: str) -> None:
    """Refuse an embedding model that is not configured."""
    if call.era.embedding_models_have_providers and "@" not in name:
        problem = "Embedding model identifier must follow <model_name>@<provider> format"
        raise refuse(101, f"Field: <embedding_model> - Message: <{problem}> - Value: <{name}>")
    if name not in EMBEDDING_MODELS:
        code, message = call.era.unknown_embedding_model
        model, _, provider = name.partition("@")
        raise refuse(code, message.format(name=name, model=model, provider=provider))


def changed_embedding_model(call: Call, dataset: Dataset, name: str) -> None:
    """Refuse another embedding model for a dataset that holds chunks."""
    chunks = sum(document.chunk_count for document in call.store.all(Document, parent=dataset.id))
    if name != dataset.embedding_model and chunks:
        message = call.era.embedding_model_fixed
        raise refuse(102, message.format(chunks=chunks, model=dataset.embedding_model))
    embedding_model(call, name)


def same_embedding_models(call: Call, datasets: Iterable[Dataset]) -> None:
    """Refuse datasets of different embedding models in one chat assistant."""
    models = [dataset.embedding_model for dataset in datasets]
    if len({name.partition("@")[0] for name in models}) > 1:
        if call.era.new_chat_api:
            raise refuse(102, f"Datasets use different embedding models: {models}")
        raise refuse(109, 'Datasets use different embedding models."')


def rerank_model(call: Call, name: str) -> None:
    """Refuse a rerank model of a chat assistant that is not configured."""
    if name.partition("@")[0] != RERANK_MODEL:
        field = "rerank_id" if call.era.new_chat_api else "rerank_model"
        raise refuse(102, f"`{field}` {name} doesn't exist")


def new_dataset_name(call: Call, name: str) -> str:
    """Return the name that a new dataset gets, or refuse one that is taken."""
    taken = {dataset.name for dataset in call.store.all(Dataset)}
    if name not in taken:
        return name
    match call.era.taken_dataset_name:
        case TakenName.DUPLICATED:
            raise refuse(102, "Duplicated dataset name in creating dataset.")
        case TakenName.EXISTS:
            raise refuse(103, f"Dataset name '{name}' already exists")
        case _:
            candidates = (f"{name}({number})" for number in range(1, len(taken) + 1))
            return next(candidate for candidate in candidates if candidate not in taken)


def changed_dataset_name(call: Call, dataset: Dataset, name: str) -> None:
    """Refuse the name of another dataset."""
    if any(other.name == name for other in call.store.all(Dataset) if other.id != dataset.id):
        old = call.era.taken_dataset_name is TakenName.DUPLICATED
        raise refuse(102, "Duplicated dataset name in updating dataset." if old else f"Dataset name '{name}' already exists")


def changed_document_name(call: Call, document: Document, name: str) -> None:
    """Refuse a name with another extension, one that is too long, and that of another document."""
    if call.era.long_names_refuse_uploads and len(name.encode()) > _FILE_NAME_BYTES:
        raise refuse(101, f"File name must be {_FILE_NAME_BYTES} bytes or less.")
    if files.extension(name) != files.extension(document.name):
        raise refuse(101, "The extension of file can't be changed")
    others = call.store.all(Document, parent=document.dataset_id)
    if any(other.name == name and other.id != document.id for other in others):
        raise refuse(102, "Duplicated document name in the same dataset.")


def metadata(call: Call, value: Any) -> None:
    """Refuse metadata that is no object, and from 0.25 on values that are neither text nor numbers nor lists of these."""
    if not call.era.metadata_values_checked:
        if not isinstance(value, dict):
            raise refuse(102, "meta_fields must be a dictionary")
        return
    problem = "" if isinstance(value, dict) else "Input should be a valid dictionary"
    for item in value.values() if isinstance(value, dict) else ():
        if isinstance(item, list) and not all(isinstance(part, str | int | float) for part in item):
            problem = problem or f"The type is not supported in list: {item}"
        elif not isinstance(item, list | str | int | float):
            problem = problem or f"The type is not supported: {item}"
    if problem:
        raise refuse(102, f"Field: <meta_fields> - Message: <{problem}> - Value: <{value}>")
