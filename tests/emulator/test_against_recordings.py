"""Replays the requests of real servers' recordings to the emulator and compares the replies.

Compared are the status, the content types, the keys and types of all JSON, the values that a client decides by (codes,
messages of errors, event names, flags), and the sequence of events. Repeats of one shape count once, because how many
pieces an answer comes in is chance.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from ragflow_integrations.emulator import Emulator
from ragflow_integrations.emulator.store import Agent, Chat, Document, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RECORDINGS = Path(__file__).parent.parent / "recordings"
VERSIONS = {
    "v0.17.2": "0.17.2",
    "v0.20.5": "0.20.5",
    "v0.22.1": "0.22.1",
    "v0.24.0": "0.24.0",
    "v0.25.3": "0.25.3",
    "v0.25.6": "0.25.6",
    "v0.26.0": "0.26.0",
    "v0.27.0": "0.27.0",
}
NOBODY = "0" * 32
DOCUMENTS = {
    "thermostat.txt": "The Nordwind thermostat keeps the living room at 21 degrees Celsius. Its factory reset needs the "
    "button held for twelve seconds.\n\nThe Nordwind thermostat battery lasts about eighteen months. Replace it with two "
    "AA lithium cells.",
    "garage.txt": "The garage door opener model GX-40 lifts doors up to 160 kilograms. It closes automatically after five "
    "minutes.\n\nTo pair a remote with the GX-40 press the learn button until the light turns to a blue light.",
    "unicode 文档.txt": "东京塔高三百三十三米，建成于一九五八年。\n"
    "Café “Zürich” serves naïve 😀 guests from 07:30 until 22:00 daily.",
}

EXCLUDED = {
    r"/00_v1_system_version_login_jwt$": "needs a user who is logged in; the emulator has only keys",
    r"/00_system_status$": "machine facts: the heartbeats of task executors",
    r"/09_llm_hang_midstream": "what a client saw that gave up; there is no reply to compare",
    r"/13_client_disconnect": "what a client saw that gave up; tested in test_lifecycle",
    r"/13_concurrent": "two requests at once; tested in test_chats",
    r"/03_completion_stream_reasoning_mode_1$": "the recorded model found nothing to cite in this mode",
    r"v0.17.2/08_agent_list$": "the recorded server had no agents",
    r"/07_related_questions$": "the recorded model wrote none; the emulator's are sentences of the documents",
}

SITUATIONAL = {"dataset_ids", "kb_names", "datasets", "variables"}
"""Lists that say what a chat was given."""

OPAQUE = {
    "components",
    "globals",
    "graph",
    "dsl",
    "parser_config",
    "prompt_config",
    "llm_setting",
    "llm",
    "meta_fields",
    "task_executor_heartbeats",
}
"""Settings, whose keys are what somebody configured and not what the protocol says."""

DECIDING = {"code", "event", "final", "start_to_think", "end_to_think", "finish_reason", "object", "role"}
"""Keys whose values are compared and not only their types."""


@dataclass(frozen=True)
class Recording:
    """One recorded exchange."""

    path: Path
    method: str
    url: str
    headers: dict[str, str]
    body: str
    status: int
    content_types: list[str]
    reply: str
    cut: bool

    @property
    def version(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def is_stream(self) -> bool:
        return "text/event-stream; charset=utf-8" in self.content_types

    @classmethod
    def read(cls, path: Path) -> Recording:
        text = path.read_bytes().decode().replace("\r\n", "\n")
        asked, _, replied = text.partition("\n" + "=" * 40 + "\n")
        ahead, _, body = asked.partition("\n\n")
        (method, url), *lines = ahead.split("\n")[0].split(" "), *ahead.split("\n")[1:]
        fields, _, reply = replied.partition("\n\n")
        replied_headers = re.findall(r"^([\w-]+): (.*)$", fields, re.MULTILINE)
        reply, _, end = reply.partition("# curl exit code ")
        return cls(
            path=path,
            method=method,
            url=url,
            headers=dict(line.split(": ", 1) for line in lines if ": " in line),
            body=body.strip("\n"),
            status=int(re.findall(r"^HTTP/1.1 (\d+)", replied, re.MULTILINE)[0]),
            content_types=[value for name, value in replied_headers if name.lower() == "content-type"],
            reply=re.sub(r"(?m)^curl: .*$", "", reply),
            cut=end.strip() == "18" or "curl exit code 18" in replied,
        )


ALL = [path for version in VERSIONS for path in sorted((RECORDINGS / version).glob("*.http"))]


def why_excluded(path: Path) -> str | None:
    return next((why for pattern, why in EXCLUDED.items() if re.search(pattern, f"{path.parent.name}/{path.stem}")), None)


# What is compared


def shape_of(value: Any, key: str = "") -> Any:
    """The keys and types of a value; of a list, the shape that its items have together."""
    if (isinstance(value, dict) and key in OPAQUE) or (isinstance(value, list) and key in SITUATIONAL):
        return "settings"
    if key in DECIDING or (key == "data" and isinstance(value, bool)):
        return value
    if isinstance(value, dict):
        return _shape_of_object(value)
    if isinstance(value, list):
        return [functools.reduce(merged, map(shape_of, value))] if value else []
    name = type(value).__name__
    if key == "process_begin_at":
        name = "null, or a date"  # some of the recorded documents were put into the index by hand
    return {"int": "number", "float": "number"}.get(name, name)


def _shape_of_object(value: dict[str, Any]) -> dict[str, Any]:
    names = {name: re.sub(r"^\d+$", "<hash>", re.sub(r"^.*\.txt$", "<document>", name)) for name in value}
    items = {names[name]: shape_of(item, name) for name, item in value.items()}
    if "event" in value and isinstance(items.get("data"), dict):
        items["data"].pop("audio_binary", None)  # stands in whichever events a speech batch happened to end
    return items


def merged(one: Any, other: Any) -> Any:
    """One shape for two items of a list."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: merged(one.get(name, other.get(name)), other.get(name, one.get(name))) for name in one | other}
    if isinstance(one, list) and isinstance(other, list):
        return [functools.reduce(merged, [*one, *other])] if one or other else []
    return one if one == other else _alternatives(one) | _alternatives(other)


