"""Everything that differs between RAGFlow releases, as data.

An era is one frozen record; each release below is its predecessor with the differences named, so that reading this file
from top to bottom is reading the history of the protocol. No other module of the emulator knows a version number.

Names in brackets, such as ``[01_chat_list]``, are the recordings of real servers in ``tests/recordings`` that show the
fact. A release without recordings (0.19.1, 0.21.1, 0.23.1, 0.25.1, 0.26.4) follows its neighbours and the release's own source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final


class UnknownPath(Enum):
    """How a path that does not exist is answered."""

    ENVELOPE = auto()
    """HTTP 200 and code 100, ``<NotFound '404: Not Found'>``."""
    ERROR_ONLY = auto()
    """HTTP 404 and a body without ``code``."""
    NOT_FOUND = auto()
    """HTTP 404 and code 404."""


class BadBody(Enum):
    """What a route makes of a body that it cannot read."""

    EMPTY = auto()
    """It goes on as if the body were ``{}``."""
    NONE = auto()
    """It goes on with ``None`` and falls over it: code 100, ``AttributeError``."""
    BAD_REQUEST = auto()
    """Code 100, ``<BadRequest '400: Bad Request'>``."""


class PlainBody(Enum):
    """What becomes of a JSON body that is sent as ``text/plain``."""

    PARSED = auto()
    EMPTY = auto()
    FORM_ERROR = auto()


class NoSession(Enum):
    """What a native completion without ``session_id`` and without streaming answers."""

    FRAME = auto()
    """``data`` is a string: the opener as a server-sent event."""
    EMPTY_QUESTION = auto()
    """The question is dropped, and the model is asked nothing."""
    OPENER = auto()
    """The opener, as an answer object."""


class History(Enum):
    """Where a listed session carries the references of its answers."""

    ANSWERS = auto()
    """In the assistant messages that answer something."""
    BY_INDEX = auto()
    """In messages, looked up by message index: the n-th reference lands on the n-th message, so most are lost."""
    ALIGNED = auto()
    """In every assistant message; the opener's is empty."""
    SHIFTED = auto()
    """In every assistant message, one too early: the opener has the first answer's."""
    TOP_LEVEL = auto()
    """In ``reference``, beside the messages."""


class Prompt(Enum):
    """Which field of a native completion carries the question."""

    QUESTION = auto()
    MESSAGES = auto()
    EITHER = auto()


class ThinkTags(Enum):
    """What the server makes of a ``<think>`` tag that shares a model token with other text."""

    KEPT = auto()
    EATEN = auto()
    """Both tags vanish, thinking starts and never ends."""
    PARSED = auto()


class Slices(Enum):
    """How an OpenAI-compatible stream is cut out of the native events."""

    RAW = auto()
    """By position in the cumulative text: a tail is repeated when markers are inserted before it."""
    CHANNELS = auto()
    """By growth of the reasoning and of the visible text."""
    DELTAS = auto()
    DELTAS_AND_WHOLE = auto()
    """Deltas, and then the whole answer once more as one content chunk."""


class ReferenceFlag(Enum):
    """Which request field asks the OpenAI-compatible routes for references."""

    NONE = auto()
    TOP_LEVEL = auto()
    EXTRA_BODY = auto()


class AgentEvents(Enum):
    """What a run of an agent sends."""

    CHAT = auto()
    """Cumulative answers, like a chat."""
    MESSAGES = auto()
    """``message`` and ``message_end``."""
    BROKEN = auto()
    """Nothing: the stream is cut without a byte."""
    FINISHED_NODES = auto()
    """The above and ``node_finished``."""
    ALL = auto()
    """The above, ``workflow_*`` and ``node_started``; in an existing session the started events are left out."""


class DeepResearch(Enum):
    """How deep research, the "Reasoning" switch of an assistant, shows in its answers."""

    INLINE = auto()
    """Streams have it as ``<think>`` in front of the text; other replies leave it out (source: dialog_service.py 0.23.1)."""
    FLAGS = auto()
    """Events between thinking flags, the first doubled; a reply that does not stream is the first event
    [transcripts/reasoning-0.24.0-raw] and nothing else."""
    TAGS = auto()
    """The same as text between ``<retrieving>`` tags, the first doubled (source: dialog_service.py 0.25.2 to 0.26.4)."""
    AGENTIC = auto()
    """A run of tools; only native routes have it, and replies that do not stream are whole (source: rag_agent of 0.27.0)."""


