"""How stored objects look on the wire of each era."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.eras import History
from ragflow_integrations.emulator.store import Chunk, Dataset, Document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ragflow_integrations.emulator.answering import Hit
    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Chat, Record, Session, Store

TENANT: Final = "0e8a9978e6bf11f199fc02fc00000001"
"""The id of the only user."""
NICKNAME: Final = "emulator"
CHAT_MODEL: Final = "emulated-chat@Emulator"
EMBEDDING_MODELS: Final = ("emulated-embedding@Emulator", "emulated-embedding-2@Emulator")
"""The embedding models that are configured; the first is the default."""
RERANK_MODEL: Final = "emulated-rerank"
"""The one rerank model there is, without its provider."""

PROLOGUE: Final = "Hi! I'm your assistant. What can I do for you?"
EMPTY_RESPONSE: Final = "Sorry! No relevant content was found in the knowledge base!"
SYSTEM: Final = (
    "You are an intelligent assistant. Answer the question from the content of the dataset.\n"
    "Here is the knowledge base:\n{knowledge}\nThe above is the knowledge base."
)
LLM_SETTING: Final = {
    "temperature": 0.1,
    "top_p": 0.3,
    "presence_penalty": 0.4,
    "frequency_penalty": 0.7,
    "max_tokens": 512,
}
_PARSER_CONFIG: Final[dict[str, Any]] = {
    "auto_keywords": 0,
    "auto_questions": 0,
    "chunk_token_num": 512,
    "delimiter": "\n",
    "graphrag": {"use_graphrag": False},
    "html4excel": False,
    "layout_recognize": "Plain Text",
    "raptor": {"use_raptor": False},
}
_OLD_NAMES: Final = {
    "prompt": "system",
    "opener": "prologue",
    "variables": "parameters",
    "show_quote": "quote",
    "empty_response": "empty_response",
    "refine_multiturn": "refine_multiturn",
    "tts": "tts",
    "reasoning": "reasoning",
}
_HISTORY_KEYS: Final = (
    "id",
    "content",
    "document_id",
    "document_name",
    "dataset_id",
    "image_id",
    "positions",
)


def default_parser_config() -> dict[str, Any]:
    """The parser settings of a dataset that was created without any."""
    return dict(_PARSER_CONFIG)


def default_prompt_config(era: Era) -> dict[str, Any]:
    """The prompt settings of a chat that was created without any."""
    parameters: list[dict[str, Any]] = [{"key": "knowledge", "optional": False}]
    if era.new_chat_api:
        parameters.append({"key": "date", "optional": True})
    return {
        "system": SYSTEM,
        "prologue": PROLOGUE,
        "parameters": parameters,
        "empty_response": EMPTY_RESPONSE,
        "quote": True,
        "tts": False,
        "refine_multiturn": True,
    }


def _date(era: Era, milliseconds: int) -> str:
    if era.iso_dates:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(milliseconds / 1000))
    return formatdate(milliseconds / 1000, usegmt=True)


def times(era: Era, record: Record) -> dict[str, Any]:
    """When an object was made and last changed."""
    return {
        "create_date": _date(era, record.created),
        "create_time": record.created,
        "update_date": _date(era, record.updated),
        "update_time": record.updated,
    }


def _nulls(era: Era) -> dict[str, None]:
    return {f"{task}_task_{part}": None for task in era.dataset_tasks for part in ("finish_at", "id")}


# Chats


def old_prompt(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the ``prompt`` object of older bodies to a ``prompt_config``."""
    return {new: body[old] for old, new in _OLD_NAMES.items() if old in body}


def _chat_owned(store: Store, chat: Chat) -> list[Dataset]:
    return [dataset for key in chat.dataset_ids if (dataset := store.get(Dataset, key))]


