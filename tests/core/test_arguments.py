"""Wrong arguments are refused by name, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import AsyncRAGFlowClient, InvalidArgumentError, Message, RAGFlowClient, Timeout
from ragflow_integrations.citations import MarkerRewriter, check_style
from tests.core.driver import AGENT, CHAT, DATASET, DOCUMENT, KEY, SESSION
from tests.core.scripts import HISTORY, QUESTION
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.conftest import Connect
    from tests.core.driver import Call
    from tests.support.wire import Exchange

EMPTY: list[Any] = ["", "  ", "\n", 5, b"x", ["x"]]
NOT_IDS: list[Any] = ["one", [], [""], [5], 5, [None], {}]

#: A call with one argument open → the name of that argument; tried with every value that is no text.
TEXTS: dict[str, Callable[[Any, Any], Any]] = {
    "chats.create name": lambda c, x: c.chats.create(x),
    "chats.get chat_id": lambda c, x: c.chats.get(x),
    "chats.find name": lambda c, x: c.chats.find(x),
    "chats.list name": lambda c, x: c.chats.list(name=x),
    "chats.update chat_id": lambda c, x: c.chats.update(x, name="n"),
    "chats.update name": lambda c, x: c.chats.update(CHAT, name=x),
    "sessions.create chat_id": lambda c, x: c.sessions.create(x),
    "sessions.create name": lambda c, x: c.sessions.create(CHAT, x),
    "sessions.get chat_id": lambda c, x: c.sessions.get(x, SESSION),
    "sessions.get session_id": lambda c, x: c.sessions.get(CHAT, x),
    "sessions.list chat_id": lambda c, x: c.sessions.list(x),
    "sessions.list name": lambda c, x: c.sessions.list(CHAT, name=x),
    "sessions.update chat_id": lambda c, x: c.sessions.update(x, SESSION, name="n"),
    "sessions.update session_id": lambda c, x: c.sessions.update(CHAT, x, name="n"),
    "sessions.update name": lambda c, x: c.sessions.update(CHAT, SESSION, name=x),
    "sessions.delete chat_id": lambda c, x: c.sessions.delete(x, [SESSION]),
    "sessions.delete_message chat_id": lambda c, x: c.sessions.delete_message(x, SESSION, "m"),
    "sessions.delete_message session_id": lambda c, x: c.sessions.delete_message(CHAT, x, "m"),
    "sessions.delete_message message_id": lambda c, x: c.sessions.delete_message(CHAT, SESSION, x),
    "sessions.feedback chat_id": lambda c, x: c.sessions.feedback(x, SESSION, "m", helpful=True),
    "sessions.feedback session_id": lambda c, x: c.sessions.feedback(CHAT, x, "m", helpful=True),
    "sessions.feedback message_id": lambda c, x: c.sessions.feedback(CHAT, SESSION, x, helpful=True),
    "datasets.create name": lambda c, x: c.datasets.create(x),
    "datasets.get dataset_id": lambda c, x: c.datasets.get(x),
    "datasets.find name": lambda c, x: c.datasets.find(x),
    "datasets.list name": lambda c, x: c.datasets.list(name=x),
    "datasets.update dataset_id": lambda c, x: c.datasets.update(x, name="n"),
    "datasets.update name": lambda c, x: c.datasets.update(DATASET, name=x),
    "datasets.update embedding_model": lambda c, x: c.datasets.update(DATASET, embedding_model=x),
    "documents.upload dataset_id": lambda c, x: c.documents.upload(x, [("a", b"a")]),
    "documents.get dataset_id": lambda c, x: c.documents.get(x, DOCUMENT),
    "documents.get document_id": lambda c, x: c.documents.get(DATASET, x),
    "documents.list dataset_id": lambda c, x: c.documents.list(x),
    "documents.list name": lambda c, x: c.documents.list(DATASET, name=x),
    "documents.list keywords": lambda c, x: c.documents.list(DATASET, keywords=x),
    "documents.download dataset_id": lambda c, x: c.documents.download(x, DOCUMENT),
    "documents.download document_id": lambda c, x: c.documents.download(DATASET, x),
    "documents.delete dataset_id": lambda c, x: c.documents.delete(x, [DOCUMENT]),
    "documents.parse dataset_id": lambda c, x: c.documents.parse(x, [DOCUMENT]),
    "documents.stop dataset_id": lambda c, x: c.documents.stop(x, [DOCUMENT]),
    "documents.wait dataset_id": lambda c, x: c.documents.wait(x, [DOCUMENT]),
    "documents.update dataset_id": lambda c, x: c.documents.update(x, DOCUMENT, name="n"),
    "documents.update document_id": lambda c, x: c.documents.update(DATASET, x, name="n"),
    "documents.update name": lambda c, x: c.documents.update(DATASET, DOCUMENT, name=x),
    "chunks.get dataset_id": lambda c, x: c.chunks.get(x, DOCUMENT, "c"),
    "chunks.get document_id": lambda c, x: c.chunks.get(DATASET, x, "c"),
    "chunks.get chunk_id": lambda c, x: c.chunks.get(DATASET, DOCUMENT, x),
    "chunks.update dataset_id": lambda c, x: c.chunks.update(x, DOCUMENT, "c", content="t"),
    "chunks.update document_id": lambda c, x: c.chunks.update(DATASET, x, "c", content="t"),
    "chunks.update chunk_id": lambda c, x: c.chunks.update(DATASET, DOCUMENT, x, content="t"),
    "chunks.update content": lambda c, x: c.chunks.update(DATASET, DOCUMENT, "c", content=x),
    "chunks.list dataset_id": lambda c, x: c.chunks.list(x, DOCUMENT),
    "chunks.list document_id": lambda c, x: c.chunks.list(DATASET, x),
    "chunks.list keywords": lambda c, x: c.chunks.list(DATASET, DOCUMENT, keywords=x),
    "chunks.create dataset_id": lambda c, x: c.chunks.create(x, DOCUMENT, "text"),
    "chunks.create document_id": lambda c, x: c.chunks.create(DATASET, x, "text"),
    "chunks.create content": lambda c, x: c.chunks.create(DATASET, DOCUMENT, x),
    "chunks.delete dataset_id": lambda c, x: c.chunks.delete(x, DOCUMENT, ["x"]),
    "chunks.delete document_id": lambda c, x: c.chunks.delete(DATASET, x, ["x"]),
    "agents.get agent_id": lambda c, x: c.agents.get(x),
    "agents.find title": lambda c, x: c.agents.find(x),
    "agents.list title": lambda c, x: c.agents.list(title=x),
    "agents.create_session agent_id": lambda c, x: c.agents.create_session(x),
    "agents.get_session agent_id": lambda c, x: c.agents.get_session(x, SESSION),
    "agents.get_session session_id": lambda c, x: c.agents.get_session(AGENT, x),
    "agents.list_sessions agent_id": lambda c, x: c.agents.list_sessions(x),
    "agents.delete_sessions agent_id": lambda c, x: c.agents.delete_sessions(x, [SESSION]),
    "ask question": lambda c, x: c.ask(x, chat_id=CHAT),
    "ask chat_id": lambda c, x: c.ask("q", chat_id=x),
    "ask agent_id": lambda c, x: c.ask("q", agent_id=x),
    "ask session_id": lambda c, x: c.ask("q", chat_id=CHAT, session_id=x),
    "ask model": lambda c, x: c.ask(**QUESTION, model=x),
    "stream question": lambda c, x: c.stream(x, chat_id=CHAT),
    "stream chat_id": lambda c, x: c.stream("q", chat_id=x),
    "stream agent_id": lambda c, x: c.stream("q", agent_id=x),
    "stream session_id": lambda c, x: c.stream("q", chat_id=CHAT, session_id=x),
    "complete chat_id": lambda c, x: c.complete(HISTORY["messages"], chat_id=x),
    "stream_complete chat_id": lambda c, x: c.stream_complete(HISTORY["messages"], chat_id=x),
    "retrieve question": lambda c, x: c.retrieve(x, dataset_ids=[DATASET]),
    "retrieve rerank_id": lambda c, x: c.retrieve("q", dataset_ids=[DATASET], rerank_id=x),
    "related_questions question": lambda c, x: c.related_questions(x),
}
LISTS: dict[str, Callable[[Any, Any], Any]] = {
    "chats.delete chat_ids": lambda c, x: c.chats.delete(x),
    "sessions.delete session_ids": lambda c, x: c.sessions.delete(CHAT, x),
    "datasets.delete dataset_ids": lambda c, x: c.datasets.delete(x),
    "documents.delete document_ids": lambda c, x: c.documents.delete(DATASET, x),
    "documents.parse document_ids": lambda c, x: c.documents.parse(DATASET, x),
    "documents.stop document_ids": lambda c, x: c.documents.stop(DATASET, x),
    "documents.wait document_ids": lambda c, x: c.documents.wait(DATASET, x),
    "chunks.delete chunk_ids": lambda c, x: c.chunks.delete(DATASET, DOCUMENT, x),
    "chunks.create important_keywords": lambda c, x: c.chunks.create(DATASET, DOCUMENT, "t", important_keywords=x),
    "chunks.create questions": lambda c, x: c.chunks.create(DATASET, DOCUMENT, "t", questions=x),
    "retrieve metadata_fields": lambda c, x: c.retrieve("q", dataset_ids=[DATASET], metadata_fields=x),
    "agents.delete_sessions session_ids": lambda c, x: c.agents.delete_sessions(AGENT, x),
    "retrieve dataset_ids": lambda c, x: c.retrieve("q", dataset_ids=x),
    "retrieve document_ids": lambda c, x: c.retrieve("q", dataset_ids=[DATASET], document_ids=x),
    "retrieve cross_languages": lambda c, x: c.retrieve("q", dataset_ids=[DATASET], cross_languages=x),
    "ask document_ids": lambda c, x: c.ask(**QUESTION, document_ids=x),
    "complete document_ids": lambda c, x: c.complete(**HISTORY, document_ids=x),
}
#: Further calls → the argument they get wrong.
OTHERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("dataset_ids", lambda c: c.chats.create("n", dataset_ids="one")),
    ("dataset_ids[0]", lambda c: c.chats.create("n", dataset_ids=[""])),
    ("dataset_ids", lambda c: c.chats.update(CHAT, dataset_ids="one")),
    ("llm", lambda c: c.chats.create("n", llm="gpt")),
    ("llm", lambda c: c.chats.create("n", llm={"temprature": 1})),
    ("prompt", lambda c: c.chats.create("n", prompt=["x"])),
    ("prompt", lambda c: c.chats.create("n", prompt={"sistem": "x"})),
    ("prompt", lambda c: c.chats.create("n", prompt={"keywords_similarity_weight": 0.1, "vector_similarity_weight": 0.9})),
    ("prompt['keywords_similarity_weight']", lambda c: c.chats.create("n", prompt={"keywords_similarity_weight": 2})),
    ("dataset_ids", lambda c: c.chats.create("n", dataset_ids="")),
    ("dataset_ids", lambda c: c.chats.update(CHAT, dataset_ids=False)),
    ("description", lambda c: c.datasets.create("n", description=5)),
    ("embedding_model", lambda c: c.datasets.create("n", embedding_model="")),
    ("chunk_method", lambda c: c.datasets.create("n", chunk_method=5)),
    ("description", lambda c: c.datasets.update(DATASET, description=5)),
    ("delete_all", lambda c: c.chats.delete([CHAT], delete_all="yes")),
    ("delete_all", lambda c: c.documents.delete(DATASET, delete_all=1)),
    ("description", lambda c: c.chats.create("n", description=5)),
    ("description", lambda c: c.chats.update(CHAT, description=5)),
    ("llm", lambda c: c.chats.create("n", llm={"llm_id": "a", "model_name": "b"})),
    ("llm['llm_id']", lambda c: c.chats.create("n", llm={"llm_id": ""})),
    ("llm['temperature']", lambda c: c.chats.create("n", llm={"temperature": "hot"})),
    ("llm['top_p']", lambda c: c.chats.create("n", llm={"top_p": float("nan")})),
    ("llm['max_tokens']", lambda c: c.chats.update(CHAT, llm={"max_tokens": 0})),
    ("prompt", lambda c: c.chats.create("n", prompt={"prompt": "a", "system": "b"})),
    ("prompt", lambda c: c.chats.create("n", prompt={"rerank_model": "a", "rerank_id": "b"})),
    ("prompt['system']", lambda c: c.chats.create("n", prompt={"system": 5})),
    ("prompt['quote']", lambda c: c.chats.create("n", prompt={"quote": "yes"})),
    ("prompt['variables']", lambda c: c.chats.create("n", prompt={"variables": "knowledge"})),
    ("prompt['parameters'][0]['x']", lambda c: c.chats.create("n", prompt={"parameters": [{"x": {1}}]})),
    ("prompt['top_n']", lambda c: c.chats.create("n", prompt={"top_n": 0})),
    ("name", lambda c: c.chats.update(CHAT)),
    ("name", lambda c: c.documents.update(DATASET, DOCUMENT)),
    ("metadata", lambda c: c.documents.update(DATASET, DOCUMENT, metadata="x")),
    ("metadata['at']", lambda c: c.documents.update(DATASET, DOCUMENT, metadata={"at": object()})),
    ("content", lambda c: c.chunks.update(DATASET, DOCUMENT, "c")),
    ("important_keywords", lambda c: c.chunks.update(DATASET, DOCUMENT, "c", important_keywords="one")),
    ("important_keywords[0]", lambda c: c.chunks.update(DATASET, DOCUMENT, "c", important_keywords=[""])),
    ("available", lambda c: c.chunks.update(DATASET, DOCUMENT, "c", available="yes")),
    ("comment", lambda c: c.sessions.feedback(CHAT, SESSION, "m", helpful=True, comment=5)),
    ("progress", lambda c: c.documents.wait(DATASET, [DOCUMENT], progress="bar")),
    ("timeout", lambda c: c.documents.wait(DATASET, [DOCUMENT], timeout=float("nan"))),
    ("timeout", lambda c: c.documents.wait(DATASET, [DOCUMENT], timeout=-1)),
    ("temperature", lambda c: c.complete(**HISTORY, temperature=float("inf"))),
    ("variables", lambda c: c.ask(**QUESTION, variables={"session_id": "x"})),
    ("variables['day']", lambda c: c.ask(**QUESTION, variables={"day": object()})),
    ("inputs['day']", lambda c: c.ask("q", agent_id=AGENT, inputs={"day": {1}})),
    ("name", lambda c: c.datasets.update(DATASET)),
    ("chat_ids", lambda c: c.chats.delete()),
    ("chat_ids", lambda c: c.chats.delete([CHAT], delete_all=True)),
    ("session_ids", lambda c: c.sessions.delete(CHAT)),
    ("session_ids", lambda c: c.sessions.delete(CHAT, [SESSION], delete_all=True)),
    ("dataset_ids", lambda c: c.datasets.delete()),
    ("document_ids", lambda c: c.documents.delete(DATASET)),
    ("session_ids", lambda c: c.agents.delete_sessions(AGENT)),
    ("helpful", lambda c: c.sessions.feedback(CHAT, SESSION, "m", helpful=1)),
    ("helpful", lambda c: c.sessions.feedback(CHAT, SESSION, "m", helpful=None)),
    ("files", lambda c: c.documents.upload(DATASET, [])),
    ("files", lambda c: c.documents.upload(DATASET, "a.txt")),
    ("files", lambda c: c.documents.upload(DATASET, b"text")),
    ("files[0]", lambda c: c.documents.upload(DATASET, ["/no/such/file"])),
    ("files[1]", lambda c: c.documents.upload(DATASET, [("a", b"a"), ("b", "text")])),
    ("files[0]", lambda c: c.documents.upload(DATASET, [("", b"a")])),
    ("files[0]", lambda c: c.documents.upload(DATASET, [("a", b"a", "text/plain")])),
    ("files[0]", lambda c: c.documents.upload(DATASET, [5])),
    ("timeout", lambda c: c.documents.wait(DATASET, [DOCUMENT], timeout="soon")),
    ("limit", lambda c: c.retrieve("q", dataset_ids=[DATASET], limit=0)),
    ("limit", lambda c: c.retrieve("q", dataset_ids=[DATASET], limit=True)),
    ("limit", lambda c: c.retrieve("q", dataset_ids=[DATASET], limit=2.5)),
    ("top_k", lambda c: c.retrieve("q", dataset_ids=[DATASET], top_k=0)),
    ("similarity_threshold", lambda c: c.retrieve("q", dataset_ids=[DATASET], similarity_threshold=1.5)),
    ("vector_similarity_weight", lambda c: c.retrieve("q", dataset_ids=[DATASET], vector_similarity_weight="x")),
    ("metadata_condition", lambda c: c.retrieve("q", dataset_ids=[DATASET], metadata_condition="x")),
    ("keyword", lambda c: c.retrieve("q", dataset_ids=[DATASET], keyword="yes")),
    ("highlight", lambda c: c.retrieve("q", dataset_ids=[DATASET], highlight="yes")),
    ("chat_id", lambda c: c.ask("q")),
    ("chat_id", lambda c: c.ask("q", chat_id=CHAT, agent_id=AGENT)),
    ("chat_id", lambda c: c.stream("q")),
    ("chat_id", lambda c: c.stream("q", chat_id=CHAT, agent_id=AGENT)),
    ("chat_id", lambda c: c.complete(HISTORY["messages"], chat_id=None)),
    ("messages", lambda c: c.complete([], chat_id=CHAT)),
    ("messages", lambda c: c.complete("hello", chat_id=CHAT)),
    ("messages", lambda c: c.complete({"role": "user", "content": "x"}, chat_id=CHAT)),
    ("messages", lambda c: c.complete(5, chat_id=CHAT)),
    ("messages", lambda c: c.complete([Message(role="assistant", content="x")], chat_id=CHAT)),
    ("messages[0]", lambda c: c.complete(["hello"], chat_id=CHAT)),
    ("messages[0]", lambda c: c.complete([{"role": "user"}], chat_id=CHAT)),
    ("messages[0]", lambda c: c.complete([{"role": "user", "content": [{"type": "text"}]}], chat_id=CHAT)),
    ("messages[0]", lambda c: c.complete([{"role": "system", "content": "x"}, *HISTORY["messages"]], chat_id=CHAT)),
    ("messages[0]", lambda c: c.stream_complete([{"role": "tool", "content": "x"}], chat_id=CHAT)),
    ("temprature", lambda c: c.ask(**QUESTION, temprature=1)),
    ("temprature", lambda c: c.complete(**HISTORY, temprature=1)),
    ("temperature", lambda c: c.ask(**QUESTION, temperature=0)),
    ("temperature", lambda c: c.complete(**HISTORY, temperature="hot")),
    ("top_p", lambda c: c.complete(**HISTORY, top_p=True)),
    ("max_tokens", lambda c: c.complete(**HISTORY, max_tokens=0)),
    ("max_tokens", lambda c: c.complete(**HISTORY, max_tokens=1.5)),
    ("citation_style", lambda c: c.ask(**QUESTION, citation_style="footnote")),
    ("citation_style", lambda c: c.stream_complete(**HISTORY, citation_style="footnote")),
    ("reasoning_effort", lambda c: c.ask(**QUESTION, reasoning_effort="maximal")),
    ("reasoning_effort", lambda c: c.ask(**QUESTION, reasoning_effort=["low"])),
    ("internet", lambda c: c.ask(**QUESTION, internet="yes")),
    ("return_trace", lambda c: c.ask("q", agent_id=AGENT, return_trace="yes")),
    ("metadata_condition", lambda c: c.ask(**QUESTION, metadata_condition="x")),
    ("metadata_condition", lambda c: c.complete(**HISTORY, metadata_condition={}, document_ids=["d"])),
    ("metadata_condition", lambda c: c.ask(**QUESTION, metadata_condition={"team": "sales"})),
    ("variables", lambda c: c.ask(**QUESTION, variables="x")),
    ("variables", lambda c: c.complete(**HISTORY, variables={"a": "b"})),
    ("inputs", lambda c: c.ask(**QUESTION, inputs={"a": "b"})),
    ("inputs", lambda c: c.ask("q", agent_id=AGENT, inputs="x")),
    ("return_trace", lambda c: c.complete(**HISTORY, return_trace=True)),
    ("document_ids", lambda c: c.ask("q", agent_id=AGENT, document_ids=["d"])),
    ("model", lambda c: c.stream("q", agent_id=AGENT, model="m")),
]


def no_request(exchange: Exchange) -> None:
    raise AssertionError(f"{exchange.method} {exchange.path} was sent")


def refused(connect: Connect, call: Call, argument: str) -> None:
    with WireServer(no_request) as server:
        error = connect(server.base_url).fails(call)
        assert type(error) is InvalidArgumentError
        assert error.argument == argument
        assert f"`{argument}`" in str(error)
        assert server.requests == []


@pytest.mark.parametrize("call", TEXTS)
def test_texts(call: str, connect: Connect) -> None:
    name = call.split()[1]
    given: list[Any] = list(EMPTY)
    if call.split(maxsplit=1)[0] not in (
        "chats.list",
        "datasets.list",
        "documents.list",
        "sessions.list",
        "agents.list",
        "chunks.list",
    ):
        given.append(None)
    for value in given:
        if value is None and (name in ("session_id", "model", "rerank_id", "embedding_model") or call.endswith("update name")):
            continue  # may be left out
        if value is None and call.split(maxsplit=1)[0] in ("ask", "stream") and name == "agent_id":
            name = "chat_id"  # neither is given
        refused(connect, lambda client, value=value: TEXTS[call](client, value), name)


@pytest.mark.parametrize("call", LISTS)
def test_lists_of_ids(call: str, connect: Connect) -> None:
    name = call.split()[1]
    for value in NOT_IDS:
        inside = isinstance(value, list) and value
        refused(connect, lambda client, value=value: LISTS[call](client, value), f"{name}[0]" if inside else name)


@pytest.mark.parametrize("at", range(len(OTHERS)), ids=lambda at: f"{OTHERS[at][0]}-{at}")
def test_other_arguments(at: int, connect: Connect) -> None:
    argument, call = OTHERS[at]
    refused(connect, call, argument)


def test_a_folder_cannot_be_uploaded(connect: Connect, tmp_path: Path) -> None:
    refused(connect, lambda client: client.documents.upload(DATASET, [tmp_path]), "files[0]")


@pytest.mark.parametrize("value", [".", ".."])
def test_an_id_does_not_lead_elsewhere(value: str, connect: Connect) -> None:
    with WireServer(no_request) as server:
        driver = connect(server.base_url)
        for call in (
            lambda client: client.sessions.delete(value, [SESSION]),
            lambda client: client.documents.download(DATASET, value),
            lambda client: client.ask("q", chat_id=value, session_id=SESSION),
        ):
            assert isinstance(driver.fails(call), InvalidArgumentError)


@pytest.mark.parametrize("kind", [RAGFlowClient, AsyncRAGFlowClient])
@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("base_url", {"base_url": "localhost:9380"}),
        ("base_url", {"base_url": "ftp://host"}),
        ("base_url", {"base_url": "http://"}),
        ("base_url", {"base_url": ""}),
        ("base_url", {"base_url": 5}),
        ("base_url", {"base_url": "http://host:port"}),
        ("base_url", {"base_url": "http://[::1"}),
        ("base_url", {"base_url": "http://host/?a=b"}),
        ("base_url", {"base_url": "http://host/#a"}),
        ("base_url", {"base_url": "http://me:secret@host"}),
        ("base_url", {"base_url": "http://secret@host"}),
        ("base_url", {"base_url": "me:secret@host"}),
        ("base_url", {"base_url": "me:secret@host:9380/api/v1"}),
        ("base_url", {"base_url": "http://me:12/secret@host"}),
        ("base_url", {"base_url": "http://me:[secret@host"}),
        ("base_url", {"base_url": "http://host:secret"}),
        ("base_url", {"base_url": "ragflow-secret-key-where-the-address-belongs"}),
        ("base_url", {"base_url": "http://host/a\r\nb"}),
        ("base_url", {"base_url": "http://host/a b"}),
        ("api_key", {"api_key": 123}),
        ("api_key", {"api_key": ["ragflow-secret"]}),
        ("api_key", {"api_key": "ragflow-\nsecret"}),
        ("api_key", {"api_key": None}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": -1}),
        ("timeout", {"timeout": "10"}),
        ("timeout", {"timeout": True}),
        ("timeout", {"timeout": float("nan")}),
        ("timeout", {"timeout": float("inf")}),
        ("timeout", {"timeout": 1e12}),
        ("timeout", {"timeout": (1, 2)}),
        ("max_retries", {"max_retries": -1}),
        ("max_retries", {"max_retries": 1.5}),
        ("max_retries", {"max_retries": True}),
        ("max_retries", {"max_retries": "2"}),
    ],
    ids=str,
)
def test_settings(kind: Any, argument: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind(**({"base_url": "http://host", "api_key": KEY} | given))
    assert caught.value.argument == argument
    assert "secret" not in str(caught.value)


def test_the_key_missing_says_where_keys_are_made() -> None:
    with pytest.raises(InvalidArgumentError, match="RAGFLOW_API_KEY") as caught:
        RAGFlowClient("http://host")
    assert "avatar > API" in str(caught.value)


def test_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_API_KEY", KEY)
    assert RAGFlowClient().base_url == "http://localhost:9380"
    monkeypatch.setenv("RAGFLOW_BASE_URL", "https://ragflow.example/api/v1/")
    client = RAGFlowClient(timeout=5)
    assert client.base_url == "https://ragflow.example"
    assert client.timeout == Timeout(connect=5, read=5)
    assert RAGFlowClient(timeout=50).timeout == Timeout(connect=10, read=50)
    assert RAGFlowClient(timeout=Timeout(connect=1)).timeout == Timeout(connect=1, read=600)


def test_styles() -> None:
    for style in ("bracket", "raw", "none"):
        check_style(style)
        MarkerRewriter(style)
    with pytest.raises(InvalidArgumentError):
        check_style("other")