class AgentReferences(Enum):
    """What a list of an agent's sessions makes of the references of answers."""

    NONE = auto()
    """They are empty [transcripts/agent-0.24.0-raw]."""
    FAIL = auto()
    """It fails over the first source: ``'str' object has no attribute 'get'`` (seen on 0.25.6; source 0.25.1)."""
    KEYS = auto()
    """Each chunk is its key, without anything else (source 0.26.0)."""
    CHUNKS = auto()
    """Chunks, on the first answer of the session instead of the last (from 0.26.2, source)."""


class Access(Enum):
    """Who may call a route."""

    OPEN = auto()
    KEY = auto()
    OLD_KEY = auto()
    """The API key, checked by the decorator that 0.25 still had on some routes."""
    BETA = auto()


class StoredValues(Enum):
    """What a metadata condition compares for one field of a document (source: ``get_meta_by_kbs``)."""

    TEXT = auto()
    """The field as one text; a list is ``"['A', 'B']"``."""
    RAW = auto()
    """The JSON value; of a list, each item."""
    LIST_TEXT = auto()
    """The text of a list, also of a single value: ``"['sales']"``."""
    FLAT = auto()
    """The text of the value; of a list, of each item."""


class Comparison(Enum):
    """How a metadata condition compares (source: ``meta_filter``)."""

    FLOATS = auto()
    """As numbers if both are, else as texts; ``in`` is unknown."""
    RAW = auto()
    """JSON values, texts in lower case; ``contains`` is reversed."""
    LITERALS_EXACT_LISTS = auto()
    """Python literals, else texts in lower case; the items of a list must be in lower case."""
    LITERALS = auto()
    """The same, with lists in any case."""
    BOTH_LITERALS = auto()
    """Only a text can be a number: a JSON number equals nothing."""


class Combining(Enum):
    """How the results of several metadata conditions are joined (source: ``meta_filter``)."""

    ENDS_AT_NOTHING = auto()
    """The first condition that matches nothing ends it, also with "or"; one on a field that no document has is skipped."""
    FORGETS_LEADING_NOTHING = auto()
    """Conditions that match nothing are forgotten until one matches something (ragflow#15360)."""
    RIGHT = auto()


class Window(Enum):
    """Which part of the candidates a page of a retrieval is cut from (source: ``rag/nlp/search.py``)."""

    THREE_PAGES = auto()
    """The first three pages come from one ranking."""
    ONE_WINDOW = auto()
    """About 64 candidates; later windows are empty, and so is a page size above 128."""
    FIRST_PAGE = auto()
    """Cut before it is ranked: a page size of 1 or from 64 on is empty, and so is the last page of a window (ragflow#10692)."""
    UNRANKED_CUT = auto()
    """Cut before it is ranked, and only the first page of a window is right."""
    ALIGNED = auto()
    RERANKED_64 = auto()
    """With a rerank model, windows of 64 candidates from which pages of other sizes drift apart."""


class TakenName(Enum):
    """What becomes of a new dataset whose name is taken (source: ``api/apps/sdk/dataset.py``)."""

    DUPLICATED = auto()
    """It is refused with code 102."""
    EXISTS = auto()
    """It is refused with code 103."""
    NUMBERED = auto()
    """It is made as ``name(1)`` [07_dataset_create_duplicate]."""


class DocumentDelete(Enum):
    """What a delete of documents makes of an unknown id among known ones (source: ``api/apps/sdk/doc.py``)."""

    IN_ORDER = auto()
    """The documents in front of it are deleted."""
    KNOWN = auto()
    """All known documents are deleted, then the reply is code 102."""
    ALL_OR_NONE = auto()
    """Nothing is deleted."""


_CHUNK_KEYS_OLD: Final = ("id", "content", "document_id", "document_name", "dataset_id", "image_id", "positions", "url")
_CHUNK_KEYS_SCORED: Final = (
    *_CHUNK_KEYS_OLD,
    "similarity",
    "vector_similarity",
    "term_similarity",
    "doc_type",
)
_CHUNK_KEYS_NEW: Final = (*_CHUNK_KEYS_SCORED, "row_id", "document_metadata")

_HIT_KEYS_OLD: Final = (
    "id",
    "content",
    "content_ltks",
    "document_id",
    "document_keyword",
    "dataset_id",
    "important_keywords",
    "image_id",
    "positions",
    "similarity",
    "vector_similarity",
    "term_similarity",
)

_TASKS: Final = ("graphrag", "mindmap", "raptor")
_TASKS_NEW: Final = (
    *_TASKS,
    "session_essence",
    "session_graph",
    "skill",
    "structure",
    "structure_graph",
    "structure_mindmap",
    "timeline",
    "wiki",
)


