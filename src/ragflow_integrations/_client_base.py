"""What both clients have in common and is no I/O: settings, `repr`, pickling, the twin of the other mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ragflow_integrations._http.settings import Settings
    from ragflow_integrations.models import Timeout

SessionT = TypeVar("SessionT")
ClientT = TypeVar("ClientT", bound="ClientBase[Any]")  # of whatever session


class ClientBase(Generic[SessionT]):
    """Settings of a client.

    Args:
        settings: The settings.
        session: The caller's session of the HTTP library; None for an own one.
    """

    def __init__(self, settings: Settings, session: SessionT | None) -> None:
        self._settings = settings
        self._session = session
        self._connect()

    def _connect(self) -> None:
        """Make the transport and the resources."""
        raise NotImplementedError

    def __getstate__(self) -> tuple[Settings, SessionT | None]:
        return self._settings, self._session

    def __setstate__(self, state: tuple[Settings, SessionT | None]) -> None:
        self._settings, self._session = state
        self._connect()

    def __repr__(self) -> str:
        """Show the address, never the key."""
        return f"{type(self).__name__}({self.base_url!r})"

    @property
    def base_url(self) -> str:
        """Root of the server."""
        return self._settings.base_url

    @property
    def api_key(self) -> SecretStr:
        """The key; it shows itself only to `get_secret_value()`."""
        return self._settings.api_key

    @property
    def timeout(self) -> Timeout:
        """Limits in seconds."""
        return self._settings.timeout

    @property
    def max_retries(self) -> int:
        """Repetitions of a request that failed in passing."""
        return self._settings.max_retries

    def _twin(self, kind: type[ClientT]) -> ClientT:
        """Return a client of the other mode with the same settings."""
        twin = kind.__new__(kind)
        twin.__setstate__((self._settings, None))
        return twin
