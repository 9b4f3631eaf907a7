"""Retrieval and citation: which chunks match a question, which sentences answer it, and where markers are put."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ragflow_integrations.emulator.store import Chunk, Document, new_id
from ragflow_integrations.emulator.text import sentences, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ragflow_integrations.emulator.store import Store

_MAX_SENTENCES: Final = 3
_MIN_SHARE_OF_BEST: Final = 0.75
"""A sentence is quoted if its score is at least this share of the best sentence's."""
_MIN_SUPPORT: Final = 0.6
"""A chunk supports a sentence if it holds at least this share of the sentence's terms."""
_MARKER: Final = re.compile(r"##(\d+)\$\$|\[ID:(\d+)\]")
_CLOSERS: Final = ".!?。！？"
_CLAIM: Final = re.compile(rf"[^{_CLOSERS}\n]+[{_CLOSERS}]*")
_FENCED: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Hit:
    """A retrieved chunk with its scores."""

    chunk: Chunk
    similarity: float
    vector_similarity: float
    term_similarity: float
    metadata: Mapping[str, Any]
    """The metadata of its document."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A search: the question, and the datasets and documents to search in."""

    question: str
    dataset_ids: Collection[str]
    document_ids: Collection[str] | None = None
    similarity_threshold: float = 0.2
    vector_similarity_weight: float = 0.3
    top_k: int = 1024


@dataclass(frozen=True)
class Reference:
    """What an answer may cite."""

    hits: Sequence[Hit] = field(default_factory=tuple)

    def cited(self, text: str) -> list[Hit]:
        """Return the hits that the markers in a text point to; all hits if it has none."""
        indices = {int(first or second) for first, second in _MARKER.findall(text)}
        return [hit for index, hit in enumerate(self.hits) if index in indices] or list(self.hits)


def search(store: Store, query: Query) -> list[Hit]:
    """Retrieve chunks.

    Args:
        store: The store of the chunks.
        query: What to search for.

    Returns:
        The hits above the threshold, best first.
    """
    hits = [hit for hit in candidates(store, query) if hit.similarity >= query.similarity_threshold]
    return sorted(hits, key=lambda hit: -hit.similarity)


def candidates(store: Store, query: Query) -> list[Hit]:
    """Find the chunks that a search engine would offer.

    SQLite's BM25 chooses and orders the candidates. The scores that the server reports, all between 0 and 1, are the
    share of the question's terms that a chunk holds, each weighed by its rarity, and the cosine of both texts, which
    takes the place of the similarity of embeddings.

    Args:
        store: The store of the chunks.
        query: What to search for.

    Returns:
        All hits, whatever their similarity, in the order of their BM25 rank.
    """
    question_terms = Counter(terms(query.question))
    total = store.chunk_total()
    rarity = {term: math.log(1 + total / (1 + store.frequency(term))) for term in question_terms}
    whole = sum(rarity.values())
    metadata: dict[str, Mapping[str, Any]] = {}
    hits = []
    for chunk in store.match(list(question_terms), query.top_k):
        if chunk.dataset_id not in query.dataset_ids or not chunk.available:
            continue
        if query.document_ids is not None and chunk.document_id not in query.document_ids:
            continue
        chunk_terms = Counter(terms(" ".join([chunk.content, *chunk.important_keywords, *chunk.questions])))
        shared = question_terms.keys() & chunk_terms.keys()
        by_term = sum(rarity[term] for term in shared) / whole
        by_vector = math.sqrt(
            sum(question_terms[term] * chunk_terms[term] for term in shared)
            / math.sqrt(sum(count**2 for count in question_terms.values()) * sum(count**2 for count in chunk_terms.values()))
        )
        similarity = query.vector_similarity_weight * by_vector + (1 - query.vector_similarity_weight) * by_term
        if chunk.document_id not in metadata:
            document = store.get(Document, chunk.document_id)
            metadata[chunk.document_id] = document.meta_fields if document else {}
        hits.append(Hit(chunk, similarity, by_vector, by_term, metadata[chunk.document_id]))
    return hits