@dataclass(frozen=True, kw_only=True)
class Era:
    """One release of the server, as a client sees it. The defaults are 0.17.2."""

    version: str = "0.17.2"

    # Transport and errors
    closes_connections: bool = True
    """Every reply says ``Connection: close`` (Flask's development server)."""
    stream_seconds: float | None = None
    """Streams are cut after so long: 60 s is the framework's default, which later releases raise to 600 s."""
    iso_dates: bool = False
    unknown_path: UnknownPath = UnknownPath.ENVELOPE
    bad_json: BadBody = BadBody.NONE
    """[06_retrieval_err_malformed] [09_err_malformed_json_chats]"""
    bad_json_completion: BadBody = BadBody.EMPTY
    """[09_err_malformed_json]"""
    plain_body: PlainBody = PlainBody.PARSED
    """[09_err_no_content_type]"""
    array_body: str = "AttributeError(\"'list' object has no attribute 'get'\")"
    """[09_err_json_array_body]"""

    # Who is calling
    unauthorized_is_401: bool = False
    """A wrong key is HTTP 401 and code 401; else HTTP 200 and code 109, or code 0 when the header is missing."""
    old_key_routes: bool = False
    """0.25: some routes still answer HTTP 401 with the codes of old [09_err_missing_key__POST_retrieval]."""
    bare_key: bool = False

    # Version and health
    system_v1: bool = True
    """``GET /v1/system/version`` exists, for users who are logged in [00_v1_system_version_no_key]."""
    system_v1_key: bool = False
    """It also takes an API key, and refuses with HTTP 401."""
    system_v1_ping: bool = False
    system_api: bool = False
    """``GET /api/v1/system/*`` without a key [00_api_v1_system_version_no_key]"""

    # Chats
    new_chat_api: bool = False
    """``{"chats", "total"}`` lists, GET and PATCH of one chat, ``prompt_config`` instead of ``prompt``."""
    chat_needs_dataset_ids: bool = True
    """Without ``dataset_ids`` the reply is a KeyError, but the chat is made [01_chat_create_minimal]."""
    rejects_factory_suffix: bool = True
    """``model_name@factory`` is unknown [01_chat_create_legacy_body]."""
    chat_has_metadata_filter: bool = False
    tenant_llm_id: int | str | None = None
    """A number, then null, then an id [01_chat_get]."""
    put_detaches_datasets: bool = False
    """A PUT without ``dataset_ids`` takes the datasets away [01_chat_list_by_id_after_put_name_only]."""
    empty_ids_delete_all: bool = True
    """[10_chat_delete_empty_body]"""
    partial_deletes: bool = False
    """A delete of sessions or chats goes on past an unknown id [10_session_delete_partial]; else it ends there (source)."""
    unknown_chat_deleted: str = "You don't own the chat {id}"
    """[01_chat_delete_unknown]"""
    page_size_limit: int | None = None
    chats_unpaged: bool = False
    """A list of chats is whole unless a page size is asked for."""
    name_required: str = "`name` is required."
    duplicate_chat: str = "Duplicated chat name in creating chat."
    not_authorized: str = "No authorization."

    # Sessions
    session_needs_body: bool = True
    """[02_session_create_no_body]"""
    session_keeps_user_id: bool = True
    history: History = History.ANSWERS

    # Native completions
    prompt: Prompt = Prompt.QUESTION
    completion_callable: str = "completion"
    """The function whose name leaks in a TypeError [03_completion_body_with_chat_id]."""
    chat_callable: str = "chat"
    chat_completions: bool = False
    """``POST /chat/completions`` exists."""
    no_session: NoSession = NoSession.FRAME
    dataset_ids_per_turn: bool = False
    """``kb_ids`` adds datasets for one turn."""
    metadata_filters_turns: bool = False
    """``metadata_condition`` is honoured in completions."""
    cumulative: bool = True
    """Every event repeats the whole answer; else an event is a piece of it, and has ``final``."""
    final_has_text: bool = False
    """The final event repeats the whole, decorated answer."""
    marker: str = " ##{}$$"
    thinking_batch: int = 16
    """How many tokens of reasoning one event holds."""
    think_tags: ThinkTags = ThinkTags.KEPT
    messages_in_events: bool = False
    """``message`` stands in events and replies."""
    chat_id_in_answers: bool = False
    answer_ids: bool = True
    """The server makes the id of a turn; else it is the client's, or null."""
    first_event_only: bool = False
    """0.25.1 to 0.25.5: a reply that is not streamed is the first event [04_messages_nonstream_with_session]."""
    history_overwritten: bool = False
    """The session becomes what the request held [04_messages_session_after_turn_2_last_message_only]."""
    notices_twice: bool = True
    """An error text or a truncation notice is sent in two equal events [03_completion_stream_finish_length]."""
    empty_response_events: int = 1
    empty_response_first_bare: bool = False
    """The first of the two events has no reference and is not final [03_completion_stream_no_knowledge_empty_response]."""
    escapes_empty_response: bool = False
    error_codes_streamed: bool = False
    """``**ERROR**: CODE - text`` in streams; else a line of its own without a code [09_err_llm_500_stream]."""
    error_codes_nonstream: bool = False
    drop_is_error_event: bool = True
    """A model that hangs up in mid-stream is an event with code 500 [09_err_llm_drop_midstream]."""
    legacy_flag: bool = False
    store_flag: bool = False
    deep_research: DeepResearch = DeepResearch.INLINE
    research_by_request: bool = False
    """``reasoning`` in a native body switches deep research on, too."""
    zero_settings_dropped: bool = False
    """A setting of 0, such as ``temperature``, is as if it were not sent beside ``llm_id`` [transcripts/temp0-0.25.6]."""
    chunk_keys: tuple[str, ...] = _CHUNK_KEYS_OLD

    # OpenAI-compatible completions
    openai_path: bool = False
    """``POST /openai/{chat_id}/chat/completions`` exists beside the older path."""
    openai_stream_default: bool = True
    openai_checks_model: bool = False
    openai_reasoning_key: bool = False
    openai_reference: ReferenceFlag = ReferenceFlag.NONE
    openai_empty_reference_fails: bool = False
    """With the flag, an answer from datasets that has no references is code 100, or its stream is cut before the closing
    chunk [transcripts/nothing-raw-0.23.1]."""
    openai_takes_settings: bool = False
    """``temperature`` and the like replace the assistant's own (source: openai_api.py 0.26.0)."""
    openai_slices: Slices = Slices.RAW
    openai_content_lists: bool = False
    """[05_openai_err_message_content_list]"""
    usage_counts_characters: bool = True

    # Retrieval
    highlight_default: bool = True
    highlight_off_is_text: bool = True
    """Only the text ``"false"`` turns highlighting off."""
    models_have_providers: bool = False
    """Models are looked up by provider and instance (``0.27.0-unknown_model``; 0.26: source)."""
    window: Window = Window.THREE_PAGES
    threshold_skips_documents: bool = False
    """``similarity_threshold`` is not applied when ``document_ids`` are given."""
    threshold_needs_vectors: bool = False
    """``similarity_threshold`` is not applied when ``vector_similarity_weight`` is 0."""
    metadata_condition: bool = False
    unmatched_metadata_is_ignored: bool = False
    """[06_retrieval_metadata_condition_no_match]"""
    metadata_values: StoredValues = StoredValues.TEXT
    retrieval_metadata_values: StoredValues | None = None
    """What ``/retrieval`` compares, if it differs."""
    metadata_comparison: Comparison = Comparison.FLOATS
    metadata_combining: Combining = Combining.ENDS_AT_NOTHING
    metadata_logic: bool = False
    """``logic`` is read; anything but ``"and"`` means "or"."""
    sql_within_documents: bool = False
    """A dataset of tables is asked by SQL within ``doc_ids``; before, SQL sees all of it."""
    metadata_in_hits: bool = False
    """``reference_metadata`` adds ``document_metadata`` to chunks, and may name its fields."""
    hit_keys: tuple[str, ...] = _HIT_KEYS_OLD

    # Datasets and documents
    dataset_tasks: tuple[str, ...] = ()
    dataset_total: bool = False
    """``total_datasets`` stands beside the list."""
    dataset_owner: bool = False
    dataset_model_name: bool = False
    dataset_get: bool = False
    unknown_dataset_id: tuple[int, str] = (102, "You don't own the dataset {id}")
    """[07_dataset_list_unknown_id]"""
    unknown_dataset_name: tuple[int, str] = (102, "You don't own the dataset {id}")
    """[07_dataset_list_unknown_name]"""
    dataset_fields_checked: bool = False
    """Fields and query parameters that do not exist are code 101."""
    dataset_id_checked: bool = False
    """An id that is not a version 1 UUID is code 101."""
    deleted_dataset_ids_checked: bool = False
    """Ids of datasets to delete must be UUIDs; an unknown one deletes none (source: ``api/utils/validation_utils.py``)."""
    upload_unknown_dataset_raises: bool = True
    """An upload to an unknown dataset is code 100, ``LookupError`` (source: ``api/apps/sdk/doc.py``)."""
    taken_dataset_name: TakenName = TakenName.DUPLICATED
    embedding_models_have_providers: bool = False
    """An embedding model is ``name@provider``, else code 101 (source: ``api/utils/validation_utils.py``)."""
    unknown_embedding_model: tuple[int, str] = (102, "`embedding_model` {name} doesn't exist")
    """(source: ``verify_embedding_availability`` in ``api/utils/api_utils.py``)"""
    embedding_model_fixed: str = "If `chunk_count` is not 0, `embedding_model` is not changeable."
    """(source: the update in ``api/apps/sdk/dataset.py``; seen 0.24.0)"""
    metadata_values_checked: bool = False
    """Metadata are texts, numbers and lists of these (source: ``UpdateDocumentReq``; seen 0.27.0)."""
    document_delete: DocumentDelete = DocumentDelete.IN_ORDER
    parses_only_new: bool = True
    """Documents are parsed in order up to an unknown one or one with progress; else all known ones (source: ``parse``)."""
    unknown_chunk: tuple[int, str] = (100, "AttributeError(\"'NoneType' object has no attribute 'keys'\")")
    """A list with the ``id`` of an unknown chunk (source: ``list_chunks``)."""
    document_keys: tuple[str, ...] = ("process_duation", "meta_fields")
    """Keys of a listed document beyond those that all releases have."""
    chunk_document_keys: tuple[str, ...] = ("process_duation", "meta_fields")
    """The same, for the document beside a list of chunks."""
    chunk_alone_needs_image: bool = True
    """A chunk without an image cannot be read alone: ``KeyError('img_id')`` (source v0.17.2)."""
    further_file_types: tuple[str, ...] = ()
    """What can be uploaded beside what 0.17.2 takes (source: ``filename_type`` in ``api/utils/file_utils.py``)."""
    long_names_refuse_uploads: bool = False
    """A file name above 255 bytes refuses all files; before, one of 128 characters is refused alone (source)."""
    stores_broken_pdfs: bool = False
    """A broken PDF fails when it is parsed, not when it is uploaded (source: ``thumbnail_img``; seen 0.27.0)."""
    uploads_name_stored: bool = False
    """A refusal of some files carries the documents made of the others [0.27.0-upload_partial]; from 0.26.3 (source)."""
    chunk_has_tags: bool = False
    chunk_has_type: bool = False
    parse_route: bool = False
    """``POST /datasets/{id}/documents/parse`` exists beside ``/chunks``."""

    # Agents
    agent_events: AgentEvents = AgentEvents.CHAT
    agent_stream_default: bool = True
    agent_canvas_list: bool = False
    """``{"canvas", "total"}`` lists that ignore filters."""
    agent_list_keys: tuple[str, ...] = ()
    agent_paths: tuple[str, ...] = ()
    """Paths that take the agent's id in the body."""
    agent_new_api: bool = False
    """GET of one agent and of one session, sessions with owner, errors as envelopes."""
    agent_session_key: str = "message"
    """Where a created session has its messages [08_agent_session_create]."""
    agent_session_list_key: str = "messages"
    agent_session_named: bool = False
    agent_inputs_in_body: bool = True
    """Values of the begin form are keys of the body itself, also when a session is made (source: 0.19.1)."""
    agent_hides_forms: bool = True
    """``user_inputs`` is left out of runs in a session [form-0.23.1] [form-0.25.6]; from 0.26.3 it comes (source)."""
    agent_inputs_at_runs: bool = False
    """A run in a session takes new values of the begin form; else those of its creation stay (source 0.19.0, 0.19.1)."""
    agent_references: AgentReferences = AgentReferences.NONE
    agent_reference_if_cited: bool = True
    """``message_end`` has the reference only if the text has a marker; else whenever something was retrieved
    [transcripts/agent-0.24.0-raw] [transcripts/agent-0.25.6-raw]."""
    agent_keys: int = 100
    """Keys of a reference are hashes below this number [v0.20.5/08_agent_kb_completion_stream]."""
    agent_no_access: str | None = None
    """What the routes of sessions say of an unknown agent, with code 103; None: their own words, with code 102."""
    agent_session_lookup_checked: bool = False
    """GET of an unknown session says so; else it is an exception (source 0.25.1 to 0.25.5)."""
    agent_session_owner_checked: bool = False
    """GET of another agent's session is refused (from 0.26.3, source)."""
    agent_unknown_is_500: bool = True
    """An unknown agent or session is an HTML page; else a stream that is cut [08_agent_err_unknown_session]."""
    agent_forgets_session: bool = False
    """Events of a run without session carry no ``session_id`` and there is no ``[DONE]``."""
    agent_null_reference: bool = False
    agent_counts_documents: bool = True
    """``doc_aggs`` of a reference is filled [08_agent_kb_completion_stream]."""
    agent_audio: bool = False
    """Some ``message`` events carry ``audio_binary``."""
    agent_downloads: bool = False
    agent_usage: bool = False
    """Runs in a session tell what they cost, at the end (from 0.26.3, source)."""
    agent_openai_full_chunks: bool = False
    agent_openai_created: bool = False
    agent_errors_stick: bool = False
    """After one failure every run without session fails [08_agent_zz1_fresh_run_after_llm_error_is_poisoned]."""


