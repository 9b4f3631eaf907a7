"""`RAGFlowIndex`: a RAGFlow dataset as a LlamaIndex index."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.callbacks import CallbackManager
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.indices.managed.base import BaseManagedIndex
from llama_index.core.llms.utils import resolve_llm
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import BaseNode, Document, TransformComponent
from llama_index.core.storage.docstore.types import RefDocInfo
from tqdm.auto import tqdm  # type: ignore[import-untyped]  # has no types; comes with llama-index-core

from ragflow_integrations._adapters.clients import ClientPair
from ragflow_integrations._adapters.options import RETRIEVAL_OPTIONS
from ragflow_integrations._adapters.steps import run
from ragflow_integrations._adapters.target import TARGETS, DatasetTarget
from ragflow_integrations.errors import ChatNotFoundError, DatasetNotFoundError, InvalidArgumentError
from ragflow_integrations.llamaindex import _nodes
from ragflow_integrations.llamaindex._component import RAGFlowComponent
from ragflow_integrations.llamaindex.chat_engine import RAGFlowChatEngine
from ragflow_integrations.llamaindex.query_engine import RAGFlowQueryEngine
from ragflow_integrations.llamaindex.retriever import RAGFlowRetriever

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.chat_engine.types import BaseChatEngine
    from llama_index.core.llms.utils import LLMType
    from llama_index.core.storage.storage_context import StorageContext

    from ragflow_integrations import models
    from ragflow_integrations.async_client import AsyncRAGFlowClient
    from ragflow_integrations.client import RAGFlowClient

#: Suffixes of files that a server reads as text.
_TEXT = frozenset({".txt", ".md", ".markdown", ".mdx", ".html", ".htm"})
_RETRIEVER_ARGUMENTS = {*RETRIEVAL_OPTIONS, "similarity_top_k", "verbose"}


class _IdentityTransform(TransformComponent):
    """Leaves documents whole: the server cuts them. Given none, the base class would take the transformations of `Settings`."""

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        return nodes


class RAGFlowIndex(RAGFlowComponent, BaseManagedIndex):
    """A dataset as an index: the server parses, embeds and searches.

    A `Document` is stored as a text file named after its `file_name` (and `page_label`), else after its id: a document of the
    same name is the same document to `refresh_ref_docs` and `update_ref_doc`. Other metadata is not stored. `as_retriever`,
    `as_query_engine` and `as_chat_engine` need no LLM in `Settings`: the last two ask a chat assistant over the dataset.

    Args:
        client: Client to share, of either kind; excludes all settings of `ConnectionOptions`.
        dataset_id: The dataset.
        dataset_name: Or its exact name.
        show_progress: Show a bar while documents are parsed.
        parse_timeout: Seconds that parsing may take; None waits for ever.
        callback_manager: Legacy callbacks; default those of `Settings`.
        **connection: Settings of the client (`base_url`, `api_key` …); see `ConnectionOptions`.

    Example:
        >>> from llama_index.core.schema import Document
        >>> from ragflow_integrations.llamaindex import RAGFlowIndex
        >>> manual = Document(
        ...     text="The Nordwind thermostat runs on two lithium cells.", metadata={"file_name": "thermostat.md"}
        ... )
        >>> index = RAGFlowIndex.from_documents([manual], base_url=base_url, api_key=api_key, dataset_name="Manuals")
        >>> str(index.as_query_engine().query("What does the Nordwind thermostat run on?"))
        'The Nordwind thermostat runs on two lithium cells [1].'
    """

    def __init__(
        self,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        show_progress: bool = False,
        parse_timeout: float | None = None,
        callback_manager: CallbackManager | None = None,
        **connection: Unpack[models.ConnectionOptions],
    ) -> None:
        self._dataset = DatasetTarget(dataset_id, dataset_name)
        self._clients = ClientPair(client, **connection)
        self._parse_timeout = parse_timeout
        self._stored: dict[str, str] = {}  # ids of LlamaIndex documents → of the server's, for those inserted here
        super().__init__(
            index_struct=IndexDict(index_id=str(dataset_id or dataset_name)),
            show_progress=show_progress,
            callback_manager=callback_manager or CallbackManager(),
            transformations=[_IdentityTransform()],
        )

    def _client_pair(self) -> ClientPair:
        return self._clients

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[Document],
        storage_context: StorageContext | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
        transformations: list[TransformComponent] | None = None,
        *,
        client: RAGFlowClient | AsyncRAGFlowClient | None = None,
        dataset_name: str | None = None,
        embedding_model: str | None = None,
        chunk_method: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Upload documents into a dataset, have them parsed, and wait for it.

        Args:
            documents: The documents.
            storage_context: Refused: the server stores.
            show_progress: Show a bar while documents are parsed.
            callback_manager: Legacy callbacks; default those of `Settings`.
            transformations: Refused: the server cuts and embeds.
            client: See the constructor.
            dataset_name: Dataset to add them to; made, if there is none of this name.
            embedding_model: Embedding model of a dataset that is made; default the tenant's.
            chunk_method: How a dataset that is made cuts its documents.
            **kwargs: Further arguments of the constructor, `dataset_id` among them.

        Raises:
            InvalidArgumentError: An argument is wrong, or is the server's business.
            DocumentParsingError: The server could not parse a document.
        """
        for name, value in (("storage_context", storage_context), ("transformations", transformations)):
            if value is not None:
                raise InvalidArgumentError(name, "cannot be given: the server stores, cuts and embeds the documents itself")
        index = cls(client, dataset_name=dataset_name, show_progress=show_progress, callback_manager=callback_manager, **kwargs)
        if dataset_name is not None:
            datasets = index._clients.sync.datasets
            try:
                dataset = datasets.find(dataset_name)
            except DatasetNotFoundError:
                dataset = datasets.create(dataset_name, embedding_model=embedding_model, chunk_method=chunk_method)
            index._dataset = DatasetTarget(dataset.id)
        index._insert(documents)
        return index

    @property
    def dataset_id(self) -> str:
        """The id of the dataset; looked up once if only its name is known."""
        return run(self._dataset.id(self._clients.sync))

    # -- documents -----------------------------------------------------------------------------------------------------------

    def _insert(self, nodes: Sequence[BaseNode], **_: Any) -> None:
        if not nodes:
            return
        files = [(_file_name(node), _content(node)) for node in nodes]
        names = [name for name, _ in files]
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            raise InvalidArgumentError(
                "documents", f"hold two that would be named {twice!r}; give them another `file_name`, `page_label` or id"
            )
        documents, dataset = self._clients.sync.documents, self.dataset_id
        made = documents.upload(dataset, files)
        ids = [document.id for document in made]
        self._stored.update(zip((node.node_id for node in nodes), ids, strict=True))
        documents.parse(dataset, ids)
        if not self._show_progress:  # tqdm starts a thread for ever, even if it shows nothing
            documents.wait(dataset, ids, timeout=self._parse_timeout)
            return
        with tqdm(total=1.0, desc="Parsing", bar_format="{l_bar}{bar}") as bar:

            def show(state: models.ParsingProgress) -> None:
                bar.update(state.fraction - bar.n)

            documents.wait(dataset, ids, progress=show, timeout=self._parse_timeout)

    def insert_nodes(self, nodes: Sequence[BaseNode], **insert_kwargs: Any) -> None:
        """Upload nodes, have them parsed, and wait for it; each is stored as a document."""
        with self._callback_manager.as_trace("insert_nodes"):
            self._insert(nodes, **insert_kwargs)

    def insert(self, document: Document, **insert_kwargs: Any) -> None:
        """Upload a document, have it parsed, and wait for it."""
        with self._callback_manager.as_trace("insert"):
            self._insert([document], **insert_kwargs)

    def _find(self, ref_doc_id: str, name: str | None = None) -> str | None:
        """Find the server's id of a document: the id of a source, of a `Document` inserted here, or a file's name."""
        if ref_doc_id in self._stored:
            return self._stored[ref_doc_id]
        names = {ref_doc_id, name or _nodes.file_name(ref_doc_id, _TEXT)}
        documents = self._clients.sync.documents.list(self.dataset_id)
        return next((document.id for document in documents if document.id in names or document.name in names), None)

    def delete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = False, **_: Any) -> None:  # noqa: ARG002 - the base's
        """Delete a document with its chunks.

        Args:
            ref_doc_id: `ref_doc_id` of a node, the id of a `Document` inserted by this object, or a file's name.
            delete_from_docstore: Nothing is kept here.

        Raises:
            DocumentNotFoundError: There is no such document.
        """
        documents = self._clients.sync.documents
        document_id = self._find(ref_doc_id) or documents.get(self.dataset_id, ref_doc_id).id
        documents.delete(self.dataset_id, [document_id])
        self._stored.pop(ref_doc_id, None)

    def update_ref_doc(self, document: Document, **_: Any) -> None:
        """Replace a document by its new text; one that is not there is added."""
        with self._callback_manager.as_trace("update_ref_doc"):
            self._replace([document])

    def refresh_ref_docs(self, documents: Sequence[Document], **_: Any) -> list[bool]:
        """Add the documents that are new and replace those whose text has changed.

        What the server holds is compared, so any process may refresh what another has made.

        Returns:
            Which of them were added or replaced.
        """
        with self._callback_manager.as_trace("refresh_ref_docs"):
            changed = [self._changed(document) for document in documents]
            self._replace([document for document, differs in zip(documents, changed, strict=True) if differs])
            return changed

    def _changed(self, document: Document) -> bool:
        document_id = self._find(document.id_, _file_name(document))
        return document_id is None or self._clients.sync.documents.download(self.dataset_id, document_id) != _content(document)

    def _replace(self, documents: Sequence[Document]) -> None:
        old = [old_id for document in documents if (old_id := self._find(document.id_, _file_name(document)))]
        if old:
            self._clients.sync.documents.delete(self.dataset_id, old)
        self._insert(documents)

    # Ingestion waits for the server's parser, so its twins are worth no more than a thread.

    async def ainsert(self, document: Document, **insert_kwargs: Any) -> None:
        """Upload a document, have it parsed, and wait for it, asynchronously."""
        await asyncio.to_thread(self.insert, document, **insert_kwargs)

    async def ainsert_nodes(self, nodes: Sequence[BaseNode], **insert_kwargs: Any) -> None:
        """Upload nodes, have them parsed, and wait for it, asynchronously."""
        await asyncio.to_thread(self.insert_nodes, nodes, **insert_kwargs)

    async def adelete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = False, **delete_kwargs: Any) -> None:
        """Delete a document with its chunks, asynchronously."""
        await asyncio.to_thread(self.delete_ref_doc, ref_doc_id, delete_from_docstore, **delete_kwargs)

    async def aupdate_ref_doc(self, document: Document, **update_kwargs: Any) -> None:
        """Replace a document by its new text, asynchronously."""
        await asyncio.to_thread(self.update_ref_doc, document, **update_kwargs)

    async def arefresh_ref_docs(self, documents: Sequence[Document], **update_kwargs: Any) -> list[bool]:
        """Add the documents that are new and replace those whose text has changed, asynchronously."""
        return await asyncio.to_thread(self.refresh_ref_docs, documents, **update_kwargs)

    @property
    def ref_doc_info(self) -> dict[str, RefDocInfo]:
        """The documents of the dataset, with the ids of their chunks."""
        client, dataset = self._clients.sync, self.dataset_id
        return {
            document.id: RefDocInfo(
                node_ids=[chunk.id for chunk in client.chunks.list(dataset, document.id)],
                metadata={**document.metadata, "file_name": document.name},
            )
            for document in client.documents.list(dataset)
        }

    # -- other shapes --------------------------------------------------------------------------------------------------------

    def as_retriever(self, **kwargs: Any) -> RAGFlowRetriever:
        """Return a retriever over the dataset; the arguments are those of `RAGFlowRetriever`."""
        kwargs.setdefault("callback_manager", self._callback_manager)
        return RAGFlowRetriever(self._clients.primary, dataset_ids=[self.dataset_id], **kwargs)

    def as_query_engine(self, llm: LLMType | None = None, **kwargs: Any) -> BaseQueryEngine:
        """Return a query engine over the dataset.

        Args:
            llm: Let this LLM answer from what is retrieved; without one RAGFlow's own chat assistant answers.
            **kwargs: Arguments of `RAGFlowQueryEngine` (`chat_id` names another assistant); with `llm` those of `as_retriever`
                and of `RetrieverQueryEngine.from_args`.
        """
        if llm is None:
            return RAGFlowQueryEngine(self._clients.primary, **self._engine_arguments(kwargs))
        answering = resolve_llm(llm, callback_manager=self._callback_manager)
        retriever, others = self._retriever_and_rest(kwargs)
        return RetrieverQueryEngine.from_args(retriever, llm=answering, **others)

    def as_chat_engine(self, chat_mode: ChatMode | None = None, llm: LLMType | None = None, **kwargs: Any) -> BaseChatEngine:
        """Return a chat engine over the dataset.

        Args:
            chat_mode: How LlamaIndex's own engines chat, with `llm`.
            llm: Let this LLM answer from what is retrieved; without one RAGFlow's own chat assistant answers.
            **kwargs: Arguments of `RAGFlowChatEngine`; with `llm` those of `as_retriever` and of LlamaIndex's chat engine.

        Raises:
            InvalidArgumentError: The mode is one that has no use for an index.
        """
        if llm is None:
            return RAGFlowChatEngine(self._clients.primary, **self._engine_arguments(kwargs))
        answering = resolve_llm(llm, callback_manager=self._callback_manager)
        retriever, others = self._retriever_and_rest(kwargs)
        if chat_mode is ChatMode.CONTEXT:
            return ContextChatEngine.from_defaults(retriever=retriever, llm=answering, **others)
        if chat_mode is ChatMode.CONDENSE_QUESTION:
            engine = RetrieverQueryEngine.from_args(retriever, llm=answering)
            return CondenseQuestionChatEngine.from_defaults(query_engine=engine, llm=answering, **others)
        if chat_mode in (None, ChatMode.BEST, ChatMode.CONDENSE_PLUS_CONTEXT):
            return CondensePlusContextChatEngine.from_defaults(retriever=retriever, llm=answering, **others)
        raise InvalidArgumentError("chat_mode", f"{chat_mode.value!r} does not chat over an index")

    def _retriever_and_rest(self, kwargs: dict[str, Any]) -> tuple[RAGFlowRetriever, dict[str, Any]]:
        """Return a retriever with those arguments that are its own, and the other arguments."""
        own = {name: value for name, value in kwargs.items() if name in _RETRIEVER_ARGUMENTS}
        return self.as_retriever(**own), {name: value for name, value in kwargs.items() if name not in _RETRIEVER_ARGUMENTS}

    def _engine_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        engine = {"callback_manager": self._callback_manager, **kwargs}
        if not kwargs.keys() & set(TARGETS):
            engine["chat_id"] = self._assistant()
        return engine

    def _assistant(self) -> str:
        """Find or make the chat assistant over this dataset."""
        client = self._clients.sync
        name = f"{client.datasets.get(self.dataset_id).name} (LlamaIndex)"
        try:
            return client.chats.find(name).id
        except ChatNotFoundError:
            return client.chats.create(name, dataset_ids=[self.dataset_id]).id


def _file_name(node: BaseNode) -> str:
    name, page = node.metadata.get("file_name"), node.metadata.get("page_label")
    return _nodes.file_name(f"{name}-{page}.txt" if name and page else str(name or node.node_id), _TEXT)


def _content(node: BaseNode) -> bytes:
    text = node.get_content()
    if not text.strip():
        raise InvalidArgumentError("documents", f"hold one without text: {_file_name(node)!r}")
    return text.encode()
