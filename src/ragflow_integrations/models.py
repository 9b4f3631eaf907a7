"""Values of the API: what calls return.

All are frozen dataclasses. Those that come from the server keep the JSON object they were made of in `raw`, so that a field
this package does not name is not lost. Old and new servers' names are mapped to one set of fields.

Example:
    >>> from ragflow_integrations import Timeout
    >>> Timeout(connect=5).read
    600.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from ragflow_integrations.errors import InvalidArgumentError

if TYPE_CHECKING:
    import os

    from pydantic import SecretStr

#: A file to upload: a path, or a file name with the bytes of the file.
File: TypeAlias = "str | os.PathLike[str] | tuple[str, bytes]"
JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = Mapping[str, "JsonValue"]
CitationStyle: TypeAlias = Literal["bracket", "raw", "none"]
Role: TypeAlias = Literal["user", "assistant", "system"]
ReasoningEffort: TypeAlias = Literal["off", "low", "medium", "high", "ultra"]


#: Seconds, some thirty years: more than the system's clocks take is no limit any more.
_LONGEST = 1e9


@dataclass(frozen=True, slots=True)
class Timeout:
    """Limits in seconds.

    Attributes:
        connect: For the connection to be made.
        read: The longest silence allowed, not the length of an answer: a server that retries its LLM sends nothing for minutes.
    """

    connect: float = 10.0
    read: float = 600.0

    def __post_init__(self) -> None:
        for name in ("connect", "read"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
                raise InvalidArgumentError("timeout", f"needs a positive number of seconds for {name}, not {value!r}")


class ConnectionOptions(TypedDict, total=False):
    """Settings of the client that a component of an adapter makes for itself; a `client` to share excludes them all.

    Attributes:
        base_url: Root of the server; default RAGFLOW_BASE_URL, else http://localhost:9380.
        api_key: API key; default RAGFLOW_API_KEY.
        timeout: Longest silence in seconds, or a `Timeout`.
        max_retries: Repetitions of a request that failed in passing, if repeating is safe; default 2.
    """

    base_url: str | None
    api_key: str | SecretStr | None
    timeout: float | Timeout | None
    max_retries: int


class CompletionOptions(TypedDict, total=False):
    """Options of one question. One that the server cannot honour raises `UnsupportedByServerError`; none is dropped.

    Attributes:
        citation_style: How markers are shown; default `"bracket"`.
        model: LLM to use instead of the assistant's own, as RAGFlow names it (RAGFlow ≥ 0.25.1).
        temperature: Sampling temperature (stateless ≥ 0.26; in a session ≥ 0.25.1 and with `model`); so are the next four.
        top_p: Nucleus sampling.
        presence_penalty: Presence penalty.
        frequency_penalty: Frequency penalty.
        max_tokens: Longest answer, in tokens.
        document_ids: Answer from these documents only (in a session; stateless ≥ 0.27).
        metadata_condition: Answer from documents with such metadata only; see `RetrievalOptions` (in a session; stateless
            ≥ 0.24, and what 0.24–0.26 cannot honour there is refused).
        reasoning_effort: Deep research (in a session ≥ 0.24, where 0.24–0.26 know on and off only; stateless ≥ 0.27).
        internet: Search the web too (≥ 0.25 in a session; stateless ≥ 0.27).
        variables: Values of the prompt's variables (in a session).
        inputs: Values of an agent's begin form, or of the form it waits for: `{"name": {"value": …}}` or `{"name": …}`.
        return_trace: Keep the events of an agent's nodes in `Answer.trace` (≥ 0.23).
        agent_steps: Give an `AgentStep` for each node of an agent that has finished, while the agent runs (≥ 0.23).
    """

    citation_style: CitationStyle
    model: str
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    max_tokens: int
    document_ids: Sequence[str]
    metadata_condition: JsonObject
    reasoning_effort: ReasoningEffort
    internet: bool
    variables: Mapping[str, str]
    inputs: JsonObject
    return_trace: bool
    agent_steps: bool


class LLMSettings(TypedDict, total=False):
    """Settings of a chat assistant's LLM, as written and read.

    Attributes:
        llm_id: The LLM, as RAGFlow names it, such as `"gpt-4o@OpenAI"`.
        temperature: Sampling temperature.
        top_p: Nucleus sampling.
        presence_penalty: Presence penalty.
        frequency_penalty: Frequency penalty.
        max_tokens: Longest answer, in tokens.
        model_name: `llm_id`, as RAGFlow ≤ 0.24 names it; accepted, never read.
    """

    llm_id: str
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    max_tokens: int
    model_name: str


class PromptSettings(TypedDict, total=False):
    """Settings of a chat assistant's prompt and retrieval, as written and read.

    Attributes:
        system: System prompt; `{knowledge}` stands for the chunks found.
        prologue: First message of each session.
        empty_response: Answer if nothing is found; empty lets the LLM answer.
        quote: Whether answers cite.
        parameters: Variables of the system prompt: `[{"key": "knowledge", "optional": False}, …]`.
        refine_multiturn: Let an LLM rewrite a follow-up question by the history.
        keyword: Let an LLM add keywords to the question.
        use_kg: Use the knowledge graph.
        reasoning: Deep research: a truth value, or a level on 0.27.
        cross_languages: Languages the question is translated to.
        toc_enhance: Use tables of contents.
        tts: Text to speech.
        similarity_threshold: Drop chunks below, 0 … 1.
        vector_similarity_weight: Share of the embedding's score, 0 … 1; the keywords have the rest.
        top_n: Chunks given to the LLM.
        top_k: Vector candidates considered.
        rerank_id: Rerank model.
        prompt: `system`, as RAGFlow ≤ 0.24 names it; accepted, never read. So are the next five.
        opener: `prologue`.
        show_quote: `quote`.
        variables: `parameters`.
        rerank_model: `rerank_id`.
        keywords_similarity_weight: the other part of 1 to `vector_similarity_weight`.
    """

    system: str
    prologue: str
    empty_response: str
    quote: bool
    parameters: Sequence[JsonObject]
    refine_multiturn: bool
    keyword: bool
    use_kg: bool
    reasoning: bool | int
    cross_languages: Sequence[str]
    toc_enhance: bool
    tts: bool
    similarity_threshold: float
    vector_similarity_weight: float
    top_n: int
    top_k: int
    rerank_id: str
    prompt: str
    opener: str
    show_quote: bool
    variables: Sequence[JsonObject]
    rerank_model: str
    keywords_similarity_weight: float


class RetrievalOptions(TypedDict, total=False):
    """Options of one search. One that the server cannot honour raises `UnsupportedByServerError`; none is dropped.

    Attributes:
        document_ids: Only these documents.
        metadata_condition: Only documents with such metadata: `{"logic": "and", "conditions": [{"name": "year",
            "comparison_operator": "≥", "value": 2020}, …]}`. A condition may be such a group itself. Operators are `is`,
            `not is`, `>`, `<`, `≥`, `≤`, `contains`, `not contains`, `start with`, `end with`, `in` and `not in` (a list),
            `empty`, `not empty`. It holds on every release: if the server would drop it or compare otherwise, the documents'
            metadata are read (at most 10,000 documents).
        similarity_threshold: Drop chunks below, 0 … 1 (server's default 0.2).
        vector_similarity_weight: Share of the embedding's score, 0 … 1 (server's default 0.3).
        top_k: Vector candidates considered; not the number of results.
        rerank_id: Rerank model.
        keyword: Let an LLM add keywords.
        highlight: Mark matches in `Chunk.highlight`.
        cross_languages: Languages to translate the question into (≥ 0.20).
        use_kg: Search the knowledge graph too; its result comes first. Refused beside a filter, which it would ignore.
        toc_enhance: Use tables of contents (≥ 0.23).
        metadata_fields: Only these fields in `Chunk.document_metadata`, which RAGFlow ≥ 0.25.2 fills.
    """

    document_ids: Sequence[str] | None
    metadata_condition: JsonObject | None
    similarity_threshold: float | None
    vector_similarity_weight: float | None
    top_k: int | None
    rerank_id: str | None
    keyword: bool | None
    highlight: bool | None
    cross_languages: Sequence[str] | None
    use_kg: bool | None
    toc_enhance: bool | None
    metadata_fields: Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document, as retrieved.

    Attributes:
        id: Chunk id.
        content: Text of the chunk.
        document_id: Document it belongs to; empty for knowledge-graph and web results.
        document_name: File name of the document.
        dataset_id: Dataset it belongs to.
        similarity: Combined score in 0 … 1, None if the server gives none.
        vector_similarity: Score of the embedding.
        term_similarity: Score of the keywords.
        positions: `(page, x0, x1, top, bottom)` boxes; page is 1-based for paged documents, an ordinal otherwise.
        image_id: Image of the chunk, `""` where there is none.
        url: Source address of a web result.
        doc_type: `""`, `"image"` or `"table"`.
        highlight: Content with `<em>` around matches, if asked for.
        document_metadata: User metadata of the document, if asked for.
        raw: The server's object.
    """

    id: str
    content: str = ""
    document_id: str = ""
    document_name: str = ""
    dataset_id: str = ""
    similarity: float | None = None
    vector_similarity: float | None = None
    term_similarity: float | None = None
    positions: tuple[tuple[float, ...], ...] = ()
    image_id: str = ""
    url: str | None = None
    doc_type: str = ""
    highlight: str | None = None
    document_metadata: JsonObject = field(default_factory=dict, hash=False)
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCount:
    """How many chunks of a document were used (`doc_aggs` on the wire)."""

    document_id: str
    document_name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What an answer was made from.

    Attributes:
        chunks: All retrieved chunks in the server's order, not only the cited ones.
        documents: Documents cited, or all retrieved if none is cited.
        total: Candidates the server counted, if it says.
        raw: The server's object.
    """

    chunks: tuple[Chunk, ...] = ()
    documents: tuple[DocumentCount, ...] = ()
    total: int | None = None
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Result of a search over datasets.

    Attributes:
        chunks: Best first, at most `limit`.
        documents: Chunks counted by document.
        total: Candidates above the threshold within the server's ranking window; not the size of the dataset.
    """

    chunks: tuple[Chunk, ...] = ()
    documents: tuple[DocumentCount, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One marker of an answer and the chunk it points to.

    Offsets are code points into `Answer.text`.

    Attributes:
        index: 0-based position of the chunk in `Reference.chunks`.
        number: The number shown, `index + 1`.
        start: Start of the marker; equal to `end` where the style shows none.
        end: End of the marker.
        claim_start: Start of the sentence the marker supports.
        claim_end: End of that sentence.
        chunk: The chunk cited.
    """

    index: int
    number: int
    start: int
    end: int
    claim_start: int
    claim_end: int
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the server counts them (RAGFlow ≤ 0.23.1 counts characters, and the prompt is the last question only).

    Attributes:
        prompt_tokens: Of the prompt; None if only the total is known, as of an agent's run.
        completion_tokens: Of the answer; None if only the total is known.
        total_tokens: Of both.
        raw: The server's object.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where the server spent its time, in seconds, as it reports them behind the prompt of a native answer."""

    total: float | None = None
    retrieval: float | None = None
    generation: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """A form an agent waits for: ask again in the same session, with `inputs`.

    Attributes:
        inputs: The fields, by name, as the server describes them.
        tips: What the agent says with it.
    """

    inputs: JsonObject = field(default_factory=dict, hash=False)
    tips: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished answer.

    Attributes:
        text: The server's final text without thinking, its citation markers in the chosen style.
        reasoning: The model's thinking, if it was sent.
        reference: Everything retrieved.
        citations: The markers of `text`, in order.
        session_id: Session the turn was stored in; None for a stateless answer.
        message_id: Id of the turn (question and answer share it), None if the server gives none.
        chat_id: Chat assistant that answered.
        agent_id: Agent that answered.
        model: LLM the server names, None if it names none.
        usage: Tokens, on routes that report them.
        finish_reason: `"stop"` and the like, on routes that report it.
        timings: Server timings, on routes that report them.
        citation_style: Style of the markers in `text`.
        input_request: The form an agent waits for, if it has paused.
        trace: Events of an agent's nodes, where `return_trace` asked for them.
        structured: Structured output of an agent's components, by component id (≥ 0.23).
        attachments: Files that an agent made (≥ 0.23).
    """

    text: str
    reasoning: str = ""
    reference: Reference = field(default_factory=Reference)
    citations: tuple[Citation, ...] = ()
    session_id: str | None = None
    message_id: str | None = None
    chat_id: str | None = None
    agent_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    timings: Timings | None = None
    citation_style: CitationStyle = "bracket"
    input_request: InputRequest | None = None
    trace: tuple[JsonObject, ...] = field(default=(), repr=False, hash=False)
    structured: JsonObject = field(default_factory=dict, repr=False, hash=False)
    attachments: tuple[Attachment, ...] = ()

    def _repr_html_(self) -> str:
        """Show the answer in a notebook: text with numbered citations, sources below, all of it escaped."""
        # Rendering is needed in notebooks only, so its module is loaded there only.
        from ragflow_integrations._html import answer_html  # noqa: PLC0415

        return answer_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that an agent made.

    Attributes:
        id: Id of the file.
        name: File name.
        format: Such as `"pdf"` or `"docx"`.
        raw: The server's object.
    """

    id: str
    name: str = ""
    format: str = ""
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStep:
    """A node of an agent that started or finished, with `agent_steps=True`.

    Attributes:
        state: `"started"` or `"finished"`.
        component_id: Id of the node, such as `"Retrieval:Kb"`.
        title: Its name.
        inputs: What it was given.
        outputs: What it made; empty if it has only started.
        error: What failed, None if nothing did.
        seconds: How long it took; None if it has only started.
    """

    state: Literal["started", "finished"]
    component_id: str
    title: str = ""
    inputs: JsonObject = field(default_factory=dict, hash=False)
    outputs: JsonObject = field(default_factory=dict, repr=False, hash=False)
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, never half a citation marker."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of a stream."""

    answer: Answer


AnswerEvent: TypeAlias = TextDelta | ReasoningDelta | AgentStep | Completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a session, or of a history to send.

    Attributes:
        role: `"user"`, `"assistant"` or `"system"`.
        content: Text without thinking.
        reasoning: Thinking stored in front of the text.
        id: Id of the turn; question and answer share it.
        reference: What a stored answer was made from.
        created_at: Seconds since 1970.
        raw: The server's object.
    """

    role: Role
    content: str
    reasoning: str = ""
    id: str | None = None
    reference: Reference | None = None
    created_at: float | None = None
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A stored conversation with a chat assistant or an agent.

    Attributes:
        id: Session id.
        name: Display name.
        chat_id: Chat assistant it belongs to, None for an agent's session.
        agent_id: Agent it belongs to, None for a chat assistant's session.
        messages: Turns so far; the first is the assistant's opener.
        user_id: Owner the server reports.
        created_at: Seconds since 1970.
        updated_at: Seconds since 1970.
        raw: The server's object.
    """

    id: str
    name: str = ""
    chat_id: str | None = None
    agent_id: str | None = None
    messages: tuple[Message, ...] = ()
    user_id: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A chat assistant: an LLM with a prompt over datasets.

    Attributes:
        id: Chat id.
        name: Unique name.
        description: Free text.
        dataset_ids: Datasets it answers from; empty for a plain LLM chat.
        llm: Settings of its LLM.
        prompt: Settings of its prompt and its retrieval.
        created_at: Seconds since 1970.
        updated_at: Seconds since 1970.
        raw: The server's object.
    """

    id: str
    name: str
    description: str = ""
    dataset_ids: tuple[str, ...] = ()
    llm: LLMSettings = field(default_factory=LLMSettings, hash=False)
    prompt: PromptSettings = field(default_factory=PromptSettings, hash=False)
    created_at: float | None = None
    updated_at: float | None = None
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)

    @property
    def llm_id(self) -> str | None:
        """Its LLM."""
        return self.llm.get("llm_id")

    @property
    def similarity_threshold(self) -> float | None:
        """Chunks below are dropped, 0 … 1."""
        return self.prompt.get("similarity_threshold")

    @property
    def top_n(self) -> int | None:
        """Chunks given to the LLM."""
        return self.prompt.get("top_n")

    @property
    def empty_response(self) -> str:
        """Answer if nothing is found; empty lets the LLM answer."""
        return self.prompt.get("empty_response", "")

    @property
    def quote(self) -> bool:
        """Whether answers cite."""
        return self.prompt.get("quote", True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent: a workflow built in RAGFlow's canvas.

    Attributes:
        id: Agent id.
        title: Display name.
        description: Free text.
        created_at: Seconds since 1970, None if the server does not say.
        updated_at: Seconds since 1970.
        raw: The server's object.
    """

    id: str
    title: str
    description: str = ""
    created_at: float | None = None
    updated_at: float | None = None
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A set of parsed documents (a knowledge base).

    Attributes:
        id: Dataset id.
        name: Unique name.
        description: Free text.
        embedding_model: Model of its vectors; datasets searched together must share it.
        chunk_method: How documents are cut (`"naive"`, `"qa"` …).
        chunk_count: Chunks in all.
        document_count: Documents in all.
        created_at: Seconds since 1970.
        raw: The server's object.
    """

    id: str
    name: str
    description: str = ""
    embedding_model: str = ""
    chunk_method: str = ""
    chunk_count: int = 0
    document_count: int = 0
    created_at: float | None = None
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file of a dataset.

    Attributes:
        id: Document id.
        name: File name.
        dataset_id: Dataset it belongs to.
        status: `"UNSTART"`, `"RUNNING"`, `"CANCEL"`, `"DONE"` or `"FAIL"`.
        progress: 0 … 1 while parsing, negative after a failure.
        progress_message: The server's log of the parsing.
        size: Bytes.
        chunk_count: Chunks made.
        token_count: Tokens of these.
        metadata: User metadata.
        raw: The server's object.
    """

    id: str
    name: str
    dataset_id: str = ""
    status: str = ""
    progress: float = 0.0
    progress_message: str = ""
    size: int = 0
    chunk_count: int = 0
    token_count: int = 0
    metadata: JsonObject = field(default_factory=dict, hash=False)
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsingProgress:
    """How far the parsing of documents is.

    Attributes:
        documents: The documents waited for, in the server's order.
        done: How many of them the server works on no more: parsed, failed or stopped.
    """

    documents: tuple[Document, ...]
    done: int

    @property
    def fraction(self) -> float:
        """The mean progress, 0 … 1."""
        parts = [1.0 if item.status == "DONE" else min(max(item.progress, 0.0), 1.0) for item in self.documents]
        return sum(parts) / len(parts) if parts else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What is known of a server.

    Attributes:
        version: Its own word, such as `v0.27.0`; None if it gives none (≤ 0.23) or is built from a commit.
        oldest: Oldest release it can be, by its replies.
        newest: Newest release it can be; None if there is no upper bound.
    """

    version: str | None
    oldest: str
    newest: str | None

    @property
    def era(self) -> str:
        """The range in words: `0.27.0`, or `0.22.0 … 0.22.x`."""
        if self.oldest == self.newest:
            return self.oldest
        return f"{self.oldest} … {self.newest or 'newest'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a server works.

    Attributes:
        ok: It answers, and reports no failing part.
        parts: Its word on each part (`db`, `redis` …), if it gives one (≥ 0.22).
    """

    ok: bool
    parts: JsonObject = field(default_factory=dict, hash=False)


__all__ = [
    "Agent",
    "AgentStep",
    "Answer",
    "AnswerEvent",
    "Attachment",
    "Chat",
    "Chunk",
    "Citation",
    "CitationStyle",
    "Completed",
    "CompletionOptions",
    "ConnectionOptions",
    "Dataset",
    "Document",
    "DocumentCount",
    "File",
    "Health",
    "InputRequest",
    "JsonObject",
    "JsonValue",
    "LLMSettings",
    "Message",
    "ParsingProgress",
    "PromptSettings",
    "ReasoningDelta",
    "ReasoningEffort",
    "Reference",
    "Retrieval",
    "RetrievalOptions",
    "Role",
    "ServerInfo",
    "Session",
    "TextDelta",
    "Timeout",
    "Timings",
    "Usage",
]