def _alternatives(shape: Any) -> frozenset[str]:
    return shape if isinstance(shape, frozenset) else frozenset([str(shape)])


def error_of(value: Any) -> str | None:
    """What an envelope says: the message of an error, without ids."""
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return re.sub(r"[0-9a-f]{32}", "<id>", value["message"])
    return None


def seen_of(value: Any) -> Any:
    """All that is compared of one JSON value."""
    data = value.get("data") if isinstance(value, dict) else None
    text = data.get("answer") if isinstance(data, dict) else None
    said = None if text is None else "error" if "**ERROR**" in text else bool(text)
    return {"shape": shape_of(value), "message": error_of(value), "says": said}


def marks(text: str) -> str:
    """The spelling of the markers in a text."""
    return " ".join(style for style, sign in (("old", "$$"), ("new", "[ID:")) if sign in text)


def wording_of(answers: list[str], final: str | None) -> dict[str, Any]:
    """How an answer is put together: its markers, tags, errors, and what its last event repeats."""
    filled = [answer for answer in answers if answer]
    grows = all(later.startswith(earlier) for earlier, later in itertools.pairwise(filled))
    text = filled[-1] if grows and filled else "".join(filled)
    error = re.search(r"(\n?)\*\*ERROR\*\*: ([A-Z_]+ - )?", text)
    return {
        "markers": marks(text),
        "tags": "<think>" in text,
        "error": error.groups() if error else None,
        "final": None if final is None else "nothing" if not final else "as before" if final == text else "other",
        "markers of final": marks(final or ""),
    }


def answers_of(text: str, *, stream: bool) -> dict[str, Any]:
    """The wording of a chat's answer, native or OpenAI-compatible."""
    payloads = [frame.removeprefix("data:") for frame in text.split("\n\n")] if stream else [text]
    found = [json.loads(payload) for payload in payloads if payload.strip().startswith("{")]
    deltas = [choice.get("delta") or choice["message"] for one in found for choice in one.get("choices", ())]
    if deltas:
        contents = [delta["content"] for delta in deltas if delta.get("content") is not None]
        again = len(contents) > 1 and "".join(contents[:-1]).removesuffix(contents[-1]) == ""
        said = wording_of(["".join(contents)], deltas[-1].get("final_content"))
        return said | {"whole again": again, "empty contents": "" in contents}
    data = [one["data"] for one in found if isinstance(one.get("data"), dict) and "answer" in one["data"]]
    final = data.pop()["answer"] if stream and data and data[-1].get("prompt") else None
    return wording_of([one["answer"] for one in data], final)


