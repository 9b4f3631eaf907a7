"""Listings page by page, and what finding and deleting have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from ragflow_integrations._protocol import fields, validation
from ragflow_integrations._protocol.steps import Operation, Request, Subject
from ragflow_integrations.errors import InvalidArgumentError, NotFoundError, ProtocolError, RAGFlowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragflow_integrations.models import JsonObject, JsonValue

T = TypeVar("T")

#: Chats, sessions, datasets asked for at a time; ≥ 0.26.0 refuse more than 100.
PAGE_SIZE = 100
_SHOWN_IDS = 10
#: No release cuts names that are shorter.
_SHORTEST_LIMIT = 128


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing."""

    items: tuple[T, ...]
    last: bool


#: A listing: the operation that asks for a page, by its number from 1.
PageFetcher: TypeAlias = Callable[[int], "Operation[Page[T]]"]


class HasId(Protocol):
    """Something with an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


H = TypeVar("H", bound=HasId)


def collect(pages: PageFetcher[T]) -> Operation[list[T]]:
    """Return all items of a listing."""
    items: list[T] = []
    for number in range(1, 1_000_000):
        page = yield from pages(number)
        items.extend(page.items)
        if page.last:
            break
    return items


def listing(
    where: str,
    read: Callable[[JsonObject], T],
    keys: Sequence[str],
    filters: Mapping[str, str | None],
    subject: Subject | None = None,
) -> PageFetcher[T]:
    """Make a listing.

    Args:
        where: Path.
        read: Decoder of an item.
        keys: Where `data` is an object: the keys its list may have.
        filters: Query; None leaves one out.
        subject: What it is about.
    """
    given = dict(omit_none(filters))
    before: list[T] = []  # the first item of the page before

    def page(number: int) -> Operation[Page[T]]:
        body = yield Request(
            "GET", where, params={"page": number, "page_size": PAGE_SIZE, **given}, retry="idempotent", subject=subject
        )
        data = body.get("data")
        if isinstance(data, dict):
            listed: JsonValue = [data] if "id" in data else next((data[key] for key in keys if key in data), [])
        else:
            listed = data
        items = tuple(read(item) for item in fields.objects(listed))
        if number > 1 and before == [*items[:1]]:
            return Page((), last=True)  # a server that does not know pages sends the same again
        before[:] = items[:1]
        # More than asked for: such a server has sent everything.
        return Page(items, last=len(items) != PAGE_SIZE)

    return page


def only(pages: PageFetcher[T], matches: Callable[[T], bool]) -> PageFetcher[T]:
    """Leave out what a listing was not asked for: some servers do not read a filter, and list everything."""

    def page(number: int) -> Operation[Page[T]]:
        some = yield from pages(number)
        return Page(tuple(item for item in some.items if matches(item)), some.last)

    return page


def empty_on(refusal: type[NotFoundError], pages: PageFetcher[T]) -> PageFetcher[T]:
    """Return an empty listing instead of a refusal: some releases refuse a filter that nothing matches."""

    def page(number: int) -> Operation[Page[T]]:
        try:
            return (yield from pages(number))
        except refusal:
            return Page((), last=True)

    return page


def check_filters(**filters: str | None) -> None:
    """Check those filters that are given."""
    for name, value in omit_none(filters):
        validation.text(name, value)


def omit_none(options: Mapping[str, T | None]) -> list[tuple[str, T]]:
    """Return the options that are not None."""
    return [(name, value) for name, value in options.items() if value is not None]


def require_found(item: T | None, missing: type[NotFoundError], text: str) -> T:
    """Return an item; raise the error if there is none."""
    if item is None:
        raise missing(text)
    return item


@dataclass(frozen=True, slots=True)
class Deletable(Generic[H]):
    """A kind of objects that one request deletes by their ids.

    Attributes:
        path: Path of the request.
        kind: What they are, in words.
        missing: The error that says that they do not exist.
        argument: Name of the argument that holds the ids, for messages.
        everything: The listing of all there are.
        owner: What they belong to, such as the chat assistant of sessions.
        key: Key of the ids in the body.
    """

    path: str
    kind: str
    missing: type[NotFoundError]
    argument: str
    everything: PageFetcher[H]
    owner: Subject | None = None
    key: str = "ids"


def delete(objects: Deletable[H], ids: Iterable[str] | None, *, delete_all: bool) -> Operation[None]:
    """Delete by ids; some releases delete everything when given none, so none are never sent.

    Args:
        objects: What is deleted.
        ids: Ids to delete.
        delete_all: Whether to delete all there are, instead of `ids`.

    Raises:
        NotFoundError: Some do not exist. Which of the ids still exist is looked up and told: releases delete none of them, all
            they know, or those in front of the unknown one (docs/protocol.md, "Deletes").
    """
    if (ids is None) != validation.flag("delete_all", delete_all):
        raise InvalidArgumentError(objects.argument, "and `delete_all=True` exclude each other: give exactly one of them")
    if delete_all:
        wanted = [item.id for item in (yield from collect(objects.everything))]
    else:
        wanted = list(dict.fromkeys(validation.ids(objects.argument, ids)))
    if not wanted:
        return
    named = Subject(objects.kind, joined(wanted), objects.missing)
    body: dict[str, JsonValue] = {objects.key: list(wanted)}
    if objects.owner is None:
        request = Request("DELETE", objects.path, json=body, subject=named)
    else:
        request = Request("DELETE", objects.path, json=body, subject=objects.owner, part=named)
    try:
        reply = yield request
    except objects.missing as error:
        if len(wanted) > 1:
            yield from _tell_remaining(error, objects, wanted)
        raise
    refusal = _partly_deleted(objects, wanted, fields.mapping(reply, "data"))
    if refusal is not None:
        yield from _tell_remaining(refusal, objects, wanted)
        raise refusal


def _partly_deleted(objects: Deletable[H], wanted: Sequence[str], data: JsonObject) -> NotFoundError | None:
    """Return the error of a reply that says that not all were deleted, though it has code 0."""
    problems = fields.strings(data, "errors")
    deleted = fields.integer(data, "success_count", "deleted")
    if not problems and (deleted is None or deleted >= len(wanted)):
        return None
    message = "; ".join(problems)
    shown = f": {message.rstrip('.')}" if message else ""
    kept = len(problems) or len(wanted) - (deleted or 0)
    return objects.missing(
        f"Of {len(wanted)} {objects.kind}s to delete ({joined(wanted)}), {kept} could not be deleted{shown}.", message=message
    )


def _tell_remaining(error: NotFoundError, objects: Deletable[H], wanted: Sequence[str]) -> Operation[None]:
    """Add to an error which of the objects to delete still exist."""
    present: set[str] = set()
    try:
        for number in range(1, 1_000_000):
            page = yield from objects.everything(number)
            present.update(item.id for item in page.items if item.id in wanted)
            if page.last or len(present) == len(wanted):
                break
    except RAGFlowError as problem:
        error.args = (f"{error} Which of them still exist could not be looked up: {problem}",)
        return
    error.remaining = tuple(key for key in wanted if key in present)
    error.gone = tuple(key for key in wanted if key not in present)
    still = f"Still there: {joined(error.remaining)}." if error.remaining else "None of them exists now."
    gone = f" Not there: {joined(error.gone)}." if error.gone and error.remaining else ""
    error.args = (f"{error} {still}{gone}",)


def joined(ids: Sequence[str]) -> str:
    """Return ids for a message; of many, the first ones and their number."""
    if len(ids) <= _SHOWN_IDS:
        return ", ".join(ids)
    return f"{', '.join(ids[:_SHOWN_IDS])} and {len(ids) - _SHOWN_IDS} more"


def confirm(kind: str, **changes: tuple[str | Sequence[str] | None, str | Sequence[str]]) -> None:
    """Hold a change against what is read back.

    Args:
        kind: What was changed, in words.
        **changes: Of each setting what was asked for, None if nothing was, and what the object has now.

    Raises:
        ProtocolError: The server accepted a setting and kept another.
    """
    for name, (wanted, kept) in changes.items():
        if wanted is None or _same(wanted, kept):
            continue
        raise ProtocolError(
            f"The server accepted {name.replace('_', ' ')} {wanted!r} for the {kind}, which has {kept!r} all the same. See "
            "its log."
        )


def _same(wanted: str | Sequence[str], kept: str | Sequence[str]) -> bool:
    """Return whether a setting was kept: servers strip texts, cut names at their limit, and keep ids in any order."""
    if isinstance(wanted, str) and isinstance(kept, str):
        text, stored = wanted.strip(), kept.strip()
        return text == stored or (len(stored) >= _SHORTEST_LIMIT and text.startswith(stored))
    return set(wanted) == set(kept)


def not_found_message(kind: str, wanted: str, what: str, listing: str) -> str:
    """Say that something does not exist, and where to look."""
    return (
        f"There is no {kind} {wanted!r} for this API key. Check {what} against `{listing}`, and that the key is of its owner."
    )
