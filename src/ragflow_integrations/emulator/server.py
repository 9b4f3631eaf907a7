"""The emulator: a real HTTP server on this machine that speaks RAGFlow's API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from ragflow_integrations.emulator.calls import Backend
from ragflow_integrations.emulator.eras import era_of
from ragflow_integrations.emulator.faults import FaultInjector, FaultPlan
from ragflow_integrations.emulator.gate import RequestRecord, application
from ragflow_integrations.emulator.model import ExtractiveModel, RemoteModel
from ragflow_integrations.emulator.seed import seed
from ragflow_integrations.emulator.store import Document, Store

if TYPE_CHECKING:
    from types import TracebackType


CORPUS: Final = Path(__file__).with_name("corpus")
"""The documents that come with the emulator."""
DEFAULT_KEY: Final = "ragflow-emulator-key"
BETA_KEY: Final = "emulator-beta-key"
_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 0.1

# Uvicorn logs the connections that faults break on purpose as errors; an application must not see those.
logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
logging.getLogger("uvicorn.error").propagate = False


class _Server(uvicorn.Server):
    """Uvicorn that sets an event when it is ready, and stops at once when another is set."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not self._stopping.is_set():
            await self.on_tick(ticks)
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK_SECONDS)


class Emulator:
    """A local server that speaks RAGFlow's API. It is not RAGFlow.

    It answers from documents with sentences quoted out of them, keeps chats and sessions, and behaves like
    the chosen release, with its errors and oddities.

    Args:
        docs: A folder or a file to serve; None for the documents that come with the emulator.
        version: The RAGFlow release to behave like, such as ``"0.27.0"`` or ``"0.22"``.
        api_key: The key that clients must send.
        port: The port on 127.0.0.1; 0 for a free one.
        delay: Seconds between the events of a stream.
        data: A SQLite file that keeps everything; None to keep nothing.
        llm_base_url: An OpenAI-compatible API, up to before ``/chat/completions``, whose model writes the answers.
        llm_api_key: The key of that API.
        llm_model: The name of the model.
        faults: Faults to inject.

    Attributes:
        requests: The requests answered so far.
        open_streams: How many event streams are open.
        chat_id: The id of the chat "Emulator assistant" over the documents.
        dataset_id: The id of the dataset that holds them.
        agent_id: The id of an agent that retrieves and answers.
        form_agent_id: The id of an agent that asks the user for a ``topic`` first.
        beta_key: The key for the routes of embedded pages.

    Example:
        >>> from ragflow_integrations.emulator import Emulator
        >>> with Emulator() as server:  # doctest: +SKIP
        ...     print(server.base_url, server.api_key, server.chat_id)
    """

    def __init__(
        self,
        docs: str | Path | None = None,
        version: str = "0.27.0",
        api_key: str = DEFAULT_KEY,
        port: int = 0,
        *,
        delay: float = 0.0,
        data: str | Path | None = None,
        llm_base_url: str | None = None,
        llm_api_key: str | None = None,
        llm_model: str = "default",
        faults: FaultPlan | None = None,
    ) -> None:
        self.era = era_of(version)
        self.api_key = api_key
        self.beta_key = BETA_KEY
        self.requests: list[RequestRecord] = []
        self.open_streams = 0
        self.chat_id = ""
        self.dataset_id = ""
        self.agent_id = ""
        self.form_agent_id = ""
        self.fault_injector = FaultInjector(faults)
        self._docs = CORPUS if docs is None else Path(docs)
        if not self._docs.exists():
            raise FileNotFoundError(f"There is nothing to serve at {self._docs}.")
        self._port = port
        self._delay = delay
        self._data = Path(data) if data is not None else None
        self._model = RemoteModel(llm_base_url, llm_api_key, llm_model) if llm_base_url else ExtractiveModel()
        self._thread: threading.Thread | None = None
        self._stopping: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._store: Store | None = None
        self._backend: Backend | None = None
        self._stop_requested = False
        self._failure: BaseException | None = None

    @property
    def version(self) -> str:
        """The release that is emulated, such as ``"0.27.0"``."""
        return self.era.version

    @property
    def base_url(self) -> str:
        """The URL of the server, without a path."""
        return f"http://{_HOST}:{self._port}"

    @property
    def events_sent(self) -> int:
        """How many events all streams have sent so far."""
        return self._backend.events_sent if self._backend else 0

    @property
    def faults(self) -> FaultPlan:
        """The faults to inject; may be set at any time."""
        return self.fault_injector.plan

    @faults.setter
    def faults(self, plan: FaultPlan | None) -> None:
        self.fault_injector = FaultInjector(plan)

    @property
    def store(self) -> Store:
        """The data, while the emulator runs."""
        if self._store is None:
            raise RuntimeError("The emulator does not run.")
        return self._store

    def start(self) -> Self:
        """Start serving; returns when connections are accepted.

        Returns:
            The emulator itself.

        Raises:
            RuntimeError: If it runs already, or does not come up.
            OSError: If the port is taken.
        """
        if self._thread is not None:
            raise RuntimeError("The emulator runs already.")
        # Named as TCP, so that asyncio sends each reply at once instead of waiting for the peer's delayed acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, self._port))
            self._port = listener.getsockname()[1]
            self._store = Store(self._data)
            seeded = seed(self._store, self.era, self._docs)
            self.dataset_id, self.chat_id = seeded.dataset_id, seeded.chat_id
            self.agent_id, self.form_agent_id = seeded.agent_id, seeded.form_agent_id
        except BaseException:
            listener.close()
            self._close_store()
            raise
        ready = threading.Event()
        self._stop_requested = False
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="ragflow-emulator", daemon=True)
        self._thread.start()
        if not ready.wait(_START_SECONDS) or self._failure is not None:
            self.stop()
            raise RuntimeError("The emulator did not start.") from self._failure
        return self

    def stop(self) -> None:
        """Stop serving at once, open streams included. Does nothing if it does not run."""
        if self._thread is None:
            return
        self._stop_requested = True
        if self._stopping is not None:
            loop, stopping = self._stopping
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stopping.set)
        self._thread.join()
        self._thread = None
        self._stopping = None
        self._close_store()

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # In the server's thread

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listener, ready))
        except OSError as error:
            self._failure = error
        finally:
            listener.close()
            ready.set()

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        stopping = asyncio.Event()
        self._stopping = (asyncio.get_running_loop(), stopping)
        if self._stop_requested:  # before there was anything to stop
            return
        self._backend = Backend(
            era=self.era,
            store=self.store,
            model=self._model,
            api_key=self.api_key,
            beta_key=self.beta_key,
            delay=self._delay,
            stopping=stopping,
            parsing={document.id for document in self.store.all(Document) if document.run == "RUNNING"},
        )
        config = uvicorn.Config(
            application(self, self._backend),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        await _Server(config, ready, stopping).serve([listener])
