"""What can differ between RAGFlow releases: the fields of an era.

Names in brackets, such as ``[01_chat_list]``, are the recordings of real servers in ``tests/recordings`` that show the fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ragflow_integrations.emulator.eras.variants import (
    AgentEvents,
    AgentReferences,
    BadBody,
    Combining,
    Comparison,
    DeepResearch,
    DocumentDelete,
    History,
    NoSession,
    PlainBody,
    Prompt,
    ReferenceFlag,
    Slices,
    StoredValues,
    TakenName,
    ThinkTags,
    UnknownPath,
    Window,
)

_CHUNK_KEYS_OLD: Final = ("id", "content", "document_id", "document_name", "dataset_id", "image_id", "positions", "url")
CHUNK_KEYS_SCORED: Final = (
    *_CHUNK_KEYS_OLD,
    "similarity",
    "vector_similarity",
    "term_similarity",
    "doc_type",
)
CHUNK_KEYS_NEW: Final = (*CHUNK_KEYS_SCORED, "row_id", "document_metadata")

HIT_KEYS_OLD: Final = (
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

TASKS: Final = ("graphrag", "mindmap", "raptor")
TASKS_NEW: Final = (
    *TASKS,
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
    completion_ignores_array_body: bool = False
    """A completion takes an array for an empty body: it checks for required arguments first [09_err_json_array_body]."""

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
    unknown_session_deleted: str = "The chat doesn't own the session"
    """[10_session_delete_partial]"""
    unknown_chat_deleted: str = "You don't own the chat {id}"
    """[01_chat_delete_unknown]"""
    page_size_limit: int | None = None
    chats_unpaged: bool = False
    """A list of chats is whole unless the request has a page size."""
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
    content_list_fails: bool = False
    """A question whose content is a list of parts is code 100 [04_messages_err_content_list]."""
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
    """Events and replies have ``message``."""
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
    """A model that closes its connection in mid-stream is an event with code 500 [09_err_llm_drop_midstream]."""
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
    hit_keys: tuple[str, ...] = HIT_KEYS_OLD

    # Datasets and documents
    dataset_tasks: tuple[str, ...] = ()
    dataset_total: bool = False
    """The reply has ``total_datasets``."""
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
    """The key of the messages in a created session [08_agent_session_create]."""
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
