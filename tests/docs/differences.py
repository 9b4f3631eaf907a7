"""What releases do differently, what the client makes of it, and the test that shows it: a table of docs/servers.md."""

from __future__ import annotations

from typing import Final, NamedTuple


class Difference(NamedTuple):
    """One row.

    Attributes:
        releases: The releases that do it.
        server_does: What they do.
        user_sees: What a user of the client sees.
        test: Name of the test that fails if the row is false.
    """

    releases: str
    server_does: str
    user_sees: str
    test: str


DIFFERENCES: Final = (
    Difference(
        "≤ 0.23.1",
        "repeats the whole answer in each event, thinking inline",
        "pieces and `ReasoningDelta`s, as everywhere",
        "test_every_era_gives_the_same_answer",
    ),
    Difference(
        "≤ 0.24.0",
        "throws a question away that names no session",
        "a session is created first",
        "test_a_conversation",
    ),
    Difference(
        "≤ 0.24.0",
        "deletes everything when a delete names no ids",
        "ids are always named; `delete_all=True` is turned into ids",
        "test_chats",
    ),
    Difference(
        "0.19.0",
        "cannot read sessions that hold a cited answer",
        "`UnsupportedByServerError`; asking works",
        "test_call",
    ),
    Difference(
        "≤ 0.19.1",
        "says as text which component of an agent runs",
        "nothing of it is text",
        "test_asking_an_agent",
    ),
    Difference(
        "≤ 0.19.1",
        "wants values of an agent's begin form as keys of the body",
        "`inputs` are sent so, also by `agents.create_session(…, inputs=)`",
        "test_begin_values_of_old_agents",
    ),
    Difference(
        "0.18.0–0.21.0, 0.21.1",
        "finds no more than 128 or 63 chunks",
        "`UnsupportedByServerError` for a higher `limit`, if there are more",
        "test_limit",
    ),
    Difference(
        "0.17.x",
        "repeats the end of a stateless stream, as much as the citations that it put in are long",
        "once",
        "test_the_end_that_017_repeats_is_left_out",
    ),
    Difference(
        "0.18.0–0.23.1",
        "sends thoughts that the LLM tags itself twice in stateless streams, and leaves out how the text begins",
        "the text comes in one piece at the end; 0.18 and 0.19 do not send it at all: `UnsupportedByServerError`",
        "test_tagged_thoughts_come_once_and_the_text_whole",
    ),
    Difference(
        "0.20.0–0.23.1",
        "fails over a stateless answer without references: nothing found and no empty response, or quotes off",
        "it is asked again without references; a stream is whole if its last piece is short and a search with the "
        "assistant's settings finds nothing, else `StreamInterruptedError`",
        "test_answers_without_references",
    ),
    Difference(
        "≤ 0.19.0",
        "keeps the begin values that a session was made with",
        "`UnsupportedByServerError` for other `inputs`",
        "test_begin_values_of_old_agents",
    ),
    Difference(
        "0.20.0–0.26.2",
        "hides the form that an agent in a session waits for",
        "it is read from the session: `answer.input_request`",
        "test_an_agent_that_asks_back",
    ),
    Difference(
        "0.20.0–0.25.0",
        "does not say that an agent has no such session",
        "`SessionNotFoundError`",
        "test_an_unknown_session_of_an_agent",
    ),
    Difference(
        "≥ 0.20",
        "does not tell that the LLM of an agent has failed",
        "it is read from the session: `GenerationError` with kind, and the text before",
        "test_an_agent_whose_llm_fails",
    ),
    Difference(
        "≥ 0.20",
        "gives the sources of an agent that retrieves by a tool after the text",
        "of a stream, text behind a marker waits for them",
        "test_text_waits_for_the_sources_of_its_markers_only_if_they_are_unknown",
    ),
    Difference(
        "≥ 0.26",
        "hangs the only reference of an agent's session on its first answer",
        "it is put right",
        "test_sessions_of_an_agent_with_sources",
    ),
    Difference(
        "0.24.0–0.26.4",
        "cuts deep research to its first event if it is not streamed, and stores it so",
        "the settings of the assistant are looked up, and such answers are streamed and gathered; if its "
        '"Reasoning" switch was turned on since, the empty turn is deleted (0.24.0 cannot: a warning is logged) '
        "and the question is asked again",
        "test_a_whole_answer_of_deep_research_is_whole",
    ),
    Difference(
        "0.24.0–0.26.4",
        'lets the assistant\'s "Reasoning" switch win over `reasoning_effort="off"`',
        "`UnsupportedByServerError`",
        "test_an_effort_of_off_is_stronger_than_the_switch_or_refused",
    ),
    Difference(
        "0.25.1–0.25.6",
        "cannot list the sessions of an agent that has answered with sources",
        "`UnsupportedByServerError`; `agents.get_session` works",
        "test_sessions_of_an_agent_with_sources",
    ),
    Difference(
        "0.25.2–0.26.4",
        "says in `<retrieving>` what its deep research looks for",
        "`ReasoningDelta`s",
        "test_streamed_reasoning_is_the_answers_reasoning",
    ),
    Difference(
        "0.22.1",
        "cuts streams after 60 s",
        "`StreamInterruptedError` with the text so far",
        "test_a_missing_terminator",
    ),
    Difference(
        "0.22.x",
        "runs no agent",
        "`UnsupportedByServerError`",
        "test_asking_an_agent",
    ),
    Difference(
        "0.22–0.24",
        "detaches the datasets of an assistant whose update does not name them",
        "they are named for you",
        "test_an_update_leaves_the_rest",
    ),
    Difference(
        "0.23–0.24",
        "hangs the references of a history one turn too early",
        "they are put right",
        "test_history_is_whole_on_every_server",
    ),
    Difference(
        "0.24.0, ≥ 0.26.1",
        "adds citations the LLM left out only to answers that are not streamed",
        "`ask` and `invoke` do not stream",
        "test_completion",
    ),
    Difference(
        "0.24–0.25",
        "may never end its thinking",
        "what was said counts as the answer",
        "test_thinking_that_never_ends_is_the_answer",
    ),
    Difference(
        "0.25.0–0.25.6",
        "repeats the whole answer at the end of a stateless stream",
        "once",
        "test_stateless_answers",
    ),
    Difference(
        "0.25.1–0.25.5",
        "wants the whole history and overwrites the session with it",
        "it is loaded and sent; nothing is lost",
        "test_history_is_whole_on_every_server",
    ),
    Difference(
        "0.25.1–0.25.5",
        "cuts answers that are not streamed after the first piece",
        "they are streamed and gathered",
        "test_streamed_and_whole_answers_agree",
    ),
    Difference(
        "≥ 0.26.4",
        "says that nothing was found twice",
        "once",
        "test_completion",
    ),
    Difference(
        "all",
        "stores the other files of an upload of which some are refused",
        "`DocumentUploadError` with `stored` (≥ 0.26.3) and `failed`",
        "test_refused_files_and_stored_ones_are_named",
    ),
    Difference(
        "all",
        "sends LLM failures of chat assistants as text of a successful answer",
        "`GenerationError` with the text before",
        "test_failures_of_the_llm",
    ),
)