_V0_17_2: Final = Era()

_V0_19_1: Final = replace(
    _V0_17_2,
    version="0.19.1",
    long_names_refuse_uploads=True,
    deleted_dataset_ids_checked=True,
    document_delete=DocumentDelete.KNOWN,
    parses_only_new=False,
    taken_dataset_name=TakenName.EXISTS,
    embedding_models_have_providers=True,
    unknown_embedding_model=(101, "Unsupported model: <{name}>"),
    embedding_model_fixed="When chunk_num ({chunks}) > 0, embedding_model must remain {model}",
    unknown_chunk=(404, "Chunk not found: {dataset}/{chunk}"),
    agent_inputs_at_runs=True,
    chunk_alone_needs_image=False,
    window=Window.ONE_WINDOW,
    threshold_skips_documents=True,
    chat_needs_dataset_ids=False,
    rejects_factory_suffix=False,
    unknown_chat_deleted="Assistant({id}) not found.",
    partial_deletes=True,
    history=History.BY_INDEX,
    no_session=NoSession.EMPTY_QUESTION,
    dataset_ids_per_turn=True,
    marker=" [ID:{}]",
    notices_twice=False,
    error_codes_nonstream=True,
    chunk_keys=_CHUNK_KEYS_SCORED,
    openai_reasoning_key=True,
    openai_slices=Slices.CHANNELS,
    dataset_id_checked=True,
    dataset_fields_checked=True,
    unknown_dataset_id=(108, "User '{user}' lacks permission for dataset '{id}'"),
    unknown_dataset_name=(108, "User '{user}' lacks permission for dataset '{id}'"),
)

