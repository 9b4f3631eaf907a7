"""`RAGFlowQueryEngine`: a RAGFlow chat assistant or agent as a LlamaIndex query engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload

from ragflow_integrations._adapters import Clients
from ragflow_integrations.llamaindex._respondent import Question, Respondent
from ragflow_integrations.llamaindex._tracing import Trace
from ragflow_integrations.llamaindex._turn import Turn
from ragflow_integrations.llamaindex.streaming import RAGFlowStreamingChatResponse
from ragflow_integrations.models import Message

if TYPE_CHECKING:
    from typing import Unpack

    from llama_index.core.prompts.mixin import PromptMixinType
    from llama_index.core.schema import QueryBundle
    from pydantic import SecretStr

    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.models import CompletionOptions, Timeout


class PlainResponse(Response):
    """A response whose text may be empty: LlamaIndex's own says "None" then."""

    def __str__(self) -> str:
        return self.response or ""


class _Streaming(StreamingResponse):
    """A streamed response that ends with the server's final text, to which citations refer, not with the sum of its pieces."""

    def __init__(self, turn: Turn, stream: RAGFlowStreamingChatResponse) -> None:
        super().__init__(stream.response_gen, turn.nodes, turn.metadata)
        self._turn = turn

    def __str__(self) -> str:
        return str(self.get_response())

    def get_response(self) -> Response:
        super().get_response()
        self.response_txt = self._turn.text
        return PlainResponse(self.response_txt, self.source_nodes, self.metadata)


class _AsyncStreaming(AsyncStreamingResponse):
    """The same for asynchronous code."""

    def __init__(self, turn: Turn, stream: RAGFlowStreamingChatResponse) -> None:
        super().__init__(stream.async_response_gen(), turn.nodes, turn.metadata)
        self._turn = turn

    async def _async_str(self) -> str:
        return str(await self.get_response())

    async def get_response(self) -> Response:
        await super().get_response()
        self.response_txt = self._turn.text
        return PlainResponse(self.response_txt, self.source_nodes, self.metadata)


class RAGFlowQueryEngine(BaseQueryEngine):
    """A RAGFlow chat assistant, or an agent, as a query engine.

    Every query stands alone: a chat assistant stores nothing of it; an agent, which answers in sessions only, gets a new one.

    Args:
        client: Client to share, of either kind; excludes `base_url` and `api_key`.
        base_url: Root of the server; default RAGFLOW_BASE_URL.
        api_key: API key; default RAGFLOW_API_KEY.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        agent_id: Or an agent.
        streaming: Answer with a `StreamingResponse` (`query`) or an `AsyncStreamingResponse` (`aquery`).
        callback_manager: Legacy callbacks; default those of `Settings`.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing.
        **options: Options of every question; see `CompletionOptions`.

    Raises:
        InvalidArgumentError: An argument is missing, malformed or contradicts another.

    Example:
        >>> from ragflow_integrations.llamaindex import RAGFlowQueryEngine
        >>> engine = RAGFlowQueryEngine(base_url=base_url, api_key=api_key, chat_id=chat_id)
        >>> response = engine.query("How long does a full charge take?")
        >>> response.source_nodes[0].node.metadata["file_name"]
        'charging-stations.md'
    """

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        chat_id: str | None = None,
        chat_name: str | None = None,
        agent_id: str | None = None,
        streaming: bool = False,
        callback_manager: CallbackManager | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        **options: Unpack[CompletionOptions],
    ) -> None:
        super().__init__(callback_manager)
        clients = Clients(client, base_url=base_url, api_key=api_key, timeout=timeout, max_retries=max_retries)
        self._respondent = Respondent(clients, chat_id=chat_id, chat_name=chat_name, agent_id=agent_id, options=options)
        self._streaming = streaming

    @classmethod
    def from_defaults(cls, client: RAGFlowClient | AsyncRAGFlowClient | None = None, **settings: Any) -> Self:
        """Make an engine; the arguments are those of the constructor."""
        return cls(client, **settings)

    @classmethod
    def of(cls, respondent: Respondent, *, streaming: bool, callback_manager: CallbackManager) -> Self:
        """Make an engine over a chat engine's respondent."""
        engine = cls.__new__(cls)
        BaseQueryEngine.__init__(engine, callback_manager)
        engine._respondent = respondent  # noqa: SLF001 - of this class
        engine._streaming = streaming  # noqa: SLF001 - of this class
        return engine

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Response | StreamingResponse:
        question = query_bundle.query_str
        with self.callback_manager.event(CBEventType.QUERY, payload={EventPayload.QUERY_STR: question}) as event:
            turn = self._begin(question)
            response: Response | StreamingResponse
            with turn.ended_by_errors():
                if self._streaming:
                    stream = RAGFlowStreamingChatResponse(turn, self._respondent.stream(self._question(question)))
                    response = _Streaming(turn, stream)
                else:
                    turn.complete(self._respondent.ask(self._question(question)))
                    turn.end()
                    response = PlainResponse(turn.text, turn.nodes, turn.metadata)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> Response | AsyncStreamingResponse:
        question = query_bundle.query_str
        with self.callback_manager.event(CBEventType.QUERY, payload={EventPayload.QUERY_STR: question}) as event:
            turn = self._begin(question)
            response: Response | AsyncStreamingResponse
            with turn.ended_by_errors():
                if self._streaming:
                    stream = RAGFlowStreamingChatResponse(turn, await self._respondent.astream(self._question(question)))
                    response = _AsyncStreaming(turn, stream)
                else:
                    turn.complete(await self._respondent.aask(self._question(question)))
                    turn.end()
                    response = PlainResponse(turn.text, turn.nodes, turn.metadata)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    def to_payload(self) -> dict[str, Any]:
        """Describe the engine for traces, without secrets."""
        return {"class_name": type(self).__name__, "model": self._respondent.name, **self._respondent.options}

    def _begin(self, question: str) -> Turn:
        asked = [ChatMessage(role=MessageRole.USER, content=question)]
        trace = Trace(self, question, asked, self.to_payload(), self.callback_manager, streamed=self._streaming)
        return Turn(question, None, trace, lambda _: None)

    def _question(self, question: str) -> Question:
        stateless = self._respondent.agent_id is None
        return Question(question, None, (Message(role="user", content=question),) if stateless else None, {})
