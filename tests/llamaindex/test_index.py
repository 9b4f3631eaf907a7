from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import Document

from ragflow_integrations import (
    AsyncRAGFlowClient,
    DatasetNotFoundError,
    DocumentNotFoundError,
    InvalidArgumentError,
    RAGFlowClient,
)
from ragflow_integrations.llamaindex import RAGFlowIndex, RAGFlowReader
from tests.llamaindex.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragflow_integrations.emulator import Emulator

THERMOSTAT = Document(text="The Nordwind thermostat runs on two lithium cells.", id_="thermostat")
RADIO = Document(text="The Nordwind radio reaches thirty metres.", metadata={"file_name": "radio.md"})
PAGE = Document(text="The Nordwind lamp glows green.", metadata={"file_name": "lamp.pdf", "page_label": "7"})
QUESTION = "What does the Nordwind thermostat run on?"


@pytest.fixture
def client(server: Emulator) -> Iterator[RAGFlowClient]:
    with RAGFlowClient(server.base_url, server.api_key) as made:
        yield made


@pytest.fixture
def index(client: RAGFlowClient) -> Iterator[RAGFlowIndex]:
    made = RAGFlowIndex.from_documents([THERMOSTAT, RADIO, PAGE], client=client, dataset_name="Devices")
    yield made
    client.datasets.delete([made.dataset_id])
    for chat in list(client.chats.list(name="Devices (LlamaIndex)")):
        client.chats.delete([chat.id])


def _names(index: RAGFlowIndex) -> list[str]:
    return sorted(info.metadata["file_name"] for info in index.ref_doc_info.values())


def test_from_documents(index: RAGFlowIndex, client: RAGFlowClient) -> None:
    assert _names(index) == ["lamp.pdf-7.txt", "radio.md", "thermostat.txt"]
    assert all(info.node_ids for info in index.ref_doc_info.values())
    again = RAGFlowIndex.from_documents([], client=client, dataset_name="Devices")
    assert again.dataset_id == index.dataset_id
    assert RAGFlowIndex.from_defaults(client, dataset_name="Devices").dataset_id == index.dataset_id


def test_progress(client: RAGFlowClient, index: RAGFlowIndex, capsys: pytest.CaptureFixture[str]) -> None:
    RAGFlowIndex(client, dataset_id=index.dataset_id, show_progress=True).insert(Document(text="The lamp is red.", id_="x"))
    assert "100%" in capsys.readouterr().err
    RAGFlowIndex(client, dataset_id=index.dataset_id).insert(Document(text="The lamp is blue.", id_="y"))
    assert capsys.readouterr().err == ""


def test_retriever_query_and_chat(index: RAGFlowIndex) -> None:
    [best] = index.as_retriever(similarity_top_k=1).retrieve(QUESTION)
    assert best.node.metadata["file_name"] == "thermostat.txt"
    assert str(index.as_query_engine().query(QUESTION)) == "The Nordwind thermostat runs on two lithium cells [1]."
    assert "lithium" in "".join(index.as_query_engine(streaming=True).query(QUESTION).response_gen)  # type: ignore[union-attr, arg-type]  # it streams
    assert "lithium" in str(index.as_chat_engine().chat(QUESTION))
    assert "[ID:0]" in str(index.as_chat_engine(citation_style="raw").chat(QUESTION))
    assert "lithium" not in str(index.as_query_engine(chat_name="Emulator assistant").query(QUESTION))


def test_with_an_llm_of_ones_own(index: RAGFlowIndex) -> None:
    llm = Scripted("Lithium cells.")
    response = index.as_query_engine(llm=llm, similarity_top_k=1, response_mode="compact").query(QUESTION)
    assert str(response) == "Lithium cells."
    assert len(response.source_nodes) == 1
    for mode in (None, ChatMode.CONTEXT, ChatMode.CONDENSE_QUESTION):
        memory = ChatMemoryBuffer.from_defaults(token_limit=10_000, tokenizer_fn=str.split)
        engine = index.as_chat_engine(mode, llm=llm, memory=memory, similarity_top_k=1)
        said = engine.chat(QUESTION)
        assert str(said) == "Lithium cells."
        assert len(said.source_nodes) == 1
    with pytest.raises(InvalidArgumentError, match="simple"):
        index.as_chat_engine(ChatMode.SIMPLE, llm=llm)


