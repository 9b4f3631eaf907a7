"""Which recordings there are, what each is about, and the error each refusal stands for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

from ragflow_integrations import errors
from tests.support import recordings

if TYPE_CHECKING:
    from tests.support.recordings import Recording

Route = Literal["native", "openai", "agent"]

ALL = [(version, name) for version in recordings.versions() for name in recordings.names(version)]

_ROUTES: list[tuple[str, Route]] = [
    (r"POST /api/v1/(?:chats|chatbots)/\w+/completions", "native"),
    (r"POST /api/v1/chat/completions", "native"),
    (r"POST /api/v1/(?:chats_openai|openai)/\w+/chat/completions", "openai"),
    (r"POST /api/v1/(?:agents|agentbots)/\w+/completions?", "agent"),
    (r"POST /api/v1/agents_openai/\w+/chat/completions", "openai"),
]


def route(recording: Recording) -> Route | None:
    """The format of a completion; None for any other call."""
    line = f"{recording.method} {recording.path.partition('?')[0]}"
    found = next((name for pattern, name in _ROUTES if re.fullmatch(pattern, line)), None)
    if found == "agent" and b'"choices"' in recording.body:
        return "openai"  # asked with "openai-compatible": true
    return found


def refused(recording: Recording) -> bool:
    """Whether the server said no, before any stream."""
    if recording.is_stream or not recording.status:
        return False
    if recording.status != 200:
        return True
    try:
        body = json.loads(recording.body)
    except ValueError:
        return recording.body.lstrip()[:1] == b"<"
    return body.get("code", 0) != 0 or (body.get("data") is False and "uthorization" in body.get("message", ""))


_GONE = errors.ProtocolError  # no such path or method
#: "version/name" → the error its refusal stands for; the first that matches.
ERRORS: list[tuple[str, type[errors.RAGFlowError]]] = [
    (r"bad_key|missing_key|auth_empty_bearer|no_key__", errors.AuthenticationError),
    (r"v0\.(17|20|22|24)\S+/00_v1_system_version_no_key", errors.AuthenticationError),
    (r"/00_|09_err_40[45]", _GONE),
    (r"chat_create_(duplicate_name|no_name)", errors.InvalidRequestError),
    (r"chat_create_(legacy_body|unknown_llm)", errors.ModelUnavailableError),
    (r"chat_create_minimal", errors.ServerError),  # 0.17.2 wants `dataset_ids`: KeyError
    (r"chat_(delete|list|update|get)_unknown", errors.ChatNotFoundError),
    (r"session_(create|list)_unknown_chat|_err_unknown_chat|completion_unknown_chat", errors.ChatNotFoundError),
    (r"v0\.(17|20|22|24)\S*/02_session_get", _GONE),
    (r"v0.20.5/08_agent_err_unknown_session", errors.ServerError),  # HTTP 500 and a page
    (r"session_(get|delete)_unknown|session_delete_partial|unknown_session$", errors.SessionNotFoundError),
    (r"unknown_session_nonstream|session_of_other_chat|session_int", errors.SessionNotFoundError),
    (r"chat_(get|update)|session_(get|update)_p|02_session_get$|session_get_by_path", _GONE),
    (r"session_create_no_body", errors.ServerError),  # ≤ 0.22.1: TypeError
    (r"session_create_blank_name|messages_forbidden|session_delete_malformed", errors.InvalidRequestError),
    (r"v0\.(17|20|22|24)\S+/03_completion_body_", errors.ServerError),  # TypeError of a Python call
    (r"v0\.(17|20|22|24)\S+/04_chat_completions", _GONE),
    (r"content_list", errors.ServerError),
    (r"session_without_chat", errors.InvalidRequestError),
    (r"05_openai_err_(last_not_user|no_model)", errors.InvalidRequestError),
    (r"05_openai_err_unknown_model", errors.ModelUnavailableError),
    (r"v0\.(17|20)\S+/(06_retrieval_err_malformed|09_err_malformed_json_chats)", errors.ServerError),
    (r"06_retrieval_err_unknown_dataset|07_dataset_\w+_unknown", errors.DatasetNotFoundError),
    (r"06_retrieval_err_unknown_document", errors.DocumentNotFoundError),
    (r"06_retrieval_err|07_chunk_add_empty|07_dataset_create", errors.InvalidRequestError),
    (r"08_agent_(get|list)_unknown", errors.AgentNotFoundError),
    (r"08_agent_completion_new_singular_path", _GONE),
    (r"v0.20.5/08_agent", errors.ServerError),  # HTTP 500 and a page
    (r"v0.22.1/08_agent\w+nonstream", errors.ServerError),  # 'async_generator' object is not iterable
    (r"agent_err_no_agent_id", errors.InvalidRequestError),
    (r"v0\.(17|20|22|24)\S+/09_err_completion_no_question_with_session", errors.ServerError),
    (r"question_int_nonstream|v0\.(24|25.6|26|27)\S*/09_err_no_content_type", errors.ServerError),
    (r"v0\.(17|20|22)\S+/09_err_json_array_body", errors.ServerError),
    (r"09_err_(completion|malformed|messages|empty_body|json_array)", errors.InvalidRequestError),
]


def refusal(recording: Recording) -> type[errors.RAGFlowError]:
    """The error that a refusal stands for."""
    if b"missing: messages" in recording.body:  # whatever else was asked of a 0.25.3
        return errors.InvalidRequestError
    name = f"{recording.version}/{recording.name}"
    return next(error for pattern, error in ERRORS if re.search(pattern, name))