_V0_20_5: Final = replace(
    _V0_19_1,
    version="0.20.5",
    further_file_types=("jsonl", "ldjson"),
    agent_inputs_in_body=False,
    threshold_skips_documents=False,
    chat_has_metadata_filter=True,
    history=History.ALIGNED,
    openai_reference=ReferenceFlag.TOP_LEVEL,
    openai_empty_reference_fails=True,
    metadata_condition=True,
    unmatched_metadata_is_ignored=True,
    hit_keys=(*_HIT_KEYS_OLD, "doc_type_kwd"),
    document_keys=("process_duration", "suffix", "meta_fields"),
    chunk_document_keys=("process_duration", "suffix", "meta_fields"),
    agent_events=AgentEvents.MESSAGES,
    agent_null_reference=True,
)

_V0_21_1: Final = replace(
    _V0_20_5,
    version="0.21.1",
    further_file_types=("jsonl", "ldjson", "msg", "mkv"),
    agent_keys=500,
    window=Window.FIRST_PAGE,
)

_V0_22_1: Final = replace(
    _V0_21_1,
    version="0.22.1",
    taken_dataset_name=TakenName.NUMBERED,
    window=Window.UNRANKED_CUT,
    stream_seconds=60.0,
    closes_connections=False,
    bad_json=BadBody.EMPTY,
    bad_json_completion=BadBody.BAD_REQUEST,
    plain_body=PlainBody.EMPTY,
    system_v1_ping=True,
    put_detaches_datasets=True,
    dataset_tasks=_TASKS,
    dataset_total=True,
    document_keys=("process_duration", "suffix", "meta_fields", "pipeline_id", "title"),
    chunk_document_keys=("process_duration", "suffix", "meta_fields", "pipeline_id"),
    agent_events=AgentEvents.BROKEN,
    agent_unknown_is_500=False,
    agent_null_reference=False,
)

