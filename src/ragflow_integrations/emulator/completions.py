"""Routes of native completions: stateful, in the body forms of every era, and for embedded pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragflow_integrations.emulator.chats import foreign_chat, known_model
from ragflow_integrations.emulator.eras import NoSession, Prompt
from ragflow_integrations.emulator.model import SETTINGS
from ragflow_integrations.emulator.responses import Refused, exception_reply, frame, ok, refuse
from ragflow_integrations.emulator.sessions import new_session
from ragflow_integrations.emulator.store import Chat, Session
from ragflow_integrations.emulator.streams import TurnFailedError, answer_at_once, answer_events
from ragflow_integrations.emulator.turns import Question, make_turn, new_message_id, remember

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.responses import Response

    from ragflow_integrations.emulator.calls import Call
    from ragflow_integrations.emulator.streams import Turn


class NativeCompletion:
    """One native completion: a turn, the ids it is labelled with, and the session that remembers it."""

    def __init__(
        self,
        call: Call,
        turn: Turn,
        *,
        labels: dict[str, Any],
        session: Session | None,
        messages: list[dict[str, Any]],
        head: dict[str, Any] | None = None,
    ) -> None:
        self.call = call
        self.turn = turn
        self.labels = labels
        self.session = session
        self.messages = messages
        self.head = head or {}

    def _remember(self) -> None:
        if self.session is not None:
            remember(self.call, self.session, self.turn, self.messages, self.labels["id"])

    async def frames(self) -> AsyncGenerator[str, None]:
        """Yield the frames of the stream. The turn is stored after the last, so not if the client leaves."""
        call = self.call
        try:
            async for event in answer_events(self.turn):
                yield call.native(event | self.labels, **self.head)
            self._remember()
        except TurnFailedError as error:
            yield call.error_event(str(error))
        yield call.native(True, **self.head)

    async def reply(self) -> Response:
        """Return the answer in one piece."""
        try:
            event = await answer_at_once(self.turn)
        except TurnFailedError as error:
            raise Refused(exception_reply(error.cause)) from error
        self._remember()
        return ok(event | self.labels if event else event, "success" if self.call.era.messages_in_events else None)

    async def answer(self) -> Response:
        """Return the reply in the requested form."""
        request = self.turn.request
        return self.call.stream(self.frames(), question=request.question) if request.streamed else await self.reply()


def _is_streamed(body: dict[str, Any]) -> bool:
    """Return whether to stream: any true value does, even the text ``"false"`` [09_err_completion_stream_string]."""
    return bool(body.get("stream", True))


def _document_ids(body: dict[str, Any]) -> list[str] | None:
    value = body.get("doc_ids")
    if not value:
        return None
    return [part for part in (value if isinstance(value, list) else str(value).split(",")) if part]


def _opener(chat: Chat, session: Session) -> dict[str, Any]:
    return {
        "answer": chat.prompt_config.get("prologue", ""),
        "reference": {},
        "audio_binary": None,
        "id": None,
        "session_id": session.id,
    }


async def _opener_frames(call: Call, data: dict[str, Any]) -> AsyncGenerator[str, None]:
    yield call.native(data, message="")
    yield call.native(True, message="")


# Up to 0.25.0: the chat is in the path, the question in ``question``


async def _answer_question(call: Call) -> Response:
    era = call.era
    body = await call.body(completion=True)
    chat_id = call.arg("chat_id")
    chat = call.store.get(Chat, chat_id)
    if chat is None:
        raise refuse(102, f"You don't own the chat {chat_id}")
    streamed = _is_streamed(body)
    if not body.get("session_id"):
        session = new_session(call, chat, name=body.get("name") or "New session", user_id=body.get("user_id") or "")
        if streamed or era.no_session is not NoSession.EMPTY_QUESTION:
            return _open(call, _opener(chat, session), streamed=streamed)
        return await _turn_of_question(call, chat, session, body | {"question": ""})
    session = _own_session(call, chat, body["session_id"])
    for name in ("chat_id", "tenant_id"):
        if name in body:
            raise Refused(exception_reply(TypeError(f"{era.completion_callable}() got multiple values for argument '{name}'")))
    if "question" not in body:
        message = f"{era.completion_callable}() missing 1 required positional argument: 'question'"
        raise Refused(exception_reply(TypeError(message)))
    if "messages" in body:
        return _collision(call, streamed=streamed)
    return await _turn_of_question(call, chat, session, body)


def _own_session(call: Call, chat: Chat, key: Any) -> Session:
    session = call.store.get(Session, key, parent=chat.id)
    if session is None:
        raise refuse(102, f"You don't own the session {key}")
    return session


def _open(call: Call, data: dict[str, Any], *, streamed: bool) -> Response:
    """Return the opener alone: without a session the question is dropped."""
    if streamed:
        return call.stream(_opener_frames(call, data))
    framed = call.era.no_session is NoSession.FRAME
    return ok(frame({"code": 0, "message": "", "data": data}) if framed else data)


def _collision(call: Call, *, streamed: bool) -> Response:
    """Return the failure over ``messages``, which collides with a parameter of the server's own function."""
    message = f"{call.era.chat_callable}() got multiple values for argument 'messages'"
    if not streamed:
        raise Refused(exception_reply(TypeError(message)))

    async def frames() -> AsyncGenerator[str, None]:
        yield call.error_event(message)
        yield call.native(True)

    return call.stream(frames())


