"""When a question is put once more, or otherwise: what a reply that is no whole answer shows of the server.

Each function is an operation like those of `operations`. None of them asks a question itself: they say whether to prepare it
anew, which then takes another form.
"""

from __future__ import annotations

import contextlib
import logging
import re
from typing import TYPE_CHECKING, cast

from ragflow_integrations._protocol import operations
from ragflow_integrations._protocol.compat import features, server_version
from ragflow_integrations._protocol.failures import UnfinishedReply
from ragflow_integrations._protocol.http import Request
from ragflow_integrations.errors import APIError, ProtocolError, ServerError

if TYPE_CHECKING:
    from ragflow_integrations._protocol.answers.reader import AnswerReader
    from ragflow_integrations._protocol.compat.assistants import Assistant
    from ragflow_integrations._protocol.compat.server_version import Profile
    from ragflow_integrations._protocol.completions import Completion
    from ragflow_integrations._protocol.http import Operation
    from ragflow_integrations.errors import RAGFlowError
    from ragflow_integrations.models import Answer, JsonValue

_logger = logging.getLogger("ragflow_integrations")
#: 0.20–0.23.1, for an answer without references where references are asked for.
_NO_REFERENCE = "'list' object has no attribute 'get'"
#: These releases send a text in batches of at least so many tokens, but for its end. A word is at least one.
_BATCH = 16
#: What ≤ 0.24 call any LLM in streams of the OpenAI route; later ones name it.
_UNNAMED = "model"
_WORD = re.compile(r"[^\W\d_]+|\d{1,3}|[^\s\w]")


def assistant(profile: Profile, chat_id: str) -> Operation[Assistant | None]:
    """Return what is known of an assistant, asking for it the first time; None if the server does not tell."""
    if profile.assistants.get(chat_id) is None:
        with contextlib.suppress(APIError, ProtocolError):  # the question itself tells what is wrong
            yield from operations.get_chat(chat_id)  # the reply teaches the profile
    return profile.assistants.get(chat_id)


def after_error(completion: Completion, error: RAGFlowError, profile: Profile) -> Operation[bool]:
    """Tell whether to put a question once more after an error; each reason counts once."""
    plan = completion.plan
    if isinstance(error, UnfinishedReply) and not plan.gather:
        plan.gather = True
        yield from _drop_turn(completion, error.message_id, profile)
        return True
    body = completion.request.json or {}
    if not isinstance(error, APIError):
        return False
    if "question" in body and not plan.as_messages and "missing: messages" in error.message:
        plan.as_messages = True
        profile.take(profile.known.narrowed(*features.MESSAGES_ONLY.span))
        return True
    if completion.references and not plan.without_references and _lacks_references(error):
        plan.without_references = True
        profile.take(profile.known.narrowed(*features.NO_REFERENCE_FAILS.span))
        yield from assistant(profile, completion.chat_id)  # one that cites nothing is asked otherwise from now on
        return True
    return False


def _lacks_references(error: APIError) -> bool:
    return isinstance(error, ServerError) and _NO_REFERENCE in error.message


def _drop_turn(completion: Completion, message_id: str | None, profile: Profile) -> Operation[None]:
    """Take the turn of an unfinished reply out of its session: it is asked again, and would be there twice."""
    profile.assistants.forget(completion.chat_id)  # its switch was turned on since
    session_id = completion.session_id
    if session_id is None:
        return
    deleted = False
    if message_id is not None and (yield from server_version.find_out(profile, features.MESSAGES)):
        try:
            yield from operations.delete_message(profile, completion.chat_id, session_id, message_id)
        except APIError:
            pass
        else:
            deleted = True
    if not deleted:
        _logger.warning(
            "session %s keeps an empty turn: the assistant does deep research since a moment ago, and this RAGFlow release "
            "can delete no turn. The question was asked again.",
            session_id,
        )


def after_answer(completion: Completion, answer: Answer, profile: Profile) -> Operation[bool]:
    """Tell whether to put a question once more because its answer, which has no text, may be a beginning only."""
    if completion.route == "agent":
        return False
    seen = profile.assistants.get(completion.chat_id)
    if completion.plan.gather and not answer.reasoning and seen is not None and seen.researches:
        profile.assistants.forget(completion.chat_id)  # its switch was turned off
    if answer.text or completion.stream or profile.known.supports(features.RESEARCH_CUT) is False:
        return False
    known = yield from assistant(profile, completion.chat_id)
    if known is None or not known.researches or not (yield from server_version.find_out(profile, features.RESEARCH_CUT)):
        return False
    completion.plan.gather = True
    return True


def ended(completion: Completion, reader: AnswerReader, profile: Profile) -> Operation[bool]:
    """Tell whether a stream that broke is whole but for its closing chunk.

    0.20–0.23.1 fall over an answer without references when all text has been sent. Such an end is told from a real one by
    all of this: the stream broke between two events; its last piece is shorter than the batches that go before the end of a
    text; the assistant may answer without references; and a search with its settings finds nothing, unless it cites nothing
    anyway. Nobody is asked where the name of the LLM tells that the release is another.
    """
    if not completion.references or reader.inside_event or reader.model != _UNNAMED:
        return False
    if len(_WORD.findall(reader.last_text)) >= _BATCH or not reader.partial or reader.lacks_beginning:
        return False
    if profile.known.supports(features.NO_REFERENCE_FAILS) is False:
        return False
    known = yield from assistant(profile, completion.chat_id)
    if known is None or not known.may_lack_references:
        return False
    yield from server_version.find_out(profile, features.NO_REFERENCE_FAILS)
    if profile.known.supports(features.NO_REFERENCE_FAILS) is False:  # 0.20 and 0.21 cannot be told from older ones
        return False
    return not known.cites or (yield from _finds_nothing(completion, known))


def _finds_nothing(completion: Completion, known: Assistant) -> Operation[bool]:
    messages = cast("list[dict[str, str]]", (completion.request.json or {})["messages"])
    body: dict[str, JsonValue] = {
        "question": messages[-1]["content"],
        "dataset_ids": list(known.dataset_ids),
        "page": 1,
        "page_size": 30,  # 0.21.1 finds nothing on pages of one
    }
    for name in ("similarity_threshold", "vector_similarity_weight"):
        value = getattr(known, name)
        if value is not None:
            body[name] = value
    try:
        reply = yield Request("POST", "/retrieval", json=body, repeat="always", subject=completion.request.subject)
    except APIError as error:
        return "No chunk found" in error.message
    data = reply.get("data")
    return isinstance(data, dict) and not data.get("chunks")
