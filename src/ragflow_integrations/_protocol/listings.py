"""Listings page by page, and what finding and deleting have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from ragflow_integrations._protocol import arguments, wire
from ragflow_integrations._protocol.http import Operation, Request, Subject
from ragflow_integrations.errors import InvalidArgumentError, NotFoundError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragflow_integrations.models import JsonObject, JsonValue

T = TypeVar("T")

#: Chats, sessions, datasets asked for at a time; ≥ 0.26.0 refuse more than 100.
PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing."""

    items: tuple[T, ...]
    last: bool


#: A listing: the operation that asks for a page, by its number from 1.
Pages: TypeAlias = Callable[[int], "Operation[Page[T]]"]


class HasId(Protocol):
    """Something with an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


H = TypeVar("H", bound=HasId)


def every(pages: Pages[T]) -> Operation[list[T]]:
    """Give all items of a listing."""
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
) -> Pages[T]:
    """Make a listing.

    Args:
        where: Path.
        read: Decoder of an item.
        keys: Where `data` is an object: the keys its list may have.
        filters: Query; None leaves one out.
        subject: What it is about.
    """
    given = dict(stated(filters))
    before: list[T] = []  # the first item of the page before

    def page(number: int) -> Operation[Page[T]]:
        body = yield Request(
            "GET", where, params={"page": number, "page_size": PAGE_SIZE, **given}, repeat="always", subject=subject
        )
        data = body.get("data")
        if isinstance(data, dict):
            listed: JsonValue = [data] if "id" in data else next((data[key] for key in keys if key in data), [])
        else:
            listed = data
        items = tuple(read(item) for item in wire.objects(listed))
        if number > 1 and before == [*items[:1]]:
            return Page((), last=True)  # a server that does not know pages sends the same again
        before[:] = items[:1]
        # More than asked for: such a server has sent everything.
        return Page(items, last=len(items) != PAGE_SIZE)

    return page


def only(pages: Pages[T], matches: Callable[[T], bool]) -> Pages[T]:
    """Leave out what a listing was not asked for: some servers do not read a filter, and list everything."""

    def page(number: int) -> Operation[Page[T]]:
        some = yield from pages(number)
        return Page(tuple(item for item in some.items if matches(item)), some.last)

    return page


def empty_if(refusal: type[NotFoundError], pages: Pages[T]) -> Pages[T]:
    """Take a refusal for an empty listing: some releases refuse a filter that nothing matches."""

    def page(number: int) -> Operation[Page[T]]:
        try:
            return (yield from pages(number))
        except refusal:
            return Page((), last=True)

    return page


def check_filters(**filters: str | None) -> None:
    """Check those filters that are given."""
    for name, value in stated(filters):
        arguments.text(name, value)


def stated(options: Mapping[str, T | None]) -> list[tuple[str, T]]:
    """Give the options that are not None."""
    return [(name, value) for name, value in options.items() if value is not None]


def found(item: T | None, missing: type[NotFoundError], text: str) -> T:
    """Give an item, or raise that there is none."""
    if item is None:
        raise missing(text)
    return item


def delete(
    where: str,
    subject: Subject,
    name: str,
    ids: Iterable[str] | None,
    everything: Pages[H],
    *,
    delete_all: bool,
    owner: Subject | None = None,
) -> Operation[None]:
    """Delete by ids; some releases delete everything when given none, so none are never sent.

    Args:
        where: Path.
        subject: What is deleted.
        name: Name of the argument, for messages.
        ids: Ids to delete.
        everything: The listing of all there are.
        delete_all: Whether to delete these, instead of `ids`.
        owner: What they belong to, if a refusal without words is about that.
    """
    if (ids is None) != arguments.flag("delete_all", delete_all):
        raise InvalidArgumentError(name, "and `delete_all=True` exclude each other: give exactly one of them")
    wanted = [item.id for item in (yield from every(everything))] if delete_all else arguments.ids(name, ids)
    if not wanted:
        return
    named = replace(subject, id=", ".join(wanted))
    body = yield Request("DELETE", where, json={"ids": list(wanted)}, subject=owner or named)
    errors = wire.strings(wire.mapping(body, "data"), "errors")
    if errors:
        raise subject.missing(
            f"Of {len(wanted)} {subject.kind}s to delete, {len(errors)} could not be: {'; '.join(errors).rstrip('.')}. "
            "The others are deleted.",
            message="; ".join(errors),
        )


def confirm_name(kind: str, wanted: str | None, item_name: str) -> None:
    """Hold a change against what was asked for.

    Raises:
        ProtocolError: The server accepted a new name and kept another.
    """
    if wanted is not None and item_name != wanted:
        raise ProtocolError(
            f"The server accepted the name {wanted!r} for the {kind}, whose name is {item_name!r} all the same. See its log."
        )


def no_such(kind: str, wanted: str, what: str, listing: str) -> str:
    """Say that something does not exist, and where to look."""
    return (
        f"There is no {kind} {wanted!r} for this API key. Check {what} against `{listing}`, and that the key is of its owner."
    )