def _old_chat(store: Store, era: Era, chat: Chat, *, listed: bool) -> dict[str, Any]:
    config = chat.prompt_config
    names = {new: old for old, new in _OLD_NAMES.items()}
    prompt = {names.get(name, name): value for name, value in config.items()}
    prompt |= {
        "similarity_threshold": chat.similarity_threshold,
        "keywords_similarity_weight": 1 - chat.vector_similarity_weight,
        "top_n": chat.top_n,
        "rerank_model": chat.rerank_id,
    }
    seen = {
        "id": chat.id,
        "name": chat.name,
        "avatar": chat.icon,
        "description": chat.description,
        "do_refer": "1",
        "language": "English",
        "llm": {"model_name": chat.llm_id, **chat.llm_setting},
        "prompt": prompt,
        "prompt_type": "simple",
        "status": "1",
        "tenant_id": TENANT,
    } | times(era, chat)
    if era.chat_has_metadata_filter:
        seen["meta_data_filter"] = chat.meta_data_filter
    if not listed:
        return seen | {"dataset_ids": chat.dataset_ids}
    datasets = [_raw_dataset(store, era, dataset) for dataset in _chat_owned(store, chat)]
    return seen | {"datasets": datasets, "top_k": chat.top_k}


def chat_object(store: Store, era: Era, chat: Chat, *, listed: bool = False) -> dict[str, Any]:
    """A chat assistant.

    Args:
        store: Where its datasets are.
        era: The era.
        chat: The chat.
        listed: Whether it stands in a list, where it looks different in every era.

    Returns:
        The object.
    """
    if not era.new_chat_api:
        return _old_chat(store, era, chat, listed=listed)
    seen: dict[str, Any] = {
        "id": chat.id,
        "name": chat.name,
        "icon": chat.icon,
        "description": chat.description,
        "dataset_ids": chat.dataset_ids,
        "kb_names": [dataset.name for dataset in _chat_owned(store, chat)],
        "do_refer": "1",
        "language": "English",
        "llm_id": chat.llm_id,
        "llm_setting": chat.llm_setting,
        "prompt_config": chat.prompt_config,
        "prompt_type": "simple",
        "rerank_id": chat.rerank_id,
        "similarity_threshold": chat.similarity_threshold,
        "status": "1",
        "tenant_id": TENANT,
        "top_k": chat.top_k,
        "top_n": chat.top_n,
        "vector_similarity_weight": chat.vector_similarity_weight,
    } | times(era, chat)
    if listed:
        del seen["create_date"], seen["update_date"]
        return seen | {"nickname": NICKNAME, "tenant_avatar": None}
    return seen | {
        "meta_data_filter": chat.meta_data_filter,
        "tenant_llm_id": era.tenant_llm_id,
        "tenant_rerank_id": None,
    }


# Sessions


def _history_chunks(reference: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{key: chunk[key] for key in _HISTORY_KEYS} for chunk in reference.get("chunks", [])]


def _messages_with_references(era: Era, session: Session) -> list[dict[str, Any]]:
    messages = [dict(message) for message in session.messages]
    references = [_history_chunks(reference) for reference in session.references]
    if era.history is History.BY_INDEX:
        places = [(at, at) for at, message in enumerate(messages) if at and message["role"] == "assistant"]
    else:
        assistant = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
        answers = [at for at in assistant if at]
        if era.history is History.ALIGNED and assistant[:1] == [0]:
            messages[0]["reference"] = []
        chosen = assistant if era.history is History.SHIFTED else answers
        places = [(at, number) for number, at in enumerate(chosen)]
    for at, number in places:
        if number < len(references):
            messages[at]["reference"] = references[number]
    return messages


def session_object(era: Era, session: Session, *, avatar: bool = False, created: bool = False) -> dict[str, Any]:
    """A chat session.

    Args:
        era: The era.
        session: The session.
        avatar: Whether the assistant's picture stands in it, as in the reply to a GET of one session.
        created: Whether it answers the creation, when older servers add no references to its messages.

    Returns:
        The object.
    """
    seen: dict[str, Any] = {
        "id": session.id,
        "chat_id": session.owner_id,
        "name": session.name,
        "user_id": session.user_id,
    } | times(era, session)
    if era.history is History.TOP_LEVEL:
        seen |= {"messages": session.messages, "reference": session.references}
        return seen | {"avatar": ""} if avatar else seen
    return seen | {"messages": session.messages if created else _messages_with_references(era, session)}