def test_insert_update_delete(index: RAGFlowIndex) -> None:
    index.insert(Document(text="The Nordwind horn is loud.", id_="horn"))
    assert "horn.txt" in _names(index)
    index.update_ref_doc(Document(text="The Nordwind horn is silent.", id_="horn"))
    [horn] = index.as_retriever(similarity_top_k=1).retrieve("How is the Nordwind horn?")
    assert "silent" in horn.text
    index.delete_ref_doc("horn")
    assert "horn.txt" not in _names(index)
    found = index.as_retriever(similarity_top_k=1).retrieve("How far does the radio reach?")[0].node.ref_doc_id
    index.delete_ref_doc(str(found))
    assert _names(index) == ["lamp.pdf-7.txt", "thermostat.txt"]
    with pytest.raises(DocumentNotFoundError):
        index.delete_ref_doc("nothing")


def test_refresh(index: RAGFlowIndex, client: RAGFlowClient) -> None:
    elsewhere = RAGFlowIndex(client, dataset_id=index.dataset_id)  # as another process would
    louder = Document(text="The Nordwind radio reaches ninety metres.", metadata={"file_name": "radio.md"})
    new = Document(text="The Nordwind horn is loud.", id_="horn")
    assert elsewhere.refresh_ref_docs([THERMOSTAT, louder, new]) == [False, True, True]
    assert elsewhere.refresh_ref_docs([THERMOSTAT, louder, new]) == [False, False, False]
    assert _names(index) == ["horn.txt", "lamp.pdf-7.txt", "radio.md", "thermostat.txt"]


def test_async(index: RAGFlowIndex) -> None:
    async def main() -> list[bool]:
        await index.ainsert(Document(text="The Nordwind horn is loud.", id_="horn"))
        await index.ainsert_nodes([Document(text="The Nordwind bell rings.", id_="bell")])
        await index.aupdate_ref_doc(Document(text="The Nordwind bell hums.", id_="bell"))
        changed = await index.arefresh_ref_docs([Document(text="The Nordwind bell rings.", id_="bell")])
        await index.adelete_ref_doc("horn")
        return changed

    assert asyncio.run(main()) == [True]
    assert "bell.txt" in _names(index)


def test_wrong_arguments(index: RAGFlowIndex, client: RAGFlowClient) -> None:
    with pytest.raises(InvalidArgumentError, match=r"radio\.md"):
        index.insert_nodes([RADIO, Document(text="Another", metadata={"file_name": "radio.md"})])
    with pytest.raises(InvalidArgumentError, match="without text"):
        index.insert(Document(text=" ", id_="empty"))
    with pytest.raises(InvalidArgumentError, match="transformations"):
        RAGFlowIndex.from_documents([], client=client, dataset_name="Devices", transformations=[])
    with pytest.raises(DatasetNotFoundError):
        RAGFlowIndex(client, dataset_name="No such dataset").as_retriever()
    with pytest.raises(InvalidArgumentError):
        RAGFlowIndex(client)


def test_reader(index: RAGFlowIndex, client: RAGFlowClient) -> None:
    reader = RAGFlowReader(client, dataset_name="Devices")
    documents = {document.metadata["file_name"]: document for document in reader.load_data()}
    assert sorted(documents) == _names(index)
    radio = documents["radio.md"]
    assert "thirty metres" in radio.text
    assert radio.id_ in reader.list_resources()
    assert reader.load_resource(radio.id_) == [radio] == reader.load_data([radio.id_])
    info = reader.get_resource_info(radio.id_)
    assert (info["file_name"], info["status"], info["chunk_count"]) == ("radio.md", "DONE", 1)
    [chunk] = RAGFlowReader.from_defaults(client, dataset_id=index.dataset_id, by="chunk").load_resource(radio.id_)
    assert chunk.ref_doc_id == radio.id_
    assert chunk.id_ == index.ref_doc_info[radio.id_].node_ids[0]
    with pytest.raises(DocumentNotFoundError):
        reader.load_resource("nothing")
    assert reader.is_remote
    assert reader.class_name() == "RAGFlowReader"


async def test_reader_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        reader = RAGFlowReader(client, dataset_name="Emulator documents")
        documents: list[Any] = await reader.aload_data()
        assert documents == list(await reader.alazy_load_data())
        first = documents[0]
        assert await reader.aload_resource(first.id_) == [first] == await reader.aload_data([first.id_])
        assert (await reader.aget_resource_info(first.id_))["file_name"] == first.metadata["file_name"]
        assert len(await reader.alist_resources()) == len(documents)
    plain = RAGFlowReader(base_url=server.base_url, api_key=server.api_key, dataset_name="Emulator documents")
    assert plain.load_data() == documents