def events_of(text: str) -> list[Any]:
    """The events of a stream; repeats count once."""
    events: list[Any] = []
    for frame in filter(None, text.split("\n\n")):
        head, payload = re.fullmatch(r"(data: ?)(.*)", frame.strip("\n"), re.DOTALL).groups()  # type: ignore[union-attr] # a frame that is none fails the test
        event = payload if payload == "[DONE]" else seen_of(json.loads(payload))
        if (head, event) not in events[-1:]:
            events.append((head, event))
    return events


def stored_in(text: str) -> list[Any]:
    """How the messages of one stored session are worded, and what references they carry."""
    data = json.loads(text).get("data")
    session = data[0] if isinstance(data, list) and data else data
    messages = session.get("messages", []) if isinstance(session, dict) else []
    return [(message["role"], wording_of([message["content"]], None), "reference" in message) for message in messages]


def body_of(text: str, *, stream: bool) -> Any:
    if stream:
        return events_of(text)
    try:
        return seen_of(json.loads(text))
    except ValueError:
        return text.strip()


# The situation of the recordings


class Situation:
    """An emulator with the datasets, chats and agents that the recorded servers had."""

    def __init__(self, server: Emulator, recorded: str) -> None:
        self.server = server
        self.recorded = recorded
        self.era = server.era
        self.headers = {"Authorization": f"Bearer {server.api_key}"}
        self.documents = {document.name: document.id for document in server.store.all(Document)}
        self._numbers = iter(range(10**6))
        datasets = [server.dataset_id]
        handbook: str = self.call("POST", "/api/v1/datasets", json={"name": "ha_handbook"})["data"]["id"]
        assert handbook
        self.agents = {
            "plain": self._agent("house_agent", []),
            "kb": self._agent("house_kb_agent", datasets),
        }

    def _agent(self, title: str, datasets: list[str]) -> str:
        agent = Agent(title=title, dataset_ids=datasets, prologue="Hi! I am the house agent.")
        self.server.store.put(agent)
        return agent.id

    def call(self, method: str, path: str, **more: Any) -> Any:
        reply = requests.request(method, self.server.base_url + path, headers=self.headers, timeout=10, **more)
        return reply.json()

    def chat(self, role: str) -> str:
        """A chat of a role; the same name twice would be refused, so each is made once."""
        for chat in self.server.store.all(Chat):
            if chat.name == role:
                return chat.id
        config: dict[str, Any] = {}
        if role == "quote_off":
            config = {"quote": False}
        elif role == "no_empty_response":
            config = {"empty_response": "", "quote": False}
        elif role == "direct_chat":
            config = {"empty_response": "", "prologue": "Hi direct!", "quote": False, "parameters": []}
        datasets = [] if role == "direct_chat" or role.startswith("scratch") else [self.server.dataset_id]
        body = {"name": role, "dataset_ids": datasets, "prompt_config": config}
        chat_id: str = self.call("POST", "/api/v1/chats", json=body)["data"]["id"]
        return chat_id

    def session(self, chat_id: str, turns: Sequence[dict[str, Any]] = ()) -> str:
        path = f"/api/v1/chats/{chat_id}"
        session_id: str = self.call("POST", f"{path}/sessions", json={"name": "tr_sess", "user_id": "alice"})["data"]["id"]
        for body in turns:
            self.say(f"{path}/completions", body | {"session_id": session_id, "stream": True})
        return session_id

    def say(self, path: str, body: dict[str, Any]) -> None:
        requests.post(self.server.base_url + path, headers=self.headers, json=body, timeout=10).close()

    def agent_session(self, agent_id: str) -> str:
        session_id: str = self.call("POST", f"/api/v1/agents/{agent_id}/sessions", json={})["data"]["id"]
        return session_id

    def scratch(self) -> int:
        return next(self._numbers)