def graph_hit(store: Store, dataset_ids: Iterable[str]) -> Hit | None:
    """Make the passage that a knowledge graph adds: of whole datasets, whatever the filter (source: ``KGSearch.retrieval``)."""
    entities = [
        sentence
        for key in dataset_ids
        for document in store.all(Document, parent=key)
        for chunk in store.all(Chunk, parent=document.id)
        for sentence in sentences(chunk.content)[:1]
    ]
    if not entities:
        return None
    chunk = Chunk(
        id=new_id(),
        dataset_id="",
        document_id="",
        document_name="Related content in Knowledge Graph",
        content="\n".join(("---- Entities ----", *entities)),
    )
    return Hit(chunk, similarity=1.0, vector_similarity=1.0, term_similarity=0.0, metadata={})


def document_counts(hits: Iterable[Hit]) -> list[dict[str, Any]]:
    """Count hits by document, as ``doc_aggs`` has them: most first."""
    counts = Counter((hit.chunk.document_name, hit.chunk.document_id) for hit in hits)
    return [{"doc_name": name, "doc_id": key, "count": count} for (name, key), count in counts.most_common()]


def highlight(text: str, question: str) -> str:
    """Mark the words of a text that a question asks for, as the server does."""
    question_terms = set(terms(question))
    return re.sub(r"\w+", lambda word: f"<em>{word[0]}</em>" if question_terms & {*terms(word[0])} else word[0], text)


def agent_key(chunk_id: str, below: int) -> int:
    """Return the number by which agents refer to a chunk: a hash of its id, and not an index."""
    return int(hashlib.sha1(chunk_id.encode(), usedforsecurity=False).hexdigest(), 16) % below


def place_marker(sentence: str, marker: str) -> str:
    """Put a marker into a sentence, before its full stop."""
    if "```" in sentence:
        return sentence
    bare = sentence.rstrip(_CLOSERS)
    return f"{bare}{marker}{sentence[len(bare) :] or '.'}"


def extract(question: str, hits: Sequence[Hit]) -> list[tuple[str, int]]:
    """Pick the sentences of the hits that answer a question.

    Args:
        question: What was asked.
        hits: The retrieved chunks.

    Returns:
        One to three sentences with the index of the chunk each is from, in the order of the chunks; none without hits.
    """
    question_terms = set(terms(question))
    scored: dict[str, tuple[int, int]] = {}
    for index, hit in enumerate(hits):
        for sentence in sentences(hit.chunk.content):
            scored.setdefault(sentence, (len(question_terms & set(terms(sentence))), index))
    if not scored:
        return []
    ranked = sorted(scored.items(), key=lambda item: -item[1][0])[:_MAX_SENTENCES]
    min_score = ranked[0][1][0] * _MIN_SHARE_OF_BEST
    chosen = {sentence for sentence, (score, _) in ranked if score >= min_score}
    return [(sentence, index) for sentence, (_, index) in scored.items() if sentence in chosen]


def insert_markers(text: str, hits: Sequence[Hit], marker: Callable[[int], str]) -> str:
    """Insert markers if a model wrote none, as the server does: by similarity of each sentence to the chunks.

    A marker is put before the full stop of a sentence, but behind that of the last
    (``03_completion_stream_long_answer_with_kb`` and ``03_completion_stream_server_inserted_citations`` of 0.22.1).

    Args:
        text: An answer.
        hits: The retrieved chunks.
        marker: Spells the marker of an index.

    Returns:
        The text with markers; unchanged if it has some, or if no chunk supports any sentence.
    """
    if _MARKER.search(text):
        return text
    terms_of_chunks = [set(terms(hit.chunk.content)) for hit in hits]
    parts: list[str] = []
    position = 0
    fenced = [match.span() for match in _FENCED.finditer(text)]
    for claim in _CLAIM.finditer(text):
        if any(start < claim.end() and claim.start() < end for start, end in fenced):
            continue  # the server takes a block of code for one piece, and puts no marker into it
        claim_terms = set(terms(claim.group()))
        shares = [len(claim_terms & chunk_terms) / len(claim_terms) for chunk_terms in terms_of_chunks] if claim_terms else []
        if not shares or max(shares) < _MIN_SUPPORT:
            continue
        mark = marker(shares.index(max(shares)))
        if text[claim.end() :].strip():
            parts += [text[position : claim.start()], place_marker(claim.group(), mark)]
        else:
            parts += [text[position : claim.end()], mark]
        position = claim.end()
    return "".join([*parts, text[position:]])
