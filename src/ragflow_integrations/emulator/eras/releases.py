"""Everything that differs between RAGFlow releases, as data.

An era is one frozen record; each release below is its predecessor with the differences named, so that reading this file
from top to bottom is reading the history of the protocol. No other module of the emulator knows a version number.

Names in brackets, such as ``[01_chat_list]``, are the recordings of real servers in ``tests/recordings`` that show the
fact. A release without recordings (0.19.1, 0.21.1, 0.23.1, 0.25.1, 0.26.4) follows its neighbours and the release's own source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ragflow_integrations.emulator.eras.era import CHUNK_KEYS_NEW, CHUNK_KEYS_SCORED, HIT_KEYS_OLD, TASKS, TASKS_NEW, Era
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
    unknown_session_deleted="The chat doesn't own the session {id}",
    history=History.BY_INDEX,
    no_session=NoSession.EMPTY_QUESTION,
    dataset_ids_per_turn=True,
    marker=" [ID:{}]",
    notices_twice=False,
    error_codes_nonstream=True,
    chunk_keys=CHUNK_KEYS_SCORED,
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
    hit_keys=(*HIT_KEYS_OLD, "doc_type_kwd"),
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
    dataset_tasks=TASKS,
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
    hit_keys=(*HIT_KEYS_OLD, "doc_type_kwd", "mom_id"),
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
    completion_ignores_array_body=True,
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
    content_list_fails=True,
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
    chunk_keys=CHUNK_KEYS_NEW,
    openai_path=True,
    openai_checks_model=True,
    openai_slices=Slices.DELTAS_AND_WHOLE,
    hit_keys=(*HIT_KEYS_OLD, "doc_type_kwd", "mom_id", "row_id", "tag_kwd"),
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
    completion_ignores_array_body=False,
    plain_body=PlainBody.FORM_ERROR,
    session_keeps_user_id=False,
    prompt=Prompt.EITHER,
    content_list_fails=False,
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
    dataset_tasks=TASKS_NEW,
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
        numbers = _parts(version.strip().removeprefix("v"))
    except ValueError:
        raise ValueError(unsupported) from None
    series = [era for era in ERAS if _parts(era.version)[:2] == numbers[:2]]
    if not series:
        raise ValueError(unsupported)
    if len(numbers) == 2:  # noqa: PLR2004 - "major.minor": the newest listed release of the series
        return series[-1]
    return min(series, key=lambda era: abs(_parts(era.version)[2] - numbers[2]))
