"""What every component of LangChain has: fields and clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from ragflow_integrations._adapters.clients import CONNECTION_OPTIONS, ClientPair, connect
from ragflow_integrations.models import Timeout  # noqa: TC001 - pydantic evaluates the types of fields

if TYPE_CHECKING:
    from ragflow_integrations._adapters.clients import AnyClient
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.models import ConnectionOptions
else:
    AnyClient = Any  # naming the asynchronous client would load aiohttp


class RAGFlowComponent(BaseModel):
    """Fields and clients of every component: either `client`, or `base_url` and `api_key`.

    It must be the last base of a class: pydantic lets later bases override the `model_config` of earlier ones.
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
    """Repetitions of a request that failed in passing, if repeating is safe; default 2."""
    client: AnyClient | None = Field(default=None, exclude=True, repr=False)
    """A client to share, instead of the four arguments above; either kind serves both modes. Without one it is made of them."""

    @field_validator("api_key")
    @classmethod
    def _hide_key(cls, value: str | SecretStr | None) -> SecretStr | None:
        return SecretStr(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _connect(self) -> Self:
        if self.client is not None:
            for name in ("base_url", "api_key"):
                if name not in self.model_fields_set:
                    setattr(self, name, None)  # it came from the environment; a client overrides that
        settings = cast("ConnectionOptions", {name: getattr(self, name) for name in CONNECTION_OPTIONS})
        self.client = connect(self.client, settings)
        return self

    @property
    def _clients(self) -> ClientPair:
        return ClientPair(self.client)

    @property
    def _sync(self) -> RAGFlowClient:
        return self._clients.sync

    @property
    def _async(self) -> AsyncRAGFlowClient:
        return self._clients.async_

    def close(self) -> None:
        """Close idle connections of the synchronous client, unless it was given as `client`; a later call opens new ones."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections of both clients, except one given as `client`; a later call opens new ones."""
        await self._clients.aclose()


__all__ = ["RAGFlowComponent"]
