"""When a reply is whole: what is asked for otherwise since a release would cut it, and which cuts are none."""

from __future__ import annotations

import contextlib
import logging
import re
from typing import TYPE_CHECKING, Final

from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.answers.builder import MAX_CHUNKS
from ragflow_integrations._protocol.calls import chats, retrieval, sessions
from ragflow_integrations._protocol.compat import features, server_version
from ragflow_integrations._protocol.compat.seen_assistants import settings_of
from ragflow_integrations.errors import APIError, ProtocolError, UnsupportedByServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Operation, Subject
    from ragflow_integrations.models import CompletionOptions, JsonValue, RetrievalOptions

_logger = logging.getLogger("ragflow_integrations")
#: 0.20.0–0.23.1 send a text in batches of at least so many tokens, but for its end. A word is at least one.
_BATCH: Final = 16
#: What ≤ 0.24 call any LLM in streams of the stateless route; later ones name it.
_UNNAMED: Final = "model"
_WORD: Final = re.compile(r"[^\W\d_]+|\d{1,3}|[^\s\w]")


def researches(profile: ServerProfile, chat_id: str, options: CompletionOptions) -> Operation[bool]:
    """Return whether the server will do deep research, on those releases that must be asked for a stream then.

    Other replies are better if they are not streamed: 0.24.0 and ≥ 0.26.1 add the citations that the LLM left out to those
    only. An assistant that was seen with its switch off is not looked up again: if it is on by now, the reply shows that.
    """
    if not (yield from server_version.may_be(profile, features.RESEARCH_CUT)):
        return False
    if options.get("reasoning_effort", "off") != "off":
        return True
    seen = profile.assistants.get(chat_id)
    if seen is not None and not seen.researches:
        return False
    try:
        chat = yield from chats.get_chat(chat_id)
    except (APIError, ProtocolError):
        return False  # the question itself tells what is wrong
    return settings_of(chat).researches


def check_research_off(profile: ServerProfile, target: Subject, options: CompletionOptions) -> Operation[None]:
    """Make sure that `reasoning_effort="off"` is honoured.

    Raises:
        UnsupportedByServerError: The assistant's own switch is on, which wins before 0.27.0.
    """
    if options.get("reasoning_effort") != "off" or not (yield from server_version.may_be(profile, features.RESEARCH_CUT)):
        return
    chat = yield from chats.get_chat(target.id)
    if settings_of(chat).researches:
        raise UnsupportedByServerError(
            f'`reasoning_effort="off"` needs RAGFlow 0.27.0 or newer if the assistant\'s "Reasoning" switch is on, as it is of '
            f"{chat.name!r}; this server is {profile.known}. Turn the switch off: client.chats.update({target.id!r}, "
            "prompt={'reasoning': False}).",
            feature='`reasoning_effort="off"` beside the assistant\'s "Reasoning" switch',
            since="0.27.0",
        )


def lacks_only_reference(
    profile: ServerProfile, target: Subject, messages: Sequence[JsonValue], reader: AnswerReader
) -> Operation[bool]:
    """Return whether a stateless stream was cut off only because its answer has no reference.

    0.20.0–0.23.1 fail there after all text, if the assistant's quotes are off, or nothing is found and it has no text for that
    [transcripts/nothing-raw-0.23.1]. Such an end is told from a real cut by all of this: the stream broke between two events;
    its last piece is shorter than the batches that go before the end of a text; the assistant may answer without references;
    and a search with its settings finds nothing, unless it cites nothing anyway. Nobody is asked if the name of the LLM tells
    that the release is another.
    """
    if reader.inside_event or reader.model != _UNNAMED or not reader.partial or reader.lacks_beginning:
        return False
    if len(_WORD.findall(reader.last_text)) >= _BATCH:
        return False
    if not (yield from server_version.may_be(profile, features.REFERENCE_NEEDED)):
        return False
    chat = yield from chats.get_chat(target.id)
    if not chat.dataset_ids or not chat.quote:
        return bool(chat.dataset_ids)
    question = messages[-1]
    text = fields.text(question, "content") if isinstance(question, dict) else ""
    if chat.empty_response.strip() or not text.strip():
        return False
    options: RetrievalOptions = {
        "similarity_threshold": chat.similarity_threshold,
        "vector_similarity_weight": chat.prompt.get("vector_similarity_weight"),
    }
    result = yield from retrieval.retrieve(profile, text, dataset_ids=chat.dataset_ids, limit=1, options=options)
    return not result.chunks


def max_chunks(profile: ServerProfile, target: Subject, options: CompletionOptions) -> int:
    """Return how many chunks an assistant can give its LLM, as far as that is known."""
    seen = profile.assistants.get(target.id)
    if seen is None or any(name in options for name in ("reasoning_effort", "internet")):
        return MAX_CHUNKS
    if not seen.cites:
        return 0
    return MAX_CHUNKS if seen.max_chunks is None else seen.max_chunks


def drop_turn(profile: ServerProfile, chat_id: str, session_id: str, message_id: str | None) -> Operation[None]:
    """Delete the turn of an unfinished reply from its session: the question is asked again, and would be there twice."""
    deleted = False
    if message_id is not None and (yield from server_version.supports_feature(profile, features.MESSAGES)):
        with contextlib.suppress(APIError):
            yield from sessions.delete_message(profile, chat_id, session_id, message_id)
            deleted = True
    if not deleted:
        _logger.warning(
            "session %s keeps an empty turn: the assistant does deep research since a moment ago, and this RAGFlow release "
            "can delete no turn. The question was asked again.",
            session_id,
        )