# Datasets and documents


def _documents(store: Store, dataset: Dataset) -> list[Document]:
    return store.all(Document, parent=dataset.id)


def _dataset_facts(era: Era, dataset: Dataset) -> dict[str, Any]:
    return (
        {
            "id": dataset.id,
            "name": dataset.name,
            "avatar": dataset.avatar,
            "created_by": TENANT,
            "description": dataset.description,
            "language": "English",
            "pagerank": 0,
            "parser_config": dataset.parser_config,
            "permission": dataset.permission,
            "similarity_threshold": 0.2,
            "status": "1",
            "tenant_id": TENANT,
            "vector_similarity_weight": 0.3,
        }
        | times(era, dataset)
        | _nulls(era)
        | ({"pipeline_id": None} if era.dataset_tasks else {})
    )


def _raw_dataset(store: Store, era: Era, dataset: Dataset) -> dict[str, Any]:
    """A dataset under the database's own names, as it stands in the chats of older eras."""
    documents = _documents(store, dataset)
    return _dataset_facts(era, dataset) | {
        "chunk_num": sum(document.chunk_count for document in documents),
        "doc_num": len(documents),
        "token_num": sum(document.token_count for document in documents),
        "embd_id": dataset.embedding_model,
        "parser_id": dataset.chunk_method,
    }


def dataset_object(store: Store, era: Era, dataset: Dataset, *, listed: bool = False, got: bool = False) -> dict[str, Any]:
    """A dataset.

    Args:
        store: Where its documents are.
        era: The era.
        dataset: The dataset.
        listed: Whether it stands in a list.
        got: Whether it answers a GET of one dataset.

    Returns:
        The object.
    """
    documents = _documents(store, dataset)
    seen = _dataset_facts(era, dataset) | {
        "chunk_count": sum(document.chunk_count for document in documents),
        "chunk_method": dataset.chunk_method,
        "document_count": len(documents),
        "embedding_model": dataset.embedding_model,
        "token_num": sum(document.token_count for document in documents),
    }
    if era.dataset_owner:
        seen["tenant_embd_id"] = None
    if era.dataset_owner and listed:
        seen |= {"nickname": NICKNAME, "tenant_avatar": None}
    if era.dataset_model_name and listed:
        seen["embedding_model_name"] = ""
    if got:
        seen |= {"connectors": [], "size": sum(document.size for document in documents)}
    return seen


def _optional_facts(era: Era, document: Document) -> dict[str, Any]:
    return {
        "process_duation": document.process_seconds,
        "process_duration": document.process_seconds,
        "suffix": PurePath(document.name).suffix.removeprefix("."),
        "meta_fields": document.meta_fields,
        "pipeline_id": None,
        "pipeline_name": None,
        "title": None,
        "nickname": NICKNAME,
        "content_hash": document.content_hash,
        "process_begin_at": _date(era, document.process_begin) if document.process_begin else None,
    }


def document_object(store: Store, era: Era, document: Document, *, beside_chunks: bool = False) -> dict[str, Any]:
    """A document.

    Args:
        store: Where its dataset is.
        era: The era.
        document: The document.
        beside_chunks: Whether it stands beside a list of its chunks instead of in a list of documents.

    Returns:
        The object.
    """
    dataset = store.get(Dataset, document.dataset_id)
    optional = _optional_facts(era, document)
    keys = era.chunk_document_keys if beside_chunks else era.document_keys
    return (
        {
            "id": document.id,
            "dataset_id": document.dataset_id,
            "name": document.name,
            "location": document.name,
            "created_by": TENANT,
            "chunk_method": dataset.chunk_method if dataset else "naive",
            "parser_config": dataset.parser_config if dataset else {},
            "chunk_count": document.chunk_count,
            "token_count": document.token_count,
            "process_begin_at": optional["process_begin_at"],
            "progress": document.progress,
            "progress_msg": document.progress_msg,
            "run": document.run,
            "size": document.size,
            "source_type": "local",
            "status": "1" if document.enabled else "0",
            "thumbnail": "",
            "type": "doc",
        }
        | times(era, document)
        | {key: optional[key] for key in keys}
    )


