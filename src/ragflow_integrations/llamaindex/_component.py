"""What every component of LlamaIndex has: clients, `from_defaults`, `close` and `aclose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragflow_integrations._adapters.clients import ClientPair

P = ParamSpec("P")
T = TypeVar("T")


class _Constructor:
    """An attribute of a class that is the class itself, with the types of its constructor."""

    def __get__(self, instance: object, owner: Callable[P, T]) -> Callable[P, T]:
        return owner


class RAGFlowComponent:
    """A component with clients of its own or shared ones. Without annotations, of which pydantic would make fields."""

    #: LlamaIndex's usual constructor; its arguments are those of the class.
    from_defaults = _Constructor()

    def _client_pair(self) -> ClientPair:
        raise NotImplementedError

    def close(self) -> None:
        """Close idle connections of the synchronous client, unless it was given as `client`; a later call opens new ones."""
        self._client_pair().close()

    async def aclose(self) -> None:
        """Close the connections of both clients, except one given as `client`; a later call opens new ones."""
        await self._client_pair().aclose()
