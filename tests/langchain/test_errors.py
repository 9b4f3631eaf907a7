"""Errors are RAGFlow's and LangChain's at once, say whether they may pass, and lose nothing."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core import exceptions as theirs

from ragflow_integrations import errors
from ragflow_integrations import langchain as ours
from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.langchain import ChatRAGFlow, RAGFlowRetriever
from ragflow_integrations.langchain._errors import translate
from tests.langchain.support import QUESTION, openai_stream
from tests.support import sse
from tests.support.wire import Exchange, WireServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# Neither the base nor what only changes of documents and chunks raise is ever met here.
CHANGES = ("DocumentParsingError", "DocumentUploadError", "ChunkNotFoundError")
EVERY = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
EVERY = [kind for kind in EVERY if kind.__name__ not in ("RAGFlowError", *CHANGES)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_is_both(kind: type[errors.RAGFlowError]) -> None:
    plain = kind.__new__(kind, "what happened")
    plain.__dict__.update(code=102, partial="so far", kind=None)
    found = translate(plain)
    assert isinstance(found, kind)
    assert isinstance(found, theirs.ModelError)
    assert type(found).__name__ in ours.__all__
    assert found.is_retryable is plain.retryable
    for twin in (found, pickle.loads(pickle.dumps(found)), copy.copy(found)):  # noqa: S301 - our own
        assert type(twin) is type(found)
        assert str(twin) == str(plain)
        assert twin.__dict__ == found.__dict__
    assert translate(found) is found


def test_an_error_with_no_counterpart_stays_what_it_is() -> None:
    error = errors.RAGFlowError("odd")
    assert translate(error) is error


def test_an_error_of_a_kind_not_known_here_is_one_of_its_base() -> None:
    class NewError(errors.NotFoundError):
        pass

    assert type(translate(NewError("gone"))) is ours.RAGFlowNotFoundError


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def raised(asked: ChatRAGFlow, /, **call: Any) -> list[errors.RAGFlowError]:
    """Ask in the four ways; give the errors."""
    found = []
    for ask in (lambda: asked.invoke(QUESTION, **call), lambda: list(asked.stream(QUESTION, **call))):
        with pytest.raises(errors.RAGFlowError) as caught:
            ask()
        found.append(caught.value)
    return found


async def araised(asked: ChatRAGFlow, /, **call: Any) -> list[errors.RAGFlowError]:
    found = []
    with pytest.raises(errors.RAGFlowError) as caught:
        await asked.ainvoke(QUESTION, **call)
    found.append(caught.value)
    with pytest.raises(errors.RAGFlowError) as caught:
        await anext(asked.astream(QUESTION, **call))
    return [*found, caught.value]


@pytest.mark.parametrize(
    ("plan", "kind", "standard", "passes"),
    [
        (FaultPlan(status=429, retry_after=0), ours.RAGFlowRateLimitError, theirs.ModelRateLimitError, True),
        (FaultPlan(status=502), ours.RAGFlowServerError, theirs.ModelAPIError, True),
        (FaultPlan(llm_error="no money left"), ours.RAGFlowGenerationError, theirs.ModelAPIError, False),
    ],
    ids=["429", "502", "llm"],
)
async def test_what_a_server_says(
    server: Emulator, plan: FaultPlan, kind: type[Exception], standard: type[Exception], passes: bool
) -> None:
    server.faults = plan
    model = ChatRAGFlow(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key, max_retries=0)
    for error in [*raised(model), *await araised(model)]:
        assert type(error) is kind
        assert isinstance(error, standard)
        assert isinstance(error, theirs.ModelError)
        assert error.is_retryable is error.retryable is passes
    await model.aclose()


@pytest.mark.parametrize(("kind", "passes"), [("RATE_LIMIT_EXCEEDED", True), ("AUTH_ERROR", False)])
def test_what_an_llm_says(kind: str, *, passes: bool) -> None:
    with WireServer(openai_stream("Well, ", f"\n**ERROR**: {kind} - see there")) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="k")
        with pytest.raises(ours.RAGFlowGenerationError) as caught:
            list(model.stream("q"))
        model.close()
    assert caught.value.kind == kind
    assert caught.value.partial.strip() == "Well,"
    assert caught.value.is_retryable is passes


async def test_a_stream_that_breaks(server: Emulator) -> None:
    server.faults = FaultPlan(cut_after=1)
    model = ChatRAGFlow(chat_id=server.chat_id, base_url=server.base_url, api_key=server.api_key, max_retries=0)
    said: list[str] = []

    async def read() -> None:
        async for chunk in model.astream(QUESTION):
            said.append(str(chunk.content))  # noqa: PERF401 - what came before the error must be kept

    with pytest.raises(ours.RAGFlowStreamInterruptedError) as caught:
        said.extend(str(chunk.content) for chunk in model.stream(QUESTION))
    assert "".join(said) == caught.value.partial, "all that came before is given"
    said.clear()
    with pytest.raises(theirs.ModelConnectionError) as other:
        await read()
    assert other.value.is_retryable
    assert "".join(said) == caught.value.partial
    await model.aclose()


async def test_keys_ids_and_addresses(server: Emulator) -> None:
    connection = {"base_url": server.base_url, "api_key": server.api_key}
    cases: list[tuple[dict[str, Any], dict[str, Any], type[Exception], type[Exception]]] = [
        ({"api_key": "wrong"}, {}, ours.RAGFlowAuthenticationError, theirs.ModelAuthenticationError),
        ({"chat_id": "nobody"}, {}, ours.RAGFlowChatNotFoundError, theirs.ModelNotFoundError),
        ({}, {"session_id": "nowhere"}, ours.RAGFlowSessionNotFoundError, theirs.ModelNotFoundError),
        ({}, {"model": "nothing@X"}, ours.RAGFlowModelUnavailableError, theirs.ModelNotFoundError),
        ({"base_url": "http://127.0.0.1:9", "max_retries": 0}, {}, ours.RAGFlowConnectionError, theirs.ModelConnectionError),
    ]
    for fields, call, kind, standard in cases:
        model = ChatRAGFlow(**{"chat_id": server.chat_id, **connection, **fields})
        for error in [*raised(model, **call), *await araised(model, **call)]:
            assert type(error) is kind, (error, fields, call)
            assert isinstance(error, standard)
            assert "wrong" not in str(error)
        await model.aclose()


async def test_retrievers_too(server: Emulator) -> None:
    retriever = RAGFlowRetriever(dataset_ids=["nowhere"], base_url=server.base_url, api_key=server.api_key)
    for attempt in ("invoke", "ainvoke"):
        with pytest.raises(ours.RAGFlowDatasetNotFoundError) as caught:
            await retriever.ainvoke("q") if attempt == "ainvoke" else retriever.invoke("q")
        assert isinstance(caught.value, theirs.ModelNotFoundError)
    await retriever.aclose()


def test_the_reply_is_in_the_trace_and_the_key_is_not() -> None:
    def script(exchange: Exchange) -> None:
        body = {"code": 102, "message": "You don't own the chat", "data": None}
        exchange.reply(headers=[("x-request-id", "r-1")], json=body)

    with WireServer(script) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="secret-key")
        with pytest.raises(errors.APIError) as caught:
            model.invoke("q")
        model.close()
    assert caught.value.request_id == "r-1"
    assert caught.value.response is not None
    assert caught.value.response.json()["code"] == 102
    assert "secret-key" not in repr(caught.value.__dict__)


def test_causes_are_kept() -> None:
    with WireServer(
        lambda exchange: exchange.reply(body=b"<html>hello</html>", headers=[("content-type", "text/html")])
    ) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="k")
        with pytest.raises(ours.RAGFlowProtocolError) as caught:
            model.invoke("q")
        assert caught.value.__suppress_context__, "one error is shown, not two"
        model.close()


def test_a_silent_server() -> None:
    def script(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(sse.openai_chunk("Well"))
        exchange.wait_closed()
        exchange.close()

    with WireServer(script) as server:
        model = ChatRAGFlow(chat_id="c", base_url=server.base_url, api_key="k", timeout=0.2)
        with pytest.raises(ours.RAGFlowStreamInterruptedError) as caught:
            list(model.stream("q"))
        assert caught.value.partial == "Well"
        model.close()