_UPLOADED: Final = (
    "id",
    "dataset_id",
    "name",
    "location",
    "created_by",
    "chunk_method",
    "parser_config",
    "run",
    "size",
    "source_type",
    "thumbnail",
    "type",
    "suffix",
    "pipeline_id",
    "content_hash",
)


def uploaded_object(store: Store, era: Era, document: Document) -> dict[str, Any]:
    """A document in the reply to its upload."""
    seen = document_object(store, era, document) | document_object(store, era, document, beside_chunks=True)
    return {key: seen[key] for key in _UPLOADED if key in seen}


def chunk_object(era: Era, chunk: Chunk) -> dict[str, Any]:
    """A chunk in the list of a document's chunks."""
    seen: dict[str, Any] = {
        "id": chunk.id,
        "content": chunk.content,
        "document_id": chunk.document_id,
        "dataset_id": chunk.dataset_id,
        "docnm_kwd": chunk.document_name,
        "image_id": "",
        "important_keywords": chunk.important_keywords,
        "positions": chunk.positions,
        "questions": chunk.questions,
        "available": chunk.available,
    }
    if era.chunk_has_tags:
        seen["tag_kwd"] = []
    if era.chunk_has_type:
        seen["doc_type_kwd"] = "text"
    return seen


# Retrieved chunks


def _scores(hit: Hit) -> dict[str, float]:
    return {
        "similarity": hit.similarity,
        "vector_similarity": hit.vector_similarity,
        "term_similarity": hit.term_similarity,
    }


def reference_chunk(hit: Hit, era: Era, *, with_metadata: bool = False) -> dict[str, Any]:
    """A retrieved chunk as answers refer to it."""
    chunk = hit.chunk
    seen: dict[str, Any] = {
        "id": chunk.id,
        "content": chunk.content,
        "document_id": chunk.document_id,
        "document_name": chunk.document_name,
        "dataset_id": chunk.dataset_id,
        "image_id": "",
        "positions": chunk.positions,
        "url": None,
        "row_id": None,
        "doc_type": "",
        "document_metadata": dict(hit.metadata) or None if with_metadata else None,
    } | _scores(hit)
    return {key: seen[key] for key in era.chunk_keys}


def hit_object(hit: Hit, era: Era, *, words: Sequence[str]) -> dict[str, Any]:
    """A retrieved chunk as ``/retrieval`` answers it."""
    chunk = hit.chunk
    seen: dict[str, Any] = {
        "id": chunk.id,
        "content": chunk.content,
        "content_ltks": " ".join(words),
        "document_id": chunk.document_id,
        "document_keyword": chunk.document_name,
        "dataset_id": chunk.dataset_id,
        "important_keywords": chunk.important_keywords,
        "image_id": "",
        "positions": chunk.positions,
        "doc_type_kwd": "",
        "mom_id": "",
        "row_id": None,
        "tag_kwd": [],
    } | _scores(hit)
    return {key: seen[key] for key in era.hit_keys}


def raw_hit(hit: Hit, era: Era) -> dict[str, Any]:
    """A retrieved chunk under the index's own names, as an agent's retrieval node reports it."""
    chunk = hit.chunk
    seen: dict[str, Any] = {
        "chunk_id": chunk.id,
        "content_with_weight": chunk.content,
        "doc_id": chunk.document_id,
        "docnm_kwd": chunk.document_name,
        "kb_id": chunk.dataset_id,
        "important_kwd": chunk.important_keywords,
        "image_id": "",
        "positions": chunk.positions,
        "doc_type_kwd": "",
        "mom_id": "",
    } | _scores(hit)
    extra: dict[str, Any] = {"row_id": None, "tag_kwd": []}
    return seen | {key: extra[key] for key in extra if key in era.hit_keys}