QUESTIONS = [
    {"question": "How long does the thermostat battery last?"},
    {"question": "How do I factory reset the thermostat?"},
]
MESSAGES = [{"messages": [{"role": "user", "content": body["question"]}]} for body in QUESTIONS]
TURNS: dict[str, list[dict[str, Any]]] = {
    "after_two_turns": QUESTIONS,
    "after_stream_thinking_nocite": [{"question": "Think: how long does the thermostat battery last? [[NOCITE]]"}],
    "after_llm_drop": [{"question": "one two three four five six seven [[DROPMID]]"}],
    "session_after_turn_1": MESSAGES[:1],
    "session_after_turn_2": MESSAGES,
    "session_after_full_history": [
        {
            "messages": [
                {"role": "assistant", "content": "Hi!"},
                *MESSAGES[0]["messages"],
                {"role": "assistant", "content": "Eighteen months [ID:0]."},
                *MESSAGES[1]["messages"],
            ]
        }
    ],
}
"""What had been said in a session before the recorded exchange."""

ROLES = {
    "quote_off": r"quote_off_chat",
    "no_empty_response": r"no_empty_response_set",
    "direct_chat": r"empty_llm_answer$|finish_length|long_answer$|think_tag|unicode|direct_chat|string_false|stream_string"
    r"|full_history_not_stored|err_llm_(?!.*with_kb)|llm_drop_(?!.*with_kb)|content_list|multi_turn|10_session|after_llm_drop"
    r"|default_stream_flag|system_message_first",
    "scratch": r"01_chat_(update|delete|list_by_id)",
}


def role_of(name: str) -> str:
    if name == "03_completion_legacy_stream_default_stream_flag":
        return "house_chat"
    return next((role for role, pattern in ROLES.items() if re.search(pattern, name)), "house_chat")