_V0_23_1: Final = replace(
    _V0_22_1,
    version="0.23.1",
    further_file_types=("jsonl", "ldjson", "msg", "mkv", "mdx"),
    window=Window.ALIGNED,
    metadata_values=StoredValues.RAW,
    metadata_comparison=Comparison.RAW,
    metadata_logic=True,
    stream_seconds=600.0,
    unknown_path=UnknownPath.ERROR_ONLY,
    bad_json_completion=BadBody.EMPTY,
    plain_body=PlainBody.PARSED,
    session_needs_body=False,
    history=History.SHIFTED,
    completion_callable="async_completion",
    chat_callable="async_chat",
    no_session=NoSession.OPENER,
    metadata_filters_turns=True,
    empty_response_events=2,
    error_codes_streamed=True,
    drop_is_error_event=False,
    openai_reference=ReferenceFlag.EXTRA_BODY,
    unmatched_metadata_is_ignored=False,
    hit_keys=(*_HIT_KEYS_OLD, "doc_type_kwd", "mom_id"),
    agent_events=AgentEvents.FINISHED_NODES,
    agent_audio=True,
    agent_session_named=True,
)

_V0_24_0: Final = replace(
    _V0_23_1,
    version="0.24.0",
    deep_research=DeepResearch.FLAGS,
    highlight_off_is_text=False,
    threshold_needs_vectors=True,
    metadata_values=StoredValues.FLAT,
    retrieval_metadata_values=StoredValues.LIST_TEXT,
    metadata_comparison=Comparison.LITERALS_EXACT_LISTS,
    metadata_combining=Combining.FORGETS_LEADING_NOTHING,
    iso_dates=True,
    unknown_path=UnknownPath.NOT_FOUND,
    bad_json=BadBody.BAD_REQUEST,
    bad_json_completion=BadBody.BAD_REQUEST,
    plain_body=PlainBody.FORM_ERROR,
    array_body="TypeError('JSON payload must be an object.')",
    system_v1_key=True,
    cumulative=False,
    think_tags=ThinkTags.EATEN,
    empty_response_events=1,
    research_by_request=True,
    openai_slices=Slices.DELTAS,
    openai_empty_reference_fails=False,
    usage_counts_characters=False,
    highlight_default=False,
    chunk_document_keys=("process_duration", "suffix", "pipeline_id"),
    agent_counts_documents=False,
)

