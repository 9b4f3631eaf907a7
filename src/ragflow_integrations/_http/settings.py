"""Settings of a client, shared by the synchronous and the asynchronous one."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from ragflow_integrations._http.per_process import PerProcess
from ragflow_integrations._http.session_locks import InProcessSessionLocks
from ragflow_integrations._protocol.compat.server_version import ServerProfile
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.models import Timeout

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ragflow_integrations._protocol.steps import Request

DEFAULT_BASE_URL = "http://localhost:9380"


class Server:
    """What all clients of one base URL share: what is known of the server, and the locks of its sessions.

    It lives as long as one of the clients. A client in another process begins with one of its own.
    """

    _by_address: ClassVar[WeakValueDictionary[str, Server]] = WeakValueDictionary()
    _registry_lock: ClassVar = PerProcess(threading.Lock)

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.profile = ServerProfile(base_url)
        self.session_locks = InProcessSessionLocks()

    @classmethod
    def of(cls, base_url: str) -> Server:
        """Return the shared server of a base URL, however its host and port are written."""
        parts = urlsplit(base_url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        address = f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"  # scheme and host come in lower case
        with cls._registry_lock.get():
            return cls._by_address.setdefault(address, cls(base_url))

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Server.of, (self.base_url,)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a client and its twins.

    Attributes:
        base_url: Root of the server, without `/api/v1`.
        api_key: The key.
        timeout: Limits in seconds.
        max_retries: Repetitions of a request that failed in passing.
        server: State shared with all clients of this base URL.
    """

    base_url: str
    api_key: SecretStr
    timeout: Timeout
    max_retries: int
    server: Server

    @classmethod
    def of(
        cls,
        base_url: str | None,
        api_key: str | SecretStr | None,
        timeout: float | Timeout | None,
        max_retries: int,
    ) -> Settings:
        """Check and complete the arguments of a client.

        Raises:
            InvalidArgumentError: Something is missing or malformed.
        """
        if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
            raise InvalidArgumentError("max_retries", f"must be a whole number from 0, not {max_retries!r}")
        if timeout is None:
            timeout = Timeout()
        elif not isinstance(timeout, Timeout):
            read = Timeout(read=timeout).read
            timeout = Timeout(connect=min(read, Timeout().connect), read=read)
        root = _root(os.environ.get("RAGFLOW_BASE_URL") or DEFAULT_BASE_URL if base_url is None else base_url)
        return cls(
            base_url=root,
            api_key=_key(api_key if api_key is not None else os.environ.get("RAGFLOW_API_KEY")),
            timeout=timeout,
            max_retries=max_retries,
            server=Server.of(root),
        )

    @property
    def profile(self) -> ServerProfile:
        """What is known of the server."""
        return self.server.profile

    @property
    def session_locks(self) -> InProcessSessionLocks:
        """The locks of the server's sessions."""
        return self.server.session_locks

    def url(self, request: Request) -> str:
        """Return the URL of a request."""
        return self.base_url + ("" if request.from_root else "/api/v1") + request.path

    @property
    def authorization(self) -> str:
        """The Authorization header."""
        return f"Bearer {self.api_key.get_secret_value()}"


def _root(base_url: str) -> str:
    fix = f"give the server's root such as {DEFAULT_BASE_URL!r}"
    if not isinstance(base_url, str):
        raise InvalidArgumentError("base_url", f"must be a string; {fix}")
    text = base_url.strip().rstrip("/")
    # What was given is never shown: it may hold a password, or be the key where both were swapped.
    if "@" in text:
        raise InvalidArgumentError("base_url", "must not hold a user name or password; the key goes into `api_key`")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidArgumentError("base_url", f"is not an address; {fix}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidArgumentError("base_url", f"must begin with http:// or https://; {fix}")
    if not text.isprintable() or " " in text:
        raise InvalidArgumentError("base_url", f"holds blanks or control characters; {fix}")
    if parts.query or parts.fragment:
        raise InvalidArgumentError("base_url", f"must have no query and no fragment; {fix}")
    return text.removesuffix("/api/v1").removesuffix("/v1").rstrip("/")


def _key(api_key: str | SecretStr | None) -> SecretStr:
    from pydantic import SecretStr  # noqa: PLC0415 - loading pydantic takes half as long as loading requests

    if api_key is None:
        raise InvalidArgumentError(
            "api_key",
            "is missing: pass api_key=... or set RAGFLOW_API_KEY; keys are made in RAGFlow under your avatar > API",
        )
    value = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
    if not isinstance(value, str):
        raise InvalidArgumentError("api_key", f"must be a string, not {type(value).__name__}")
    if not value.strip():
        raise InvalidArgumentError("api_key", "must not be empty")
    value = value.strip().removeprefix("Bearer ").strip()
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise InvalidArgumentError("api_key", "holds characters no key has (blanks, line ends, non-ASCII); copy it again")
    return SecretStr(value)
