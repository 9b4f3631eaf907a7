"""`RAGFlowQueryEngine`: a RAGFlow chat assistant or agent as a LlamaIndex query engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload

from ragflow_integrations._adapters.target import ChatTarget
from ragflow_integrations.llamaindex._component import RAGFlowComponent
from ragflow_integrations.llamaindex._engine_target import EngineTarget
from ragflow_integrations.llamaindex._tracing import Trace
from ragflow_integrations.llamaindex._turn import Turn
from ragflow_integrations.llamaindex.streaming import RAGFlowStreamingChatResponse
from ragflow_integrations.models import Message

if TYPE_CHECKING:
    from typing import Unpack

    from llama_index.core.prompts.mixin import PromptMixinType
    from llama_index.core.schema import QueryBundle

    from ragflow_integrations._adapters.clients import ClientPair
    from ragflow_integrations._adapters.target import Question
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient
    from ragflow_integrations.llamaindex.options import EngineOptions


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


class RAGFlowQueryEngine(RAGFlowComponent, BaseQueryEngine):
    """A RAGFlow chat assistant, or an agent, as a query engine.

    Every query stands alone: a chat assistant stores nothing of it; an agent, which answers in sessions only, gets a new one.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        chat_id: Chat assistant to ask.
        chat_name: Or its exact name.
        agent_id: Or an agent.
        streaming: Answer with a `StreamingResponse` (`query`) or an `AsyncStreamingResponse` (`aquery`).
        callback_manager: Legacy callbacks; default those of `Settings`.
        **options: Options of every question, see `QuestionOptions`; settings of the client (`base_url`, `api_key` …), see
            `ConnectionOptions`.

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
        chat_id: str | None = None,
        chat_name: str | None = None,
        agent_id: str | None = None,
        streaming: bool = False,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        super().__init__(callback_manager)
        self._target = EngineTarget(client, ChatTarget(chat_id, chat_name, agent_id), options)
        self._streaming = streaming

    @classmethod
    def of(cls, target: EngineTarget, *, streaming: bool, callback_manager: CallbackManager) -> Self:
        """Return an engine with the target of a chat engine."""
        engine = cls.__new__(cls)
        BaseQueryEngine.__init__(engine, callback_manager)
        engine._target = target  # noqa: SLF001 - of this class
        engine._streaming = streaming  # noqa: SLF001 - of this class
        return engine

    def _client_pair(self) -> ClientPair:
        return self._target.clients

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Response | StreamingResponse:
        question = query_bundle.query_str
        with self.callback_manager.event(CBEventType.QUERY, payload={EventPayload.QUERY_STR: question}) as event:
            turn = self._begin(question)
            response: Response | StreamingResponse
            with turn.ended_by_errors():
                if self._streaming:
                    stream = RAGFlowStreamingChatResponse(turn, self._target.stream(self._question(turn, question)))
                    response = _Streaming(turn, stream)
                else:
                    turn.complete(self._target.ask(self._question(turn, question)))
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
                    stream = RAGFlowStreamingChatResponse(turn, await self._target.astream(self._question(turn, question)))
                    response = _AsyncStreaming(turn, stream)
                else:
                    turn.complete(await self._target.aask(self._question(turn, question)))
                    turn.end()
                    response = PlainResponse(turn.text, turn.nodes, turn.metadata)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    def to_payload(self) -> dict[str, Any]:
        """Describe the engine for traces, without secrets."""
        return {"class_name": type(self).__name__, "model": self._target.name, **self._target.all_options}

    def _begin(self, question: str) -> Turn:
        messages = [ChatMessage(role=MessageRole.USER, content=question)]
        trace = Trace(self, question, messages, self.to_payload(), self.callback_manager, streamed=self._streaming)
        return Turn(question, None, trace, lambda _: None, streamed=self._streaming)

    def _question(self, turn: Turn, text: str) -> Question:
        stateless = self._target.target.agent_id is None
        history = (Message(role="user", content=text),) if stateless else None
        question = self._target.question(text, {}, history=history)
        turn.stop_before(question.stop)
        return question
