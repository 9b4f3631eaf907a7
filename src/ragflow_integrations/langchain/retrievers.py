"""`RAGFlowRetriever`: search in RAGFlow datasets as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - pydantic evaluates the types of fields
from typing import TYPE_CHECKING, Any, Self

from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from pydantic import model_validator

from ragflow_integrations._adapters.options import DEFAULT_LIMIT, RETRIEVAL_OPTIONS, check_names
from ragflow_integrations._adapters.steps import arun, run
from ragflow_integrations._adapters.target import DatasetsTarget
from ragflow_integrations._protocol import validation
from ragflow_integrations._protocol.calls import metadata_filters
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.langchain._answers import document
from ragflow_integrations.langchain._compat import PROVIDER
from ragflow_integrations.langchain._component import RAGFlowComponent
from ragflow_integrations.langchain._errors import langchain_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document

    from ragflow_integrations._adapters.clients import AnyClient
    from ragflow_integrations._adapters.steps import Steps


class RAGFlowRetriever(BaseRetriever, RAGFlowComponent):
    """Search in RAGFlow datasets.

    Setup:
        Install `ragflow-integrations[langchain]`, and set `RAGFLOW_BASE_URL` and `RAGFLOW_API_KEY`, or pass `base_url` and
        `api_key`, or a `client`.

    Instantiate:
        >>> from ragflow_integrations.langchain import RAGFlowRetriever
        >>> retriever = RAGFlowRetriever(dataset_ids=[dataset_id], k=3, base_url=base_url, api_key=api_key)

    Invoke:
        >>> documents = retriever.invoke("How long does a full charge take?")
        >>> len(documents), documents[0].metadata["source"]
        (3, 'charging-stations.md')

        Every option may be given per call: `retriever.invoke(question, k=1, highlight=True)`.

    Async:
        >>> import asyncio
        >>> async def search():
        ...     documents = await retriever.ainvoke("How long does a full charge take?")
        ...     await retriever.aclose()
        ...     return documents
        >>> asyncio.run(search()) == documents
        True

    Filters per user:
        >>> sales = retriever.with_filters({"team": "sales"})

    Use within a chain:
        >>> from langchain_core.runnables import RunnableParallel, RunnablePassthrough
        >>> chain = RunnableParallel(documents=retriever, question=RunnablePassthrough())
        >>> sorted(chain.invoke("How long does a full charge take?"))
        ['documents', 'question']

    Documents:
        `id` is the chunk's id, `page_content` its text. Metadata, all of it JSON:

        source, document_name: File name of the document.
        document_id, dataset_id, chunk_id: Ids.
        similarity: Combined score, 0 … 1, None if the server gives none; so are the next two.
        vector_similarity: Score of the embedding.
        term_similarity: Score of the key words.
        positions: `[page, x0, x1, top, bottom]` boxes; the page is 1-based for paged documents, an ordinal otherwise.
        highlight: Text with `<em>` around matches, with `highlight=True`.
        image_id: Image of the chunk, if it has one.
        doc_type: `"image"` or `"table"`, if it is one.
        url: Source address of a web result.
        document_metadata: User metadata of the document, if the server gives it.
    """

    dataset_ids: Sequence[str] | None = None
    """Datasets to search; all of one embedding model."""
    dataset_names: Sequence[str] | None = None
    """Their exact names instead, looked up once, on first use."""
    k: int = DEFAULT_LIMIT
    """Documents wanted."""
    document_ids: Sequence[str] | None = None
    """Only these documents."""
    similarity_threshold: float | None = None
    """Drop chunks below, 0 … 1 (server's default 0.2)."""
    vector_similarity_weight: float | None = None
    """Share of the embedding's score, 0 … 1 (server's default 0.3)."""
    top_k: int | None = None
    """Vector candidates considered; not the number of results."""
    rerank_id: str | None = None
    """Rerank model."""
    keyword: bool | None = None
    """Let an LLM add keywords."""
    highlight: bool | None = None
    """Mark matches in `highlight`."""
    metadata_condition: dict[str, Any] | None = None
    """Only documents with such metadata; see `RetrievalOptions`."""
    cross_languages: Sequence[str] | None = None
    """Languages to translate the question into."""
    use_kg: bool | None = None
    """Search the knowledge graph too; its result comes first. Refused beside a filter, which it would ignore."""
    toc_enhance: bool | None = None
    """Use tables of contents."""
    metadata_fields: Sequence[str] | None = None
    """Only these fields in `document_metadata`, which RAGFlow ≥ 0.25.2 fills."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self._datasets
        validation.positive("k", self.k)
        return self

    @property
    def _datasets(self) -> DatasetsTarget:
        return DatasetsTarget(self.dataset_ids, self.dataset_names)

    def with_filters(self, metadata: Mapping[str, object] | None = None, *, document_ids: Sequence[str] | None = None) -> Self:
        """Return a copy that finds less: what this one finds, if all of `metadata` is so, within `document_ids`.

        It holds on every release, and whatever is given per call: filters of a call narrow the copy further. The copy shares
        the client; make one per user or request.

        Args:
            metadata: Field of the documents' metadata → the value it must have, a list of values of which it must have one, or
                comparisons such as `{"$gte": 2020, "$lt": 2024}` or `{"contains": "draft"}`.
            document_ids: Documents to stay within.

        Raises:
            InvalidArgumentError: `metadata` is empty or malformed, or the retriever is limited to none of these documents.
        """
        changes: dict[str, Any] = {}
        if metadata is not None:
            changes["metadata_condition"] = _joined(
                self.metadata_condition, metadata_filters.from_mapping("metadata", metadata).to_dict()
            )
        if document_ids is not None:
            changes["document_ids"] = _common(self.document_ids, document_ids)
            if not changes["document_ids"]:
                raise InvalidArgumentError("document_ids", "has none of the documents the retriever is limited to")
        return self.model_copy(update=changes)

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        params["ls_retriever_name"] = params["ls_vector_store_provider"] = PROVIDER
        return params

    # Both have the same signature: LangChain looks at the first to see which keywords it may hand to either.
    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
        k: int | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        with langchain_errors():
            return run(self._search(self._sync, query, k, kwargs))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
        k: int | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        with langchain_errors():
            return await arun(self._search(self._async, query, k, kwargs))

    def _search(self, client: AnyClient, query: str, k: int | None, call: dict[str, Any]) -> Steps[list[Document]]:
        options = self._options(k, call)
        dataset_ids = yield from self._datasets.ids(client)
        if options["document_ids"] == []:
            return []  # the call names none of the documents that the retriever is limited to
        result = yield client.retrieve(query, dataset_ids=dataset_ids, **options)
        return [document(chunk) for chunk in result.chunks]

    def _options(self, k: int | None, call: dict[str, Any]) -> dict[str, Any]:
        """Join the options of a call with the retriever's: filters narrow, others replace."""
        check_names(call, ("k", *RETRIEVAL_OPTIONS), "search")
        options = {name: call.get(name, getattr(self, name)) for name in RETRIEVAL_OPTIONS}
        if call.get("document_ids") is not None:
            options["document_ids"] = _common(self.document_ids, call["document_ids"])
        else:
            options["document_ids"] = self.document_ids
        options["metadata_condition"] = _joined(self.metadata_condition, call.get("metadata_condition"))
        return {"limit": self.k if k is None else validation.positive("k", k), **options}


def _common(own: Sequence[str] | None, call: Sequence[str]) -> list[str]:
    """Return the documents of both; None stands for all."""
    checked = validation.ids("document_ids", call)
    return checked if own is None else [item for item in checked if item in own]


def _joined(own: Mapping[str, Any] | None, call: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Join two metadata conditions so that both must hold."""
    parsed = [None if item is None else metadata_filters.parse("metadata_condition", item) for item in (own, call)]
    joined = metadata_filters.both(*parsed)
    return None if joined is None else joined.to_dict()


__all__ = ["RAGFlowRetriever"]
