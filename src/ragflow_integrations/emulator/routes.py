"""The table of routes: paths, methods, who may call, and the feature of an era that a route needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from ragflow_integrations.emulator import (
    agents,
    chats,
    chunks,
    completions,
    datasets,
    documents,
    openai,
    retrieval,
    sessions,
    system,
)
from ragflow_integrations.emulator.calls import Call, authorize
from ragflow_integrations.emulator.eras import Access
from ragflow_integrations.emulator.responses import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Backend

    Handler = Callable[[Call], Awaitable[Response]]

_API: Final = "/api/v1"


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.KEY
    needs: str = ""
    """An attribute of the era that must be true for the route to exist."""


def _old(method: str, path: str, handler: Handler, needs: str = "") -> Entry:
    return Entry(method, _API + path, handler, Access.OLD_KEY, needs)


def _key(method: str, path: str, handler: Handler, needs: str = "") -> Entry:
    return Entry(method, _API + path, handler, Access.KEY, needs)


_SESSIONS: Final = "/chats/{chat_id}/sessions"
_SESSION: Final = _SESSIONS + "/{session_id}"
_MESSAGE: Final = _SESSION + "/messages/{message_id}"
_DOCUMENTS: Final = "/datasets/{dataset_id}/documents"
_DOCUMENT: Final = _DOCUMENTS + "/{document_id}"
_CHUNKS: Final = _DOCUMENT + "/chunks"
_AGENT: Final = "/agents/{agent_id}"

TABLE: Final = (
    Entry("GET", "/v1/system/version", system.version_v1, Access.OPEN, "system_v1"),
    Entry("GET", "/v1/system/ping", system.ping, Access.OPEN, "system_v1_ping"),
    Entry("GET", "/v1/system/healthz", system.health, Access.OPEN, "system_v1_ping"),
    Entry("GET", _API + "/system/version", system.version, Access.OPEN, "system_api"),
    Entry("GET", _API + "/system/ping", system.ping, Access.OPEN, "system_api"),
    Entry("GET", _API + "/system/healthz", system.health, Access.OPEN, "system_api"),
    Entry("GET", _API + "/language", system.language, Access.OPEN, "store_flag"),
    _key("GET", "/system/status", system.status, "system_api"),
    _key("POST", "/chats", chats.create),
    _key("GET", "/chats", chats.list_chats),
    _key("DELETE", "/chats", chats.delete_many),
    _key("PUT", "/chats/{chat_id}", chats.replace),
    _key("GET", "/chats/{chat_id}", chats.get, "new_chat_api"),
    _key("PATCH", "/chats/{chat_id}", chats.patch, "new_chat_api"),
    _key("DELETE", "/chats/{chat_id}", chats.delete, "new_chat_api"),
    _key("POST", _SESSIONS, sessions.create_session),
    _key("GET", _SESSIONS, sessions.list_sessions),
    _key("DELETE", _SESSIONS, sessions.delete_sessions),
    _key("PUT", _SESSION, sessions.update_session),
    _key("GET", _SESSION, sessions.get_session, "new_chat_api"),
    _key("PATCH", _SESSION, sessions.update_session, "new_chat_api"),
    _key("DELETE", _MESSAGE, sessions.delete_message, "new_chat_api"),
    _key("PUT", _MESSAGE + "/feedback", sessions.rate_message, "new_chat_api"),
    _key("POST", "/chats/{chat_id}/completions", completions.complete_in_chat),
    _key("POST", "/chat/completions", completions.complete, "chat_completions"),
    _key("POST", "/chats_openai/{chat_id}/chat/completions", openai.complete),
    _key("POST", "/openai/{chat_id}/chat/completions", openai.complete, "openai_path"),
    Entry("POST", _API + "/chatbots/{chat_id}/completions", completions.chatbot_complete, Access.BETA),
    Entry("GET", _API + "/chatbots/{chat_id}/info", completions.chatbot_info, Access.BETA),
    Entry("POST", _API + "/agentbots/{agent_id}/completions", agents.complete_embedded, Access.BETA),
    _old("POST", "/sessions/related_questions", retrieval.related_questions),
    _key("POST", "/chat/recommendation", retrieval.related_questions, "chat_completions"),
    _old("POST", "/retrieval", retrieval.retrieve),
    _old("POST", "/dify/retrieval", retrieval.dify),
    _key("POST", "/datasets", datasets.create),
    _key("GET", "/datasets", datasets.list_datasets),
    _key("DELETE", "/datasets", datasets.delete),
    _key("PUT", "/datasets/{dataset_id}", datasets.update),
    _key("GET", "/datasets/{dataset_id}", datasets.get, "dataset_get"),
    _key("POST", _DOCUMENTS, documents.upload),
    _key("GET", _DOCUMENTS, documents.list_documents),
    _key("DELETE", _DOCUMENTS, documents.delete_documents),
    _key("POST", _DOCUMENTS + "/parse", documents.start_parsing, "parse_route"),
    _key("POST", _DOCUMENTS + "/stop", documents.stop_parsing, "parse_route"),
    _old("POST", "/datasets/{dataset_id}/chunks", documents.start_parsing),
    _old("DELETE", "/datasets/{dataset_id}/chunks", documents.stop_parsing),
    _key("GET", _DOCUMENT, documents.download),
    _key("PUT", _DOCUMENT, documents.update_document),
    _key("PATCH", _DOCUMENT, documents.update_document, "new_chat_api"),
    _old("GET", _CHUNKS, chunks.list_chunks),
    _old("POST", _CHUNKS, chunks.add_chunk),
    _old("DELETE", _CHUNKS, chunks.delete_chunks),
    _old("PUT", _CHUNKS + "/{chunk_id}", chunks.update_chunk),
    _old("PATCH", _CHUNKS + "/{chunk_id}", chunks.update_chunk, "new_chat_api"),
    _old("GET", _CHUNKS + "/{chunk_id}", chunks.get_chunk, "new_chat_api"),
    _key("GET", "/agents", agents.list_agents),
    _key("GET", _AGENT, agents.get_agent, "agent_new_api"),
    _key("POST", _AGENT + "/reset", agents.reset_agent, "agent_new_api"),
    _key("POST", _AGENT + "/sessions", agents.create_session),
    _key("GET", _AGENT + "/sessions", agents.list_sessions),
    _key("DELETE", _AGENT + "/sessions", agents.delete_sessions),
    _key("GET", _AGENT + "/sessions/{session_id}", agents.get_session, "agent_new_api"),
    _key("DELETE", _AGENT + "/sessions/{session_id}", agents.delete_session, "agent_new_api"),
    _key("POST", _AGENT + "/completions", agents.complete),
    _key("POST", "/agents_openai/{agent_id}/chat/completions", agents.complete_openai),
)


def _endpoint(entry: Entry, backend: Backend) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        call = Call(request, backend)
        try:
            authorize(call, entry.access)
            return await entry.handler(call)
        except Refused as refusal:
            return refusal.reply

    return endpoint


def routes(backend: Backend) -> list[Route]:
    """Return the routes of the backend's era.

    Args:
        backend: What the handlers work on.

    Returns:
        Routes for Starlette, those without parts that vary first.
    """
    by_body = [_key("POST", path, agents.complete_by_body) for path in backend.era.agent_paths]
    entries = [entry for entry in (*by_body, *TABLE) if not entry.needs or getattr(backend.era, entry.needs)]
    return [Route(entry.path, _endpoint(entry, backend), methods=[entry.method]) for entry in entries]
