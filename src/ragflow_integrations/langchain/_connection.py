"""How the components reach a server: their client, its twin for the other mode, and what all who share a client know."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from ragflow_integrations._adapters import Clients
from ragflow_integrations._forks import Lock, begin_anew
from ragflow_integrations._http.settings import Settings
from ragflow_integrations.client import RAGFlowClient
from ragflow_integrations.errors import InvalidArgumentError, SessionBusyError
from ragflow_integrations.models import Timeout  # noqa: TC001 - pydantic evaluates the types of fields

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ragflow_integrations.async_client import AsyncRAGFlowClient

    AnyClient: TypeAlias = RAGFlowClient | AsyncRAGFlowClient
else:
    AnyClient = Any  # naming the asynchronous client would load aiohttp

T = TypeVar("T")


class OwnClient(RAGFlowClient):
    """A client that a component made for itself."""

    def fits(self, base_url: str | None, api_key: SecretStr | None, timeout: float | Timeout | None, retries: int) -> bool:
        """Whether it would be made of these arguments."""
        return self._settings == Settings.of(base_url, api_key, timeout, retries)


@dataclass(eq=False)
class Shared:
    """What all components with the same client share.

    Attributes:
        ids: Ids by kind and name, looked up once.
        creating: Sessions being created, by store and key.
        lock: Guards them.
    """

    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    creating: dict[tuple[int, str], Future[None]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        begin_anew(self)

    def after_fork(self) -> None:
        """Wait for no session that a thread of the parent creates."""
        self.creating.clear()

    def claim(self, store: MutableMapping[str, str], key: str) -> str | Future[None] | None:
        """Look up a conversation's session.

        Returns:
            Its id; or a future to wait for while another call creates it; or None for the one who has to create it and then
            say so with `settle`.
        """
        with self.lock:
            found = store.get(key)
            if found is not None:
                return found
            place = (id(store), key)
            waiting = self.creating.get(place)
            if waiting is None:
                self.creating[place] = Future()
            return waiting

    def settle(self, store: MutableMapping[str, str], key: str, session_id: str | None) -> None:
        """Keep a session that was created, or let the next one try."""
        with self.lock:
            waiting = self.creating.pop((id(store), key))
            try:
                if session_id is not None:
                    store[key] = session_id
            finally:
                waiting.set_result(None)


#: Steps that end in a value: what a client's method returns, and futures to wait for; what comes of each is sent back in. So
#: what sync and async calls do is written once.
Flow: TypeAlias = Generator[Any, Any, T]


def run(flow: Flow[T]) -> T:
    """Take the steps of a flow over a synchronous client."""
    try:
        step = next(flow)
        while True:
            if isinstance(step, Future):
                _wait(step)
                step = flow.send(None)
            else:
                step = flow.send(step)
    except StopIteration as end:
        value: T = end.value
        return value


def _wait(future: Future[None]) -> None:
    """Wait, but not in the thread of an event loop, where what is waited for may be one of its own tasks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        future.result()
        return
    raise SessionBusyError("The session of this conversation is just being created; within an event loop use `ainvoke`.")


async def arun(flow: Flow[T]) -> T:
    """Take the steps of a flow over an asynchronous client."""
    try:
        step = next(flow)
        while True:
            try:
                # Shielded: one who gives up waiting must not cancel a future that others wait for.
                came = await (asyncio.shield(asyncio.wrap_future(step)) if isinstance(step, Future) else step)
            except BaseException as error:  # noqa: BLE001 - cancellation too; the flow lets go of what it holds and raises it
                step = flow.throw(error)
            else:
                step = flow.send(came)
    except StopIteration as end:
        value: T = end.value
        return value


# Keyed by the client and not kept in the components, since LangChain makes a new one for every call with `configurable_fields`.
_SHARED: WeakKeyDictionary[AnyClient, Shared] = WeakKeyDictionary()
_LOCK = Lock()


def shared_by(client: AnyClient) -> Shared:
    """Give what the users of a client share."""
    with _LOCK:
        return _SHARED.setdefault(client, Shared())


class Connected(BaseModel):
    """Fields and clients of every component: either `client`, or `base_url` and `api_key`.

    It stands last among a class's bases: of their configurations the last counts.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",  # LangChain's default drops misspelt arguments in silence
        hide_input_in_errors=True,  # the input holds the key
    )

    base_url: str | None = Field(default_factory=from_env("RAGFLOW_BASE_URL", default=None))
    """Root of the server; default RAGFLOW_BASE_URL, else http://localhost:9380."""
    api_key: str | SecretStr | None = Field(default_factory=secret_from_env("RAGFLOW_API_KEY", default=None))
    """API key; default RAGFLOW_API_KEY."""
    timeout: float | Timeout | None = None
    """Longest silence in seconds, or a `Timeout`."""
    max_retries: int | None = None
    """Repetitions of a request that failed in passing, where repeating is safe; default 2."""
    client: AnyClient | None = Field(default=None, exclude=True, repr=False)
    """A client to share, instead of the four arguments above; either kind serves both modes. Without one it is made of them."""

    @field_validator("api_key")
    @classmethod
    def _hide_key(cls, value: str | SecretStr | None) -> SecretStr | None:
        return SecretStr(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _connect(self) -> Self:
        client = self.client
        if client is not None:
            self._check_client(client)
        given = (self.base_url, self.api_key, self.timeout, self.max_retries)
        if client is not None and given == (None, None, None, None):
            return self
        api_key = SecretStr(self.api_key) if isinstance(self.api_key, str) else self.api_key
        settings = (self.base_url, api_key, self.timeout, 2 if self.max_retries is None else self.max_retries)
        if client is not None and not isinstance(client, OwnClient):
            problem = "excludes `base_url`, `api_key`, `timeout` and `max_retries`: the client has its own"
            raise InvalidArgumentError("client", problem)
        # LangChain hands a client on to copies with other settings, which need one of their own.
        if client is None or not client.fits(*settings):
            base_url, api_key, timeout, retries = settings
            self.client = OwnClient(base_url, api_key, timeout=timeout, max_retries=retries)
        return self

    def _check_client(self, client: AnyClient) -> None:
        Clients(client)
        for name in ("base_url", "api_key"):
            if name not in self.model_fields_set:
                setattr(self, name, None)  # it came from the environment, which the client stands above

    @property
    def _clients(self) -> Clients:
        return Clients(self.client)

    @property
    def _sync(self) -> RAGFlowClient:
        return self._clients.sync

    @property
    def _async(self) -> AsyncRAGFlowClient:
        return self._clients.asynchronous

    @property
    def _shared(self) -> Shared:
        return shared_by(self._clients.given)

    def close(self) -> None:
        """Close idle connections of the synchronous client, unless it was given as `client`; a later call opens new ones."""
        own = self.client if isinstance(self.client, OwnClient) else self._clients.twin
        if isinstance(own, RAGFlowClient):
            own.close()

    async def aclose(self) -> None:
        """Close the connections of both clients, except one given as `client`; a later call opens new ones."""
        self.close()
        twin = self._clients.twin
        if twin is not None and not isinstance(twin, RAGFlowClient):
            await twin.aclose()
