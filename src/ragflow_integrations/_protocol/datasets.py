"""The calls on datasets, their documents and chunks, and retrieval, each written once (see `operations`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import arguments, decoders, dialects, wire
from ragflow_integrations._protocol.http import Operation, Request, Subject, Upload, path
from ragflow_integrations._protocol.listings import (
    PAGE_SIZE,
    Page,
    Pages,
    check_filters,
    delete,
    every,
    first,
    found,
    listing,
    no_such,
    stated,
)
from ragflow_integrations.errors import APIError, DatasetNotFoundError, DocumentNotFoundError, InvalidArgumentError
from ragflow_integrations.models import ParsingProgress, Retrieval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ragflow_integrations.models import Chunk, Dataset, Document, JsonValue

# ---------------------------------------------------------------------------------------------------------------- datasets


def list_datasets(*, name: str | None = None, dataset_id: str | None = None) -> Pages[Dataset]:
    """List datasets, the newest first."""
    check_filters(name=name, dataset_id=dataset_id)
    pages = listing("/datasets", decoders.dataset, ("datasets",), {"name": name, "id": dataset_id})

    def page(number: int) -> Operation[Page[Dataset]]:
        try:
            return (yield from pages(number))
        except DatasetNotFoundError:  # every release refuses a filter that nothing matches
            return Page((), last=True)

    return page


def find_dataset(name: str) -> Operation[Dataset]:
    """Get a dataset by its exact name."""
    arguments.text("name", name)
    datasets = yield from every(list_datasets(name=name))
    one = next((dataset for dataset in datasets if dataset.name == name), None)
    return found(one, DatasetNotFoundError, no_such("dataset", name, "the name", "client.datasets.list()"))


def get_dataset(dataset_id: str) -> Operation[Dataset]:
    """Get a dataset."""
    arguments.text("dataset_id", dataset_id)
    one = yield from first(list_datasets(dataset_id=dataset_id))
    return found(one, DatasetNotFoundError, no_such("dataset", dataset_id, "dataset_id", "client.datasets.list()"))


def create_dataset(
    name: str, *, description: str | None = None, embedding_model: str | None = None, chunk_method: str | None = None
) -> Operation[Dataset]:
    """Create a dataset."""
    options = {"description": description, "embedding_model": embedding_model, "chunk_method": chunk_method}
    body: dict[str, JsonValue] = {"name": arguments.text("name", name), **dict(stated(options))}
    reply = yield Request("POST", "/datasets", json=body, subject=Subject("dataset", name, DatasetNotFoundError))
    return decoders.dataset(wire.mapping(reply, "data"))


def update_dataset(
    dataset_id: str, *, name: str | None = None, description: str | None = None, embedding_model: str | None = None
) -> Operation[Dataset]:
    """Change a dataset; what is not named stays."""
    check_filters(name=name, embedding_model=embedding_model)
    body: dict[str, JsonValue] = dict(stated({"name": name, "description": description, "embedding_model": embedding_model}))
    if not body:
        raise InvalidArgumentError("name", "or another setting to change must be given")
    where = path("datasets", arguments.text("dataset_id", dataset_id))
    yield Request("PUT", where, json=body, subject=_dataset(dataset_id))
    return (yield from get_dataset(dataset_id))


def delete_datasets(dataset_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete datasets with their documents."""
    subject = Subject("dataset", "", DatasetNotFoundError)
    return delete("/datasets", subject, "dataset_ids", dataset_ids, list_datasets() if delete_all is True else None)


def _dataset(dataset_id: str) -> Subject:
    return Subject("dataset", dataset_id, DatasetNotFoundError)


# --------------------------------------------------------------------------------------------------------------- documents


def _documents(dataset_id: str) -> str:
    return path("datasets", arguments.text("dataset_id", dataset_id), "documents")


def upload_documents(dataset_id: str, files: Sequence[Upload]) -> Operation[list[Document]]:
    """Upload files; they are not parsed yet."""
    reply = yield Request("POST", _documents(dataset_id), files=tuple(files), subject=_dataset(dataset_id))
    return [decoders.document(item) for item in wire.objects(reply.get("data"))]


