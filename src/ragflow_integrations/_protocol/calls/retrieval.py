"""Search in datasets, written once (see `operations`).

A search is one or more pages of `POST /retrieval`. One table checks the options. What the server would drop, alone or beside
another option, is done here or refused (`compat.features`, `compat.pairs`). Results are held against what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from ragflow_integrations._protocol import fields, models_from_json, validation
from ragflow_integrations._protocol.calls import metadata_filters, scope
from ragflow_integrations._protocol.calls.paging import PAGE_SIZE
from ragflow_integrations._protocol.compat import error_table, features, pairs, server_version
from ragflow_integrations._protocol.steps import Request
from ragflow_integrations.errors import APIError, UnsupportedByServerError
from ragflow_integrations.models import Retrieval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ragflow_integrations._protocol.calls.metadata_filters import Group
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Operation
    from ragflow_integrations.models import Chunk, JsonObject, JsonValue, RetrievalOptions

_CHECKS: Final[dict[str, Callable[[str, object], object]]] = {
    "document_ids": validation.ids,
    "metadata_condition": metadata_filters.parse,
    **dict.fromkeys(("similarity_threshold", "vector_similarity_weight"), validation.fraction),
    "top_k": validation.positive,
    "rerank_id": validation.text,
    **dict.fromkeys(("keyword", "highlight", "use_kg", "toc_enhance"), validation.flag),
    **dict.fromkeys(("cross_languages", "metadata_fields"), validation.texts),
}
#: Names of all options of a search.
OPTIONS: Final = tuple(_CHECKS)

#: Results that one window of candidates holds: releases rank about so many together.
_WINDOW: Final = 64
_MOST_OF_0_21_1: Final = 63
_MOST_OF_OLD: Final = 128


def check_options(options: Mapping[str, object]) -> dict[str, object]:
    """Check the options of a search.

    Returns:
        Those that are not None, as they were given, except `metadata_condition`, which is parsed.

    Raises:
        InvalidArgumentError: One is unknown or malformed.
        UnsupportedByServerError: Two exclude each other on every release.
    """
    validation.known("options", options, OPTIONS)
    given = {name: _CHECKS[name](name, value) for name, value in options.items() if value is not None}
    pairs.refuse_pairs("retrieval", [name for name, value in given.items() if value is not False])
    return given


def retrieve(
    profile: ServerProfile, question: str, *, dataset_ids: Sequence[str], limit: int, options: RetrievalOptions
) -> Operation[Retrieval]:
    """Search datasets."""
    validation.text("question", question)
    validation.positive("limit", limit)
    datasets = validation.ids("dataset_ids", dataset_ids)
    given = check_options(options)
    for name, feature in features.RETRIEVAL_FEATURES.items():
        if name in given:
            yield from server_version.require(profile, feature)
    condition = cast("Group | None", given.pop("metadata_condition", None))
    document_ids = cast("list[str] | None", given.get("document_ids"))
    body = _body(question, datasets, given)
    if condition is not None:
        if document_ids is None and (yield from _server_compares(profile, condition)):
            body["metadata_condition"] = condition.for_server()
            _ask_for_fields(body, condition)
        else:
            document_ids = yield from scope.documents_matching(datasets, condition, document_ids, must_exist=True)
            if not document_ids:
                return Retrieval()
            body["document_ids"] = cast("JsonValue", document_ids)
            condition = None
    search = _Search(body, limit, condition, document_ids, cast("float | None", given.get("similarity_threshold")))
    result = yield from search.run(profile, given)
    return _without_extra_fields(result, cast("Sequence[str] | None", given.get("metadata_fields")))


def _body(question: str, dataset_ids: list[str], given: Mapping[str, object]) -> dict[str, JsonValue]:
    sent = {name: cast("JsonValue", value) for name, value in given.items() if name != "metadata_fields"}
    metadata: dict[str, JsonValue] = {"include": True}
    if "metadata_fields" in given:
        metadata["fields"] = cast("JsonValue", given["metadata_fields"])
    return {
        "question": question,
        "dataset_ids": cast("JsonValue", dataset_ids),
        **sent,
        # Only the text turns it off up to 0.23.1, where it is on by default; later releases read both.
        "highlight": True if given.get("highlight") else "false",
        "reference_metadata": metadata,  # ignored by others than ≥ 0.25.6
    }


def _ask_for_fields(body: dict[str, JsonValue], condition: Group) -> None:
    """Ask for the metadata that the results are checked by, too."""
    wanted = fields.mapping(body, "reference_metadata")
    if "fields" in wanted:
        names = dict.fromkeys((*fields.strings(wanted, "fields"), *condition.fields()))
        body["reference_metadata"] = {**wanted, "fields": list(names)}


def _server_compares(profile: ServerProfile, condition: Group) -> Operation[bool]:
    """Return whether the server finds all that fulfils a condition, and its results can be checked."""
    if not condition.found_by_server or not (yield from server_version.supports_feature(profile, pairs.CONDITION_IN_RETRIEVAL)):
        return False
    return not condition.joined_by_and or (yield from server_version.supports_feature(profile, pairs.CONDITIONS_JOINED))


def _size(limit: int, given: Mapping[str, object]) -> int:
    """Choose a page size for releases that rank before they cut pages (≥ 0.23)."""
    if "rerank_id" in given:  # 0.25.x cut windows of 64 (or `top_k`) candidates, from which other sizes drift apart
        return min(_WINDOW, cast("int", given.get("top_k", _WINDOW)))
    return min(limit, PAGE_SIZE)


def _old_size(profile: ServerProfile, limit: int) -> Operation[int]:
    """Choose a page size for older releases; their ways are in `docs/protocol.md`, "Retrieval pages"."""
    if (yield from server_version.supports_feature(profile, features.PAGES_UNRANKED)):
        return max(_WINDOW, min(limit, PAGE_SIZE))  # of 0.22.x only the first page of a window is right
    return _MOST_OF_0_21_1 if limit <= _MOST_OF_0_21_1 else _MOST_OF_OLD


@dataclass(frozen=True)
class _Search:
    """A search page by page.

    Attributes:
        body: Body of the request, without the page.
        limit: Chunks wanted.
        condition: What the metadata of each result must be; None if the server was not asked to compare.
        document_ids: Documents that results must be of; None for any.
        threshold: Least similarity; None for the server's own.
    """

    body: JsonObject
    limit: int
    condition: Group | None
    document_ids: Sequence[str] | None
    threshold: float | None

    def run(self, profile: ServerProfile, given: Mapping[str, object]) -> Operation[Retrieval]:
        """Ask for pages until there are as many chunks as wanted, or no more."""
        first = None
        size = _size(self.limit, given)
        if profile.known.supports(features.PAGES_RANKED) is not False:
            first = yield from self._page(1, size)  # whose results tell most often that the server is new enough
        if first is None or not (yield from server_version.supports_feature(profile, features.PAGES_RANKED)):
            size = yield from _old_size(profile, self.limit)
            first = yield from self._page(1, size)
            if not first.chunks and size == _MOST_OF_OLD:
                return (yield from self._of_0_21_1())
        part = first
        results = list(part.chunks)
        number = 1
        while len(part.chunks) >= size and len(self._passing(results)) < self.limit:
            number += 1
            part = yield from self._page(number, size)
            if not part.chunks and size == _MOST_OF_OLD:
                raise _too_many(_MOST_OF_OLD, "0.18.0–0.21.0")
            known = {chunk.id for chunk in results}
            # A passage of the knowledge graph, which is of no document, comes with each page.
            results += [chunk for chunk in part.chunks if chunk.id not in known and chunk.document_id]
        return self._result(first, results, ranked=number == 1)

    def _of_0_21_1(self) -> Operation[Retrieval]:
        """Ask again, since 0.21.1 gives nothing for page sizes above 63; other releases will have found nothing here too."""
        first = yield from self._page(1, _MOST_OF_0_21_1)
        if len(first.chunks) >= _MOST_OF_0_21_1:
            raise _too_many(_MOST_OF_0_21_1, "0.21.1")
        return self._result(first, first.chunks, ranked=True)

    def _result(self, first: Retrieval, results: Sequence[Chunk], *, ranked: bool) -> Retrieval:
        """Return the best results that pass; `ranked` tells whether they come best first."""
        chunks = self._passing(results)
        if not ranked:  # of several pages, each is ranked, not the whole
            chunks.sort(key=lambda chunk: -(chunk.similarity or 0.0))
        hidden = {chunk.document_id for chunk in results if not self._within_filter(chunk)}
        documents = tuple(document for document in first.documents if document.document_id not in hidden)
        return replace(first, chunks=tuple(chunks[: self.limit]), documents=documents)

    def _page(self, number: int, size: int) -> Operation[Retrieval]:
        body = {**self.body, "page": number, "page_size": size}
        try:
            reply = yield Request("POST", "/retrieval", json=body, retry="idempotent")
        except APIError as error:
            if error_table.nothing_found(error):
                return Retrieval()
            raise
        return models_from_json.retrieval(fields.mapping(reply, "data"))

    def _passing(self, results: Sequence[Chunk]) -> list[Chunk]:
        """Hold results against what was asked: releases drop options beside others (`compat.pairs`)."""
        least = self.threshold
        return [
            chunk
            for chunk in results
            if self._within_filter(chunk) and (least is None or chunk.similarity is None or chunk.similarity >= least)
        ]

    def _within_filter(self, chunk: Chunk) -> bool:
        if self.document_ids is not None and chunk.document_id not in self.document_ids:
            return False
        return self.condition is None or self.condition.matches(chunk.document_metadata)


def _too_many(most: int, release: str) -> UnsupportedByServerError:
    what = f"`limit` above {most}"
    text = f"{what} needs RAGFlow 0.22.0 or newer; {release} gives no more. Ask for at most {most} chunks."
    return UnsupportedByServerError(text, feature=what, since="0.22.0")


def _without_extra_fields(result: Retrieval, names: Sequence[str] | None) -> Retrieval:
    if names is None:
        return result
    return replace(
        result,
        chunks=tuple(
            replace(chunk, document_metadata={name: value for name, value in chunk.document_metadata.items() if name in names})
            for chunk in result.chunks
        ),
    )