_V0_25_1: Final = replace(
    _V0_24_0,
    version="0.25.1",
    unknown_embedding_model=(102, "Unsupported model: <{name}>"),
    metadata_values_checked=True,
    further_file_types=("jsonl", "ldjson", "msg", "mkv", "mdx", "epub"),
    stores_broken_pdfs=True,
    upload_unknown_dataset_raises=False,
    unknown_chunk=(102, "Chunk not found: {dataset}/{chunk}"),
    agent_references=AgentReferences.FAIL,
    agent_reference_if_cited=False,
    agent_no_access="Only owner of canvas authorized for this operation.",
    window=Window.RERANKED_64,
    threshold_skips_documents=True,
    retrieval_metadata_values=None,
    metadata_comparison=Comparison.LITERALS,
    unauthorized_is_401=True,
    old_key_routes=True,
    bare_key=True,
    bad_json_completion=BadBody.EMPTY,
    plain_body=PlainBody.EMPTY,
    system_v1=False,
    system_v1_ping=False,
    system_api=True,
    new_chat_api=True,
    tenant_llm_id=1,
    chats_unpaged=True,
    put_detaches_datasets=False,
    empty_ids_delete_all=False,
    unknown_chat_deleted="Chat({id}) not found.",
    history=History.TOP_LEVEL,
    prompt=Prompt.MESSAGES,
    chat_completions=True,
    dataset_ids_per_turn=False,
    metadata_filters_turns=False,
    final_has_text=True,
    messages_in_events=True,
    chat_id_in_answers=True,
    answer_ids=False,
    first_event_only=True,
    history_overwritten=True,
    zero_settings_dropped=True,
    chunk_keys=_CHUNK_KEYS_NEW,
    openai_path=True,
    openai_checks_model=True,
    openai_slices=Slices.DELTAS_AND_WHOLE,
    hit_keys=(*_HIT_KEYS_OLD, "doc_type_kwd", "mom_id", "row_id", "tag_kwd"),
    dataset_owner=True,
    unknown_dataset_name=(102, "User '{user}' lacks permission for dataset '{id}'"),
    unknown_dataset_id=(102, "User '{user}' lacks permission for dataset '{id}'"),
    document_keys=("process_duration", "suffix", "meta_fields", "pipeline_id", "pipeline_name", "nickname"),
    chunk_document_keys=("process_duration", "suffix", "pipeline_id", "content_hash"),
    chunk_has_tags=True,
    agent_events=AgentEvents.ALL,
    agent_canvas_list=True,
    agent_paths=("/agents/chat/completion", "/agents/chat/completions"),
    agent_new_api=True,
    agent_session_key="messages",
    agent_forgets_session=True,
    agent_downloads=True,
    agent_counts_documents=True,
)