class Translator:
    """Puts the emulator's ids into a recorded request: of the same kind and in the same situation."""

    def __init__(self, situation: Situation, recording: Recording) -> None:
        self.situation = situation
        self.recording = recording
        self.role = role_of(recording.name)
        self.known: dict[str, str] = {NOBODY: NOBODY}
        self.owner = ""

    @functools.cached_property
    def chat_id(self) -> str:
        scratch = self.role == "scratch" or self.recording.method == "DELETE"
        return self.situation.chat(f"scratch {self.situation.scratch()}" if scratch else self.role)

    @functools.cached_property
    def agent_id(self) -> str:
        return self.situation.agents["kb" if "_kb_" in self.recording.name else "plain"]

    def _new(self, kind: str) -> str:
        made: Callable[[], str] = getattr(self, f"_{kind}")
        return made()

    def _chat(self) -> str:
        return self.chat_id

    def _agent(self) -> str:
        return self.agent_id

    def _dataset(self) -> str:
        situation, name = self.situation, self.recording.name
        recorded = f"{self.recording.version} {name}"
        if not re.search(r"dataset_delete|chunk_[^l]|0.27.0 .*chunk_list|document_(upload|delete|parse|list_a)", recorded):
            return situation.server.dataset_id
        body = {"name": f"scratch {situation.scratch()}"}
        made: str = situation.call("POST", "/api/v1/datasets", json=body)["data"]["id"]
        return made

    def _session(self) -> str:
        situation, name = self.situation, self.recording.name
        if "agent" in self.recording.url or "agent_id" in self.recording.body:
            session_id = situation.agent_session(self.agent_id)
            if name.endswith("next_turn"):
                body = {"question": "[[FAIL500]]", "session_id": session_id}
                situation.say(f"/api/v1/agents/{self.agent_id}/completions", body)
            return session_id
        chat_id = situation.chat("direct_chat") if "session_of_other_chat" in name else self.chat_id
        return situation.session(chat_id, next((turns for part, turns in TURNS.items() if part in name), ()))

    def _document(self) -> str:
        situation = self.situation
        if self.owner in ("", situation.server.dataset_id):
            return situation.documents["thermostat.txt"]
        path = f"/api/v1/datasets/{self.owner}"
        files = {"file": ("note.txt", b"The cellar pump drains 40 litres a minute.")}
        document_id: str = situation.call("POST", f"{path}/documents", files=files)["data"][0]["id"]
        situation.call("POST", f"{path}/chunks", json={"document_ids": [document_id]})
        situation.call("GET", f"{path}/documents")
        if "chunk_list" in self.recording.name:
            chunk = {"content": "The attic.", "important_keywords": ["attic"], "questions": ["How wide?"]}
            situation.call("POST", f"{path}/documents/{document_id}/chunks", json=chunk)
        return document_id

    def id(self, recorded: str, kind: str) -> str:
        if recorded not in self.known:
            self.known[recorded] = self._new(kind)
            if kind == "dataset":
                self.owner = self.known[recorded]
        return self.known[recorded]

    def path(self, path: str) -> str:
        kinds = {"chats": "chat", "openai": "chat", "chats_openai": "chat", "chatbots": "chat", "sessions": "session"}
        kinds |= {"datasets": "dataset", "documents": "document", "agents": "agent", "agents_openai": "agent"}
        kinds |= {"agentbots": "agent"}
        path = re.sub(r"(?<=/)(\w+)/([0-9a-f]{32})", lambda match: f"{match[1]}/{self.id(match[2], kinds[match[1]])}", path)
        own = "agent" if path.startswith("/api/v1/agents?") else "dataset" if "/datasets?" in path else "chat"
        own = "session" if "/sessions?" in path else "document" if "/documents?" in path else own
        path = re.sub(r"(?<=[?&]id=)[0-9a-f]{32}", lambda match: self.id(match[0], own), path)
        return re.sub(r"/chunks/[0-9a-f]{16}$", lambda _: f"/chunks/{self._chunk()}", path)

    def _chunk(self) -> str:
        path = f"/api/v1/datasets/{self.owner}/documents/{self.known[self._recorded_document]}/chunks"
        chunk_id: str = self.situation.call("POST", path, json={"content": "scratch"})["data"]["chunk"]["id"]
        return chunk_id

    @property
    def _recorded_document(self) -> str:
        return str(re.findall(r"/documents/([0-9a-f]{32})", self.recording.url)[0])

    def body(self, body: str) -> str:
        kinds = {"chat_id": "chat", "session_id": "session", "dataset_ids": "dataset", "knowledge_id": "dataset"}
        kinds |= {"document_ids": "document", "doc_ids": "document", "agent_id": "agent"}
        kinds["ids"] = next(
            (kind for kind in ("session", "document", "dataset") if f"{kind}s" in urlsplit(self.recording.url).path[-10:]),
            "chat",
        )
        for name, kind in kinds.items():
            new_ids = functools.partial(self._with_new_ids, kind)
            body = re.sub(rf'(?<="{name}":)(\[?"[0-9a-f", ]*)', new_ids, body)
        body = re.sub(r"(?<=\[\")[0-9a-f]{16}(?=\"\])", lambda _: self._chunk(), body)
        return re.sub(r"fake-(rerank|embed)[^\"]*", "", body) if "rerank" in body else body

    def _with_new_ids(self, kind: str, match: re.Match[str]) -> str:
        return re.sub("[0-9a-f]{32}", lambda key: self.id(key[0], kind), match[0])

    def headers(self) -> dict[str, str]:
        server = self.situation.server
        headers = dict(self.recording.headers)
        if "bots/" in self.recording.url:
            headers["Authorization"] = f"Bearer {server.beta_key}"
        for name, value in headers.items():
            headers[name] = value.replace("ragflow-KEY", server.api_key)
        headers.pop("X-Form", None)
        headers.pop("Host", None)
        return headers


