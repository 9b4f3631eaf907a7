"""The emulator: a real HTTP server on this machine that speaks RAGFlow's API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response

from ragflow_integrations.emulator import ingestion, parsing, shapes
from ragflow_integrations.emulator.calls import Backend
from ragflow_integrations.emulator.eras import UnknownPath, era_of
from ragflow_integrations.emulator.faults import FAULT_HEADER, FaultPlan, Saboteur, proxy_page
from ragflow_integrations.emulator.model import RemoteModel, StandIn
from ragflow_integrations.emulator.replies import Json, crashed
from ragflow_integrations.emulator.routes import routes
from ragflow_integrations.emulator.store import Agent, Chat, Dataset, Document, Store

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORPUS: Final = Path(__file__).with_name("corpus")
"""The documents that come with the emulator."""
NOTICE: Final = "ragflow-integrations emulator, not RAGFlow"
DEFAULT_KEY: Final = "ragflow-emulator-key"
BETA_KEY: Final = "emulator-beta-key"
_HOST: Final = "127.0.0.1"
_DATASET: Final = "Emulator documents"
_CHAT: Final = "Emulator assistant"
_AGENT: Final = "Emulator agent"
_FORM_AGENT: Final = "Emulator form agent"
_NOT_FOUND: Final = 404
_START_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 0.1

# What uvicorn says about connections that are broken on purpose is no news.
logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
logging.getLogger("uvicorn.error").propagate = False


@dataclass(frozen=True)
class RequestRecord:
    """A request that the emulator answered."""

    method: str
    path: str
    status: int


class _Gate:
    """Stands before the routes: records requests, applies faults, and marks every reply."""

    def __init__(self, app: ASGIApp, emulator: Emulator, backend: Backend) -> None:
        self.app = app
        self.emulator = emulator
        self.backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        header = dict(scope["headers"]).get(FAULT_HEADER.encode())
        streaming = False

        async def marked(message: Message) -> None:
            nonlocal streaming
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"x-emulator", NOTICE.encode())]
                if self.backend.era.closes_connections:
                    headers.append((b"connection", b"close"))
                record = RequestRecord(scope["method"], scope["path"], message["status"])
                self.emulator.requests.append(record)
                streaming = any(value.startswith(b"text/event-stream") for _, value in headers)
                self.emulator.open_streams += streaming
                message = {**message, "headers": headers}
            await send(message)

        try:
            plan = self.emulator.saboteur.plan_for(scope["path"], header.decode("latin-1") if header else None)
        except ValueError as error:
            await Json({"code": 400, "message": str(error)}, 400)(scope, receive, marked)
            return
        scope["emulator.fault"] = plan
        try:
            if plan.status is not None:
                headers = {} if plan.retry_after is None else {"retry-after": str(plan.retry_after)}
                await HTMLResponse(proxy_page(plan.status), plan.status, headers)(scope, receive, marked)
            elif plan.cut_after is not None or plan.stall_after is not None:
                await self.app(scope, receive, _Spoiled(marked, plan).send)
            else:
                await self.app(scope, receive, marked)
        finally:
            self.emulator.open_streams -= streaming


class _Spoiled:
    """Spoils a reply that is not a stream: silence before it, or an end in its middle. Streams see to it themselves."""

    def __init__(self, send: Send, plan: FaultPlan) -> None:
        self._send = send
        self._plan = plan
        self._streaming = False

    async def send(self, message: Message) -> None:
        """Pass a message on, or not."""
        if message["type"] == "http.response.start":
            self._streaming = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            if not self._streaming and self._plan.stall_after is not None:
                await asyncio.sleep(self._plan.stall_seconds)
        elif not self._streaming and self._plan.cut_after is not None:
            body: bytes = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await self._send(message)


def _application(emulator: Emulator, backend: Backend) -> ASGIApp:
    async def unknown_path(request: Request, _: Exception) -> Response:
        path = request.url.path
        style = backend.era.unknown_path
        if style is UnknownPath.ENVELOPE:
            return crashed("<NotFound '404: Not Found'>")
        if style is UnknownPath.ERROR_ONLY:
            text = f"The requested URL {path} was not found"
            return Json({"error": "Not Found", "message": text}, _NOT_FOUND)
        body = {"code": _NOT_FOUND, "data": None, "error": "Not Found", "message": f"Not Found: {path}"}
        return Json(body, _NOT_FOUND)

    async def wrong_method(_: Request, __: Exception) -> Response:
        return crashed("<MethodNotAllowed '405: Method Not Allowed'>")

    async def exception(_: Request, error: Exception) -> Response:
        return crashed(error)

    handlers = {404: unknown_path, 405: wrong_method, Exception: exception}
    return _Gate(Starlette(routes=routes(backend), exception_handlers=handlers), emulator, backend)


class _Server(uvicorn.Server):
    """Uvicorn, which says when it is ready, and stops the moment it shall."""

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

    It answers from documents with sentences quoted out of them, keeps chats and sessions, and behaves like the release
    asked for, with the errors and oddities of that release.

    Args:
        docs: A folder or a file to serve; None for the documents that come with the emulator.
        version: The RAGFlow release to behave like, such as ``"0.27.0"`` or ``"0.22"``.
        api_key: The key that clients must send.
        port: The port on 127.0.0.1; 0 for a free one.
        delay: Seconds between the events of a stream.
        data: A SQLite file that keeps everything; None to keep nothing.
        llm_base_url: An OpenAI-compatible API, up to before ``/chat/completions``, whose model writes the answers.
        llm_api_key: The key of that API.
        llm_model: The model to ask it for.
        faults: What shall go wrong.

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
        self.saboteur = Saboteur(faults)
        self._docs = CORPUS if docs is None else Path(docs)
        if not self._docs.exists():
            raise FileNotFoundError(f"There is nothing to serve at {self._docs}.")
        self._port = port
        self._delay = delay
        self._data = Path(data) if data is not None else None
        self._model = RemoteModel(llm_base_url, llm_api_key, llm_model) if llm_base_url else StandIn()
        self._thread: threading.Thread | None = None
        self._stopping: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._store: Store | None = None
        self._backend: Backend | None = None
        self._given_up = False
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
        """What goes wrong; may be set at any time."""
        return self.saboteur.plan

    @faults.setter
    def faults(self, plan: FaultPlan | None) -> None:
        self.saboteur = Saboteur(plan)

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
            self._seed(self._store)
        except BaseException:
            listener.close()
            self._close_store()
            raise
        ready = threading.Event()
        self._given_up = False
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
        self._given_up = True
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
        if self._given_up:  # before there was anything to stop
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
            _application(self, self._backend),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        await _Server(config, ready, stopping).serve([listener])

    # What it holds when it starts

    def _seed(self, store: Store) -> None:
        known = {dataset.name: dataset for dataset in store.all(Dataset)}
        if _DATASET in known:
            dataset = known[_DATASET]
        else:
            dataset = Dataset(name=_DATASET, parser_config=shapes.default_parser_config())
            store.put(dataset)
            for path in self._files():
                document = ingestion.add_file(store, dataset, path.name, path.read_bytes())
                ingestion.parse(store, document)
        self.dataset_id = dataset.id
        self.chat_id = self._seeded_chat(store)
        self.agent_id = self._seeded_agent(store, Agent(title=_AGENT, dataset_ids=[dataset.id]))
        self.form_agent_id = self._seeded_agent(store, Agent(title=_FORM_AGENT, dataset_ids=[dataset.id], asks="topic"))

    def _files(self) -> list[Path]:
        if self._docs.is_file():
            return [self._docs]
        return sorted(path for path in self._docs.rglob("*") if path.suffix.lower() in parsing.SUFFIXES)

    def _seeded_chat(self, store: Store) -> str:
        for chat in store.all(Chat):
            if chat.name == _CHAT:
                return chat.id
        chat = Chat(
            name=_CHAT,
            dataset_ids=[self.dataset_id],
            llm_id=shapes.CHAT_MODEL,
            llm_setting=dict(shapes.LLM_SETTING),
            prompt_config=shapes.default_prompt_config(self.era),
        )
        store.put(chat)
        return chat.id

    def _seeded_agent(self, store: Store, wanted: Agent) -> str:
        for agent in store.all(Agent):
            if agent.title == wanted.title:
                return agent.id
        store.put(wanted)
        return wanted.id