_V0_25_3: Final = replace(
    _V0_25_1,
    version="0.25.3",
    document_delete=DocumentDelete.ALL_OR_NONE,
    agent_no_access="Make sure you have permission to access the agent.",
    deep_research=DeepResearch.TAGS,
    metadata_in_hits=True,
    threshold_skips_documents=False,
)

_V0_25_6: Final = replace(
    _V0_25_3,
    version="0.25.6",
    agent_session_lookup_checked=True,
    bad_json_completion=BadBody.BAD_REQUEST,
    plain_body=PlainBody.FORM_ERROR,
    session_keeps_user_id=False,
    prompt=Prompt.EITHER,
    answer_ids=True,
    first_event_only=False,
    history_overwritten=False,
    agent_list_keys=("tags",),
    agent_session_key="message",
    agent_session_list_key="message",
    agent_forgets_session=False,
)

_V0_26_0: Final = replace(
    _V0_25_6,
    version="0.26.0",
    unknown_embedding_model=(102, "Provider {provider} not found for model {model}."),
    agent_references=AgentReferences.KEYS,
    models_have_providers=True,
    window=Window.ALIGNED,
    metadata_combining=Combining.RIGHT,
    old_key_routes=False,
    tenant_llm_id=None,
    page_size_limit=100,
    thinking_batch=1,
    think_tags=ThinkTags.PARSED,
    zero_settings_dropped=False,
    openai_stream_default=False,
    openai_slices=Slices.DELTAS,
    openai_content_lists=True,
    openai_takes_settings=True,
)

_V0_26_4: Final = replace(
    _V0_26_0,
    version="0.26.4",
    agent_usage=True,
    agent_hides_forms=False,
    agent_references=AgentReferences.CHUNKS,
    agent_session_owner_checked=True,
    uploads_name_stored=True,
    final_has_text=False,
    empty_response_events=2,
    empty_response_first_bare=True,
    legacy_flag=True,
    dataset_id_checked=False,
    agent_stream_default=False,
    agent_paths=("/agents/chat/completions",),
)

_V0_27_0: Final = replace(
    _V0_26_4,
    version="0.27.0",
    further_file_types=("jsonl", "ldjson", "msg", "mkv", "mdx", "epub", "bmp"),
    deep_research=DeepResearch.AGENTIC,
    metadata_comparison=Comparison.BOTH_LITERALS,
    sql_within_documents=True,
    tenant_llm_id="0e753938e6bf11f199fc02fc00000001",
    chats_unpaged=False,
    name_required="`name` is required",
    duplicate_chat="duplicated chat name in creating chat",
    not_authorized="no authorization",
    escapes_empty_response=True,
    store_flag=True,
    dataset_tasks=_TASKS_NEW,
    dataset_model_name=True,
    dataset_get=True,
    chunk_has_type=True,
    parse_route=True,
    agent_list_keys=("tags", "canvas_type", "type"),
    agent_audio=False,
    agent_openai_full_chunks=True,
    agent_openai_created=True,
    agent_errors_stick=True,
)

ERAS: Final[tuple[Era, ...]] = (
    _V0_17_2,
    _V0_19_1,
    _V0_20_5,
    _V0_21_1,
    _V0_22_1,
    _V0_23_1,
    _V0_24_0,
    _V0_25_1,
    _V0_25_3,
    _V0_25_6,
    _V0_26_0,
    _V0_26_4,
    _V0_27_0,
)
SUPPORTED_VERSIONS: Final[tuple[str, ...]] = tuple(era.version for era in ERAS)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def era_of(version: str) -> Era:
    """Find the era of a release.

    A release that is not listed is served by the nearest listed one of its minor series, so ``"0.22"`` and ``"v0.22.0"``
    both give 0.22.1.

    Args:
        version: A version such as ``"0.27.0"``, ``"v0.27.0"`` or ``"0.27"``.

    Returns:
        The era.

    Raises:
        ValueError: If no listed release belongs to that minor series.
    """
    unsupported = f"RAGFlow {version!r} is not supported; supported are {', '.join(SUPPORTED_VERSIONS)}."
    try:
        wanted = _parts(version.strip().removeprefix("v"))
    except ValueError:
        raise ValueError(unsupported) from None
    series = [era for era in ERAS if _parts(era.version)[:2] == wanted[:2]]
    if not series:
        raise ValueError(unsupported)
    if len(wanted) == 2:  # noqa: PLR2004 - "major.minor": the newest listed release of the series
        return series[-1]
    return min(series, key=lambda era: abs(_parts(era.version)[2] - wanted[2]))
