"""The client of a component: one that is shared, or one made from settings; its twin; what all its users share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

from ragflow_integrations._http.per_process import PerProcess
from ragflow_integrations.client import RAGFlowClient
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Unpack

    from ragflow_integrations._adapters.steps import Pending
    from ragflow_integrations.async_client import AsyncRAGFlowClient

    AnyClient: TypeAlias = RAGFlowClient | AsyncRAGFlowClient

#: Names of the settings of a connection, in alphabetical order for messages.
CONNECTION_OPTIONS = tuple(sorted(ConnectionOptions.__optional_keys__))
#: Attributes of a client that adapters set: its twin, and what its users share. They are no part of its pickled state.
_TWIN = "_adapters_twin"
_SHARED = "_adapters_shared"


class _Creating:
    """Sessions that this process is creating, by store and key."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pending: dict[tuple[int, str], Pending] = {}


@dataclass(eq=False)
class Shared:
    """What all components with the same client, or its twin, share.

    It belongs to the client and not to a component, since LangChain makes a new component for every call with
    `configurable_fields`.

    Attributes:
        ids: Ids by kind and name, looked up once.
        creating: Sessions being created. A forked child begins without: it would wait for a thread of the parent.
    """

    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    creating: PerProcess[_Creating] = field(default_factory=lambda: PerProcess(_Creating))


def shared_by(client: AnyClient) -> Shared:
    """Return what the users of a client share. `setdefault` of a dict is atomic: threads get the same."""
    return cast("Shared", vars(client).setdefault(_SHARED, Shared()))


class OwnClient(RAGFlowClient):
    """A client that a component made from settings, and may close."""

    def equals(self, other: OwnClient) -> bool:
        """Return whether both have the same settings."""
        return self._settings == other._settings


def connect(client: AnyClient | None, settings: ConnectionOptions) -> AnyClient:
    """Return the client of a component: `client`, or one made from `settings`, of which those that are None are not set.

    An `OwnClient` may be handed on together with other settings, as LangChain does when it copies a component; the result is
    another client then.

    Raises:
        InvalidArgumentError: `client` is no client, settings are given beside it, or a setting is malformed.
    """
    settings = cast("ConnectionOptions", {name: value for name, value in settings.items() if value is not None})
    if client is None:
        return OwnClient(**settings)
    if not isinstance(client, RAGFlowClient) and not hasattr(client, "as_sync"):
        kind = type(client).__name__
        raise InvalidArgumentError("client", f"must be a RAGFlowClient or an AsyncRAGFlowClient, not {kind}")
    if not settings:
        return client
    if isinstance(client, OwnClient):
        made = OwnClient(**settings)
        return client if client.equals(made) else made
    given = " and ".join(f"`{name}`" for name in sorted(settings))
    raise InvalidArgumentError("client", f"excludes {given}: the client has its own. Leave one of them out")


class ClientPair:
    """The client of a component, and its twin for the other mode.

    The twin is made when it is first needed, and aiohttp is imported no sooner. All who share the client share the twin.

    Args:
        client: A client to share; excludes all settings.
        **settings: Settings of a client to make; see `RAGFlowClient`.

    Attributes:
        primary: The client that is shared, or made from the settings.

    Raises:
        InvalidArgumentError: `client` is no client, or settings are given beside it.
    """

    def __init__(self, client: AnyClient | None = None, **settings: Unpack[ConnectionOptions]) -> None:
        self.primary = connect(client, settings)

    @property
    def sync(self) -> RAGFlowClient:
        """The synchronous client."""
        primary = self.primary
        return primary if isinstance(primary, RAGFlowClient) else cast("RAGFlowClient", self._make_twin())

    @property
    def async_(self) -> AsyncRAGFlowClient:
        """The asynchronous client."""
        primary = self.primary
        return cast("AsyncRAGFlowClient", self._make_twin()) if isinstance(primary, RAGFlowClient) else primary

    @property
    def other(self) -> AnyClient | None:
        """The twin; None if it has not been needed yet."""
        return cast("AnyClient | None", vars(self.primary).get(_TWIN))

    def _make_twin(self) -> AnyClient:
        if (twin := self.other) is not None:
            return twin
        primary = self.primary
        made: AnyClient = primary.as_async() if isinstance(primary, RAGFlowClient) else primary.as_sync()
        # The twin does not know its primary: a cycle would leave connections open until the garbage collector runs.
        vars(made)[_SHARED] = shared_by(primary)
        return cast("AnyClient", vars(primary).setdefault(_TWIN, made))

    def close(self) -> None:
        """Close idle connections of the synchronous client, unless it was given by the caller; a later call opens new ones."""
        own = self.primary if isinstance(self.primary, OwnClient) else self.other
        if isinstance(own, RAGFlowClient):
            own.close()

    async def aclose(self) -> None:
        """Close the connections of both clients, except one given by the caller; a later call opens new ones."""
        self.close()
        twin = self.other
        if twin is not None and not isinstance(twin, RAGFlowClient):
            await twin.aclose()


def acquire_or_wait(client: AnyClient, store: MutableMapping[str, str], key: str, mine: Pending) -> str | Pending | None:
    """Look up a conversation's session in a store.

    Returns:
        Its id; or what to wait for while another call creates it; or None for the caller who has to create it and then to call
        `complete`.
    """
    creating = shared_by(client).creating.get()
    with creating.lock:
        session_id = store.get(key)
        if session_id is not None:
            return session_id
        pending = creating.pending.setdefault((id(store), key), mine)
        return None if pending is mine else pending


def complete(client: AnyClient, store: MutableMapping[str, str], key: str, session_id: str | None) -> None:
    """Store a session that was created, or let the next caller try if it is None."""
    creating = shared_by(client).creating.get()
    with creating.lock:
        pending = creating.pending.pop((id(store), key))
        try:
            if session_id is not None:
                store[key] = session_id
        finally:
            pending.finish()


def split_connection(options: Mapping[str, object]) -> tuple[ConnectionOptions, dict[str, object]]:
    """Return those of some keyword arguments that are settings of a connection, and the others."""
    settings = {name: value for name, value in options.items() if name in CONNECTION_OPTIONS}
    return cast("ConnectionOptions", settings), {
        name: value for name, value in options.items() if name not in CONNECTION_OPTIONS
    }
