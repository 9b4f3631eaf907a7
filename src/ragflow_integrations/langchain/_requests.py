"""LangChain's messages as what is sent to RAGFlow."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias

from langchain_core.messages import ChatMessage

from ragflow_integrations._adapters import history as histories
from ragflow_integrations.errors import InvalidArgumentError
from ragflow_integrations.langchain._compat import citations_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import BaseMessage
    from langchain_core.messages.content import Citation

    from ragflow_integrations.models import Message, Role

SystemMessagePolicy: TypeAlias = Literal["warn", "prepend", "error"]

_USE_TOOLKIT = ". To let a model call RAGFlow as a tool, give RAGFlowToolkit's tools to a model that calls tools"
#: Content blocks that are left out when an assistant's message is sent as history.
_LEFT_OUT = ("reasoning", "non_standard", "server_tool_call", "server_tool_result")


def history(messages: Sequence[BaseMessage], policy: SystemMessagePolicy) -> list[Message]:
    """Write messages as RAGFlow's history.

    Raises:
        InvalidArgumentError: A message has no place in it, or the last is not a question.
    """
    written = _written(list(enumerate(messages)), policy)
    histories.check_ends_with_question(written)
    return written


def _written(messages: Sequence[tuple[int, BaseMessage]], policy: SystemMessagePolicy) -> list[Message]:
    written: list[Message] = []
    system: list[str] = []
    for index, message in messages:
        role = _role(index, message)
        text, spans = _text(index, message, role)
        if role == "system":
            _check_system(index, policy)
            system.append(text)
        else:
            written.append(histories.message(role, text, spans))
    return histories.prepend_system(written, system) if policy == "prepend" else written


def question(messages: Sequence[BaseMessage], policy: SystemMessagePolicy) -> str:
    """Return the last message, the only one that is sent if the server keeps the history.

    Raises:
        InvalidArgumentError: It is not the user's.
    """
    roles = [_role(index, message) for index, message in enumerate(messages)]
    last = len(messages) - 1
    sent = [(index, message) for index, message in enumerate(messages) if index == last or roles[index] == "system"]
    if policy == "prepend" and "user" in roles[:last]:
        sent = sent[-1:]  # system messages were sent with the first question
    return histories.check_ends_with_question(_written(sent, policy))


def check_alone(messages: Sequence[BaseMessage]) -> None:
    """Check that there is one question and no history, for an agent without a session to remember it.

    Raises:
        InvalidArgumentError: There is more.
    """
    if sum(_role(index, message) != "system" for index, message in enumerate(messages)) > 1:
        raise InvalidArgumentError(
            "messages", "hold a history, which an agent keeps itself: pass `session_id` or `conversation_id`, or one message"
        )


def _role(index: int, message: BaseMessage) -> Role:
    kind = message.role if isinstance(message, ChatMessage) else message.type
    return histories.role_of(f"messages[{index}]", kind, _USE_TOOLKIT)


def _text(index: int, message: BaseMessage, role: Role) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a message, and the spans of the markers in it."""
    if role != "assistant":
        if not isinstance(message.content, str):
            _check_blocks(index, message, ())
        return str(message.text), []
    _check_blocks(index, message, _LEFT_OUT)
    text = str(message.text)
    return text, list(_marker_spans(text, citations_of(message)))


def _check_blocks(index: int, message: BaseMessage, left_out: Sequence[str]) -> None:
    for block in message.content_blocks:
        if block["type"] != "text" and block["type"] not in left_out:
            raise InvalidArgumentError(
                f"messages[{index}]",
                f"holds content of type {block['type']!r}; RAGFlow assistants take text only. Upload files to a dataset",
            )


def _marker_spans(text: str, citations: Sequence[Citation]) -> Iterator[tuple[int, int]]:
    """Return the spans of markers such as `[4]`, if the text still has them there."""
    for citation in citations:
        start, end = citation.get("start_index", 0), citation.get("end_index", 0)
        if text[start:end] == f"[{citation.get('extras', {}).get('number')}]":
            yield start, end


def _check_system(index: int, policy: SystemMessagePolicy) -> None:
    if policy == "prepend":
        return
    problem = "is a system message, which every RAGFlow server drops; put it into the assistant's prompt in RAGFlow"
    if policy == "error":
        raise InvalidArgumentError(f"messages[{index}]", f"{problem}, or set system_message='prepend'")
    warnings.warn(f"messages[{index}] {problem}, or set system_message='prepend' or 'error'.", UserWarning, stacklevel=2)
