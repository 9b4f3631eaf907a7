"""The ways in which releases do one thing differently, an enumeration each.

Names in brackets, such as ``[01_chat_list]``, are the recordings of real servers in ``tests/recordings`` that show the fact.
"""

from __future__ import annotations

from enum import Enum, auto


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
    """Which messages of a listed session hold the references of its answers."""

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