def list_documents(
    dataset_id: str, *, name: str | None = None, keywords: str | None = None, document_id: str | None = None
) -> Pages[Document]:
    """List the documents of a dataset, the newest first."""
    check_filters(name=name, keywords=keywords, document_id=document_id)
    filters = {"name": name, "keywords": keywords, "id": document_id}
    pages = listing(_documents(dataset_id), decoders.document, ("docs", "documents"), filters, _dataset(dataset_id))

    def page(number: int) -> Operation[Page[Document]]:
        try:
            return (yield from pages(number))
        except DocumentNotFoundError:  # a filter that nothing matches is refused
            return Page((), last=True)

    return page


def get_document(dataset_id: str, document_id: str) -> Operation[Document]:
    """Get a document."""
    arguments.text("document_id", document_id)
    one = yield from first(list_documents(dataset_id, document_id=document_id))
    where = f"client.documents.list({dataset_id!r})"
    return found(one, DocumentNotFoundError, no_such("document", document_id, "document_id", where))


def download_document(dataset_id: str, document_id: str) -> Request:
    """The request for the file of a document."""
    where = _documents(dataset_id) + path(arguments.text("document_id", document_id))
    return Request("GET", where, repeat="always", subject=_document(document_id))


def delete_documents(dataset_id: str, document_ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete documents with their chunks."""
    subject = Subject("document", "", DocumentNotFoundError)
    everything = list_documents(dataset_id) if delete_all is True else None
    return delete(_documents(dataset_id), subject, "document_ids", document_ids, everything)


def parse_documents(dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    """Start parsing; the path exists in every release."""
    return _parsing("POST", dataset_id, document_ids)


def stop_parsing(dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    """Stop parsing."""
    return _parsing("DELETE", dataset_id, document_ids)


def _parsing(method: str, dataset_id: str, document_ids: Iterable[str]) -> Operation[None]:
    where = path("datasets", arguments.text("dataset_id", dataset_id), "chunks")
    body: dict[str, JsonValue] = {"document_ids": cast("JsonValue", arguments.ids("document_ids", document_ids))}
    yield Request(method, where, json=body, subject=_dataset(dataset_id))


#: States in which the server works on a document no more.
_SETTLED = ("DONE", "FAIL", "CANCEL")


def parsing_states(dataset_id: str, document_ids: Sequence[str]) -> Operation[ParsingProgress]:
    """Ask how far the parsing of documents is."""
    wanted = set(document_ids)
    documents = [item for item in (yield from every(list_documents(dataset_id))) if item.id in wanted]
    missing = wanted.difference(item.id for item in documents)
    if missing:
        raise DocumentNotFoundError(
            no_such("document", ", ".join(sorted(missing)), "document_ids", f"client.documents.list({dataset_id!r})")
        )
    return ParsingProgress(documents=tuple(documents), done=sum(item.status in _SETTLED for item in documents))


# ------------------------------------------------------------------------------------------------------------------ chunks


def list_chunks(dataset_id: str, document_id: str, *, keywords: str | None = None) -> Pages[Chunk]:
    """List the chunks of a document."""
    check_filters(keywords=keywords)
    where = _documents(dataset_id) + path(arguments.text("document_id", document_id), "chunks")
    return listing(where, decoders.chunk, ("chunks",), {"keywords": keywords}, _document(document_id))


def create_chunk(
    dataset_id: str,
    document_id: str,
    content: str,
    *,
    important_keywords: Sequence[str] | None = None,
    questions: Sequence[str] | None = None,
) -> Operation[Chunk]:
    """Add a chunk to a document."""
    where = _documents(dataset_id) + path(arguments.text("document_id", document_id), "chunks")
    body: dict[str, JsonValue] = {"content": arguments.text("content", content)}
    for name, value in stated({"important_keywords": important_keywords, "questions": questions}):
        body[name] = cast("JsonValue", arguments.ids(name, value))
    reply = yield Request("POST", where, json=body, subject=_document(document_id))
    return decoders.chunk(wire.mapping(wire.mapping(reply, "data"), "chunk"))


def delete_chunks(dataset_id: str, document_id: str, chunk_ids: Iterable[str]) -> Operation[None]:
    """Delete chunks of a document."""
    where = _documents(dataset_id) + path(arguments.text("document_id", document_id), "chunks")
    wanted = arguments.ids("chunk_ids", chunk_ids)
    yield Request("DELETE", where, json={"chunk_ids": cast("JsonValue", wanted)}, subject=_document(document_id))


def _document(document_id: str) -> Subject:
    return Subject("document", document_id, DocumentNotFoundError)


# --------------------------------------------------------------------------------------------------------------- retrieval


#: Options of a retrieval that not every release honours.
RETRIEVAL_FEATURES: dict[str, dialects.Feature] = {
    # 0.20–0.22 filter, but answer unfiltered when nothing matches (notes §1.7).
    "metadata_condition": dialects.Feature(
        "`metadata_condition` in a retrieval", (0, 23, 0), instead="Filter by `document_ids`."
    ),
    "cross_languages": dialects.Feature("`cross_languages` in a retrieval", (0, 20, 0)),
    "toc_enhance": dialects.Feature("`toc_enhance` in a retrieval", (0, 23, 0)),
}


def retrieve(
    profile: dialects.Profile,
    question: str,
    *,
    dataset_ids: Sequence[str],
    document_ids: Sequence[str] | None = None,
    limit: int = 30,
    similarity_threshold: float | None = None,
    vector_similarity_weight: float | None = None,
    top_k: int | None = None,
    rerank_id: str | None = None,
    keyword: bool | None = None,
    highlight: bool | None = None,
    metadata_condition: Mapping[str, JsonValue] | None = None,
    cross_languages: Sequence[str] | None = None,
    use_kg: bool | None = None,
    toc_enhance: bool | None = None,
) -> Operation[Retrieval]:
    """Search datasets."""
    arguments.text("question", question)
    arguments.positive("limit", limit)
    lists = {"dataset_ids": dataset_ids, "document_ids": document_ids, "cross_languages": cross_languages}
    fractions = {"similarity_threshold": similarity_threshold, "vector_similarity_weight": vector_similarity_weight}
    flags = {"keyword": keyword, "use_kg": use_kg, "toc_enhance": toc_enhance}
    # The default is on ≤ 0.23.1 and off since.
    flags["highlight"] = False if highlight is None else highlight
    options: dict[str, JsonValue] = {
        "question": question,
        **{name: cast("JsonValue", arguments.ids(name, value)) for name, value in stated(lists)},
        **{name: arguments.fraction(name, value) for name, value in stated(fractions)},
        **{name: arguments.flag(name, value) for name, value in stated(flags)},
    }
    if rerank_id is not None:
        options["rerank_id"] = arguments.text("rerank_id", rerank_id)
    if top_k is not None:
        options["top_k"] = arguments.positive("top_k", top_k)
    if metadata_condition is not None:
        options["metadata_condition"] = cast("JsonValue", dict(arguments.mapping("metadata_condition", metadata_condition)))
    for name, feature in RETRIEVAL_FEATURES.items():
        if name in options:
            yield from dialects.require(profile, feature)
    size = min(limit, PAGE_SIZE)
    result = Retrieval()
    for page in range(1, limit // size + 2):
        try:
            reply = yield Request("POST", "/retrieval", json={**options, "page": page, "page_size": size}, repeat="always")
        except APIError as error:
            if dialects.nothing_found(error):
                break
            raise
        part = decoders.retrieval(wire.mapping(reply, "data"))
        chunks = (*result.chunks, *part.chunks)[:limit]
        result = Retrieval(chunks=chunks, documents=result.documents or part.documents, total=part.total)
        if len(part.chunks) < size or len(chunks) >= limit:
            break
    return result