async def _turn_of_question(call: Call, chat: Chat, session: Session, body: dict[str, Any]) -> Response:
    era = call.era
    question = Question(
        text=body["question"],
        history=session.messages,
        streamed=_is_streamed(body),
        quote=body.get("quote"),
        document_ids=_document_ids(body),
        extra_dataset_ids=list(body.get("kb_ids") or []) if era.dataset_ids_per_turn else [],
        metadata_condition=body.get("metadata_condition") if era.metadata_filters_turns else None,
        native=True,
        reasoning=body.get("reasoning"),
        variables=body,
    )
    message_id = new_message_id(call)
    messages = [*session.messages, {"role": "user", "content": question.text, "id": message_id}]
    labels = {"id": message_id, "session_id": session.id}
    exchange = NativeCompletion(call, make_turn(call, chat, question), labels=labels, session=session, messages=messages)
    return await exchange.answer()


# From 0.25.1: one handler for both paths, the conversation in ``messages``


def _needs_messages(call: Call, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a body of 0.25.1 or later, checked as the era checks them."""
    if call.era.prompt is Prompt.MESSAGES:
        if "messages" not in body:
            raise refuse(101, "required argument are missing: messages; ", data=None)
        return list(body["messages"] or [])
    messages = body.get("messages")
    if messages is None and body.get("question") is not None:
        return [{"role": "user", "content": body["question"]}]
    if messages is None:
        raise refuse(101, "required argument are missing: messages")
    if not isinstance(messages, list) or not messages:
        raise refuse(101, "`messages` must be a non-empty list.")
    if messages[-1].get("role") != "user":
        raise refuse(101, "The last message must be from user.")
    return messages


def _trim(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop system messages, as the server does."""
    return [message for message in messages if message.get("role") != "system"]


def _find_session(call: Call, chat: Chat, key: Any) -> Session:
    session = call.store.get(Session, key)
    if session is None:
        raise refuse(102, "Session not found!")
    if session.owner_id != chat.id:
        raise refuse(102, "Session does not belong to this chat!")
    return session


def _failing(call: Call, message: str, *, streamed: bool) -> Response:
    if not streamed:
        raise Refused(exception_reply(f"Exception({message!r})"))

    async def frames() -> AsyncGenerator[str, None]:
        yield call.error_event(message)
        yield call.native(True)

    return call.stream(frames())


def _chat_of(call: Call, chat_id: Any, session_id: Any) -> Chat | None:
    """Return the assistant of a completion; None for a question to the model alone. Raise the refusal of an unknown one."""
    if session_id and not chat_id:
        raise refuse(102, "`chat_id` is required when `session_id` is provided.")
    chat = call.store.get(Chat, chat_id) if chat_id else None
    if chat_id and chat is None:
        raise foreign_chat(call, "")
    return chat


def _model_of(body: dict[str, Any]) -> str:
    """Return the model that a body names; empty if it names none. Raise the refusal of an unknown one."""
    model = body.get("llm_id") or ""
    if model and not known_model(model):
        raise refuse(102, f"Cannot use specified model {model}.")
    return str(model)


def _passes_whole_history(body: dict[str, Any]) -> bool:
    return bool(body.get("pass_all_history_messages") or body.get("pass_all_history"))


def _problem_of(messages: list[dict[str, Any]]) -> str:
    """Return what the server raises over a conversation that does not end with the user; empty if it does."""
    if not messages:
        return "list index out of range"
    return "" if messages[-1].get("role") == "user" else "The last content of this conversation is not from user."


def _history(call: Call, body: dict[str, Any], messages: list[dict[str, Any]], session: Session | None) -> list[dict[str, Any]]:
    """Return the messages before the question: those of the request, or those that the session holds."""
    if session is None or _passes_whole_history(body) or call.era.history_overwritten:
        return messages[:-1]
    return session.messages


def _user_message(call: Call, message: dict[str, Any]) -> dict[str, Any]:
    """Return the question as a session stores it: with the id of the turn, if the client or the era gives one."""
    question = message.get("content")
    if call.era.content_list_fails and isinstance(question, list):
        raise Refused(exception_reply(TypeError("expected string or bytes-like object, got 'list'")))
    message_id = message.get("id") or (new_message_id(call) if call.era.answer_ids else None)
    return {"role": "user", "content": question} | ({"id": message_id} if message_id else {})


async def _answer_messages(call: Call, chat_id: Any) -> Response:
    era = call.era
    body = await call.body(completion=True)
    messages = _needs_messages(call, body)
    session_id = body.get("session_id") or body.get("conversation_id")
    chat = _chat_of(call, chat_id or body.get("chat_id"), session_id)
    model = _model_of(body)
    stored = not era.store_flag or _stores(body)
    session = _find_session(call, chat, session_id) if chat and session_id and stored else None
    messages = _trim(messages)
    if problem := _problem_of(messages):
        return _failing(call, problem, streamed=_is_streamed(body))
    message = _user_message(call, messages[-1])
    if chat and session is None and stored:
        session = new_session(call, chat)
    history = _history(call, body, messages, session)
    question = Question(
        text=message["content"],
        history=history,
        streamed=_is_streamed(body),
        quote=body.get("quote"),
        document_ids=_document_ids(body),
        legacy=bool(body.get("legacy")),
        native=True,
        reasoning=body.get("reasoning"),
        variables=body,
        with_metadata=wants_metadata(body),
        model=model,
        settings=_settings(call, body) if model else None,
    )
    exchange = NativeCompletion(
        call,
        make_turn(call, chat, question),
        labels=_labels(message.get("id"), chat, session),
        session=session,
        messages=[*history, message],
    )
    return await exchange.answer()


def _labels(message_id: str | None, chat: Chat | None, session: Session | None) -> dict[str, Any]:
    """Return the ids in the events of an answer; without an assistant the session's is empty, and not null."""
    if chat is None:
        return {"id": message_id, "session_id": ""}
    return {"id": message_id, "session_id": session.id if session else None, "chat_id": chat.id}


def _stores(body: dict[str, Any]) -> bool:
    """Return whether the turn is stored in a session; raise the refusal of one that is neither stored nor passed whole."""
    stored = bool(body.get("store_history_messages", body.get("store_history", True)))
    if not stored and not _passes_whole_history(body):
        raise refuse(102, "`store_history_messages=false` requires `pass_all_history_messages=true`.")
    return stored


def _settings(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """Return the settings beside a model that a body names; they replace the assistant's, even if there are none."""
    settings = {name: body[name] for name in SETTINGS if body.get(name) is not None}
    return {name: value for name, value in settings.items() if value or not call.era.zero_settings_dropped}


def wants_metadata(body: dict[str, Any]) -> bool:
    """Return whether chunks carry the metadata of their documents."""
    metadata_option = body.get("reference_metadata")
    return bool(
        (metadata_option.get("include") if isinstance(metadata_option, dict) else False) or body.get("include_metadata")
    )


async def complete_in_chat(call: Call) -> Response:
    """Answer ``POST /chats/{chat_id}/completions``."""
    if call.era.prompt is Prompt.QUESTION:
        return await _answer_question(call)
    return await _answer_messages(call, call.arg("chat_id"))


async def complete(call: Call) -> Response:
    """Answer ``POST /chat/completions``."""
    return await _answer_messages(call, None)


# Embedded pages


async def chatbot_complete(call: Call) -> Response:
    """Answer ``POST /chatbots/{chat_id}/completions``: without a session only the opener; quotes must be asked for."""
    body = await call.body(completion=True)
    chat = call.store.get(Chat, call.arg("chat_id"))
    if chat is None:
        raise refuse(102, f"You don't own the chat {call.arg('chat_id')}")
    session = call.store.get(Session, body.get("session_id"), parent=chat.id)
    if session is None:
        return call.stream(_opener_frames(call, _opener(chat, new_session(call, chat))))
    question = Question(
        text=body.get("question", ""),
        history=session.messages,
        quote=bool(body.get("quote")),
        streamed=_is_streamed(body),
    )
    message_id = new_message_id(call)
    exchange = NativeCompletion(
        call,
        make_turn(call, chat, question),
        labels={"id": message_id, "session_id": session.id},
        session=session,
        messages=[*session.messages, {"role": "user", "content": question.text, "id": message_id}],
        head={"message": ""},
    )
    return await exchange.answer()


async def chatbot_info(call: Call) -> Response:
    """Answer ``GET /chatbots/{chat_id}/info``."""
    chat = call.store.get(Chat, call.arg("chat_id"))
    if chat is None:
        raise refuse(102, f"You don't own the chat {call.arg('chat_id')}")
    return ok(
        {
            "title": chat.name,
            "avatar": chat.icon,
            "prologue": chat.prompt_config.get("prologue", ""),
            "llm_id": chat.llm_id,
            "has_tavily_key": False,
            "has_web_search_provider": False,
        }
    )