@pytest.fixture(scope="module")
def situations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One emulator for each version, made when first asked for."""
    folder = tmp_path_factory.mktemp("documents")
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    made: dict[str, Situation] = {}

    def situation(recorded: str) -> Situation:
        if recorded not in made:
            server = Emulator(docs=folder, version=VERSIONS[recorded]).start()
            made[recorded] = Situation(server, recorded)
        return made[recorded]

    yield situation
    for one in made.values():
        one.server.stop()


def replay(situation: Situation, recording: Recording) -> requests.Response:
    translator = Translator(situation, recording)
    url = translator.path(recording.url)
    body = translator.body(recording.body)
    headers = translator.headers()
    if "07_document_upload" in recording.name:
        headers.pop("Content-Type", None)
        files = {"file": ("note.txt", b"A note.")}
        return requests.request(recording.method, situation.server.base_url + url, headers=headers, files=files, timeout=10)
    request = requests.Request(recording.method, situation.server.base_url + url, headers, data=body.encode() or None)
    with requests.Session() as session:
        return session.send(request.prepare(), timeout=10)


def _forget_chats(situation: Situation, prefix: str) -> None:
    for chat in situation.server.store.all(Chat):
        if chat.name.startswith(prefix):
            situation.server.store.delete(chat)


def _fill_sessions(situation: Situation, *, whole_list: bool = False) -> None:
    """The sessions that the lists show; in the longest list of the last server some had turns."""
    has_turns = whole_list and situation.recorded == "v0.27.0"
    for session in situation.server.store.all(Session):
        if session.references and not has_turns:
            situation.server.store.delete(session)
    situation.session(situation.chat("house_chat"), [QUESTIONS[0]] if has_turns else [])


def _fill_agent_sessions(situation: Situation) -> None:
    agent_id = situation.agents["plain"]
    for session in situation.server.store.all(Session, parent=agent_id):
        situation.server.store.delete(session)
    situation.agent_session(agent_id)
    if situation.recorded == "v0.27.0":
        situation.call("POST", f"/api/v1/agents/{agent_id}/completions", json={"question": "hi"})


def _delete_all_chats(situation: Situation) -> None:
    if situation.era.empty_ids_delete_all:
        situation.call("DELETE", "/api/v1/chats", json={})


def _leave_direct_sessions(situation: Situation) -> None:
    """Newer servers delete nothing without ids, so what there was is still listed: sessions with a turn."""
    chat_id = situation.chat("direct_chat")
    for session in situation.server.store.all(Session, parent=chat_id):
        situation.server.store.delete(session)
    if not situation.era.empty_ids_delete_all:
        situation.session(chat_id, [QUESTIONS[0]])


def _fail_agent(situation: Situation) -> None:
    situation.say(f"/api/v1/agents/{situation.agents['plain']}/completions", {"question": "[[FAIL500]]"})


PREPARATIONS: dict[str, Callable[[Situation], object]] = {
    r"01_chat_create(?!_duplicate)|01_chat_list_page": lambda situation: _forget_chats(situation, "tr_"),
    r"01_chat_create_duplicate_name": lambda situation: situation.chat("tr_min"),
    r"01_chat_list|09_auth": lambda situation: _forget_chats(situation, "scratch"),
    r"02_session_list_": _fill_sessions,
    r"02_session_list$": functools.partial(_fill_sessions, whole_list=True),
    r"08_agent_session_list": _fill_agent_sessions,
    r"10_chat_list_after_delete_empty_body": _delete_all_chats,
    r"10_session_list_after_delete_empty_body": _leave_direct_sessions,
    r"08_agent_zz1b?_": _fail_agent,
}


def prepare(situation: Situation, name: str) -> None:
    """What earlier exchanges had left behind where the reply depends on it."""
    situation.chat("house_chat")
    backend = situation.server._backend
    assert backend is not None
    backend.agent_errors.clear()
    for pattern, step in PREPARATIONS.items():
        if re.match(pattern, name):
            step(situation)
    backend.agent_questions[situation.agents["plain"]] = "think of a fox"


COMPARED = [path for path in ALL if why_excluded(path) is None]


@pytest.mark.parametrize("path", COMPARED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_reply_is_like_the_recorded_one(path: Path, situations: Any) -> None:
    recording = Recording.read(path)
    situation = situations(recording.version)
    prepare(situation, recording.name)
    if recording.cut:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            replay(situation, recording)
        return
    reply = replay(situation, recording)
    assert reply.headers["x-emulator"] == "ragflow-integrations emulator, not RAGFlow"
    assert reply.status_code == recording.status
    assert reply.raw.headers.getlist("content-type") == recording.content_types
    text = reply.content.decode()
    assert body_of(text, stream=recording.is_stream) == body_of(recording.reply, stream=recording.is_stream)
    if re.search("03_session_get|04_messages_session|14_stored", recording.name):
        assert stored_in(text) == stored_in(recording.reply)
    if "/completions" in recording.url and "agent" not in recording.url:
        said, recorded = (answers_of(part, stream=recording.is_stream) for part in (text, recording.reply))
        if situation.era.first_event_only and not recording.is_stream:
            said |= {"markers": recorded["markers"]}  # whether a marker is in the first event is a matter of its length
        assert said == recorded


def test_every_exclusion_excludes_something() -> None:
    names = [f"{path.parent.name}/{path.stem}" for path in ALL]
    assert [pattern for pattern in EXCLUDED if not any(re.search(pattern, name) for name in names)] == []
