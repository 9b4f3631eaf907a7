"""The parts of the emulator that need no server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ragflow_integrations.emulator import SUPPORTED_VERSIONS, Emulator, FaultPlan
from ragflow_integrations.emulator.answering import Hit, Query, Reference, extract, insert_markers, place_marker, search
from ragflow_integrations.emulator.eras import era_of
from ragflow_integrations.emulator.faults import FaultInjector
from ragflow_integrations.emulator.ingestion import add_file, parse
from ragflow_integrations.emulator.parsing import plain_text, split
from ragflow_integrations.emulator.store import Chat, Chunk, Dataset, Document, Session, Store
from ragflow_integrations.emulator.text import content_pieces, count_tokens, reasoning_pieces, sentences, terms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Eras


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("0.27.0", "0.27.0"),
        ("v0.27.0", "0.27.0"),
        ("0.22", "0.22.1"),
        ("0.22.0", "0.22.1"),
        ("0.26", "0.26.4"),
        ("0.25.5", "0.25.6"),
    ],
)
def test_a_version_is_served_by_the_nearest_release(asked: str, given: str) -> None:
    assert era_of(asked).version == given


@pytest.mark.parametrize("asked", ["0.16.0", "1.0", "new", ""])
def test_unknown_versions_are_refused_with_the_known_ones(asked: str) -> None:
    with pytest.raises(ValueError, match=r"0\.17\.2, 0\.19\.1, .*0\.27\.0"):
        era_of(asked)


def test_releases_are_in_order() -> None:
    assert sorted(SUPPORTED_VERSIONS, key=lambda version: [int(part) for part in version.split(".")]) == list(
        SUPPORTED_VERSIONS
    )


def test_there_must_be_something_to_serve(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Emulator(docs=tmp_path / "missing")


# Words


def test_terms_ignore_case_endings_and_stop_words() -> None:
    assert terms("How does the Battery last?") == terms("batteries LASTING") == ["battery", "last"]


def test_chinese_gives_pairs() -> None:
    assert terms("东京塔有多高") == ["东京", "京塔", "塔有", "有多", "多高"]


def test_question_of_nothing_but_stop_words_has_no_terms() -> None:
    assert terms("What is it, and how are they?") == []


def test_sentences_leave_markup_out() -> None:
    text = "# Title\n\n- One fact. Version 1.5 is out!\n| --- | --- |\n| Dock | 12 |\n2. 第一。第二。"
    assert sentences(text) == ["One fact.", "Version 1.5 is out!", "Dock, 12", "第一。", "第二。"]


@pytest.mark.parametrize("text", ["one two  three", " 东京 tower [ID:0].\n", "trailing \n", ""])
def test_pieces_add_up(text: str) -> None:
    assert "".join(content_pieces(text)) == text
    assert "".join(reasoning_pieces(text)) == text.lstrip()


def test_tokens_are_counted() -> None:
    assert count_tokens("Echo: hello w0") == 5
    assert count_tokens("东京塔") == 3


# Parsing


def test_html_becomes_text_with_headings() -> None:
    html = b"<head><style>x{}</style></head><h2>Title</h2><p>One &amp; two</p><script>no()</script>"
    assert split(plain_text("page.html", html))[0].text == "## Title\n\nOne & two"


def test_a_byte_order_mark_is_no_text() -> None:
    assert plain_text("a.txt", "\ufeffx".encode()) == "x"


def test_chunks_are_about_150_words() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(10))
    passages = split(text)
    assert all(60 <= len(passage.text.split()) <= 160 for passage in passages)
    assert re.findall(r"Paragraph \d+", " ".join(passage.text for passage in passages)) == [
        f"Paragraph {number}" for number in range(10)
    ]


def test_a_long_paragraph_is_split_between_sentences() -> None:
    passages = split("This is a sentence of seven words. " * 100)
    assert len(passages) > 3
    assert all(passage.text.endswith(".") for passage in passages)


def test_a_heading_stays_with_its_text_and_starts_a_chunk() -> None:
    filler = "word " * 100
    texts = [passage.text for passage in split(f"# One\n\n{filler}\n\n## Two\n\n{filler}")]
    assert [text.splitlines()[0] for text in texts] == ["# One", "## Two"]


def test_text_has_no_pages() -> None:
    passages = split("\n\n".join(f"# Part {number}\n\n{'word ' * 100}" for number in range(3)))
    assert [passage.position for passage in passages] == [[number] * 5 for number in range(1, len(passages) + 1)]
    assert len(passages) > 1


def test_nothing_gives_no_chunks() -> None:
    assert split(" \n\n ") == []


# Store and retrieval


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.close()


@pytest.fixture
def dataset(store: Store) -> Dataset:
    made = Dataset(name="d")
    store.put(made)
    texts = {
        "boiler.txt": "The boiler is serviced in October.",
        "塔.txt": "东京塔高三百三十三米。",
        "hose.txt": "The hose is green.",
    }
    for name, text in texts.items():
        parse(store, add_file(store, made, name, text.encode()))
    return made


def test_objects_come_back(store: Store) -> None:
    chat = Chat(name="c", dataset_ids=["1"])
    store.put(chat)
    chat.name = "other"
    store.touch(chat)
    assert store.get(Chat, chat.id) == chat
    assert store.get(Chat, 5) is None
    assert store.get(Session, chat.id) is None
    assert store.get(Chat, chat.id, parent="x") is None


def test_ids_are_version_1_uuids() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}1[0-9a-f]{3}[89ab][0-9a-f]{3}02fc00000001", Chat(name="c").id)


def test_deleting_takes_what_belongs_along(store: Store, dataset: Dataset) -> None:
    store.delete(dataset)
    assert not store.all(Document)
    assert not store.all(Chunk)
    assert store.match(terms("boiler"), 10) == []
    chat = Chat(name="c")
    store.put(chat)
    store.put(Session(owner_id=chat.id))
    store.delete(chat)
    assert store.all(Session) == []


def test_a_file_outlives_the_store(tmp_path: Path) -> None:
    first = Store(tmp_path / "data.db")
    first.put(Chat(name="kept"))
    first.close()
    second = Store(tmp_path / "data.db")
    assert [chat.name for chat in second.all(Chat)] == ["kept"]
    second.close()


def found(store: Store, dataset: Dataset, question: str, **options: float) -> list[Hit]:
    return search(store, Query(question=question, dataset_ids=[dataset.id], **options))  # type: ignore[arg-type] # all are numbers


@pytest.mark.parametrize(("question", "name"), [("when is the BOILER serviced?", "boiler.txt"), ("东京塔有多高", "塔.txt")])
def test_search_finds_english_and_chinese(store: Store, dataset: Dataset, question: str, name: str) -> None:
    hits = found(store, dataset, question)
    assert [hit.chunk.document_name for hit in hits] == [name]
    assert all(0 < score <= 1 for hit in hits for score in (hit.similarity, hit.vector_similarity, hit.term_similarity))


@pytest.mark.parametrize("question", ["zzqq xylophone wombat", "is it in the", "", '"OR" NEAR(*) -'])
def test_search_finds_nothing_by_chance(store: Store, dataset: Dataset, question: str) -> None:
    assert found(store, dataset, question) == []


def test_search_honours_threshold_weight_and_documents(store: Store, dataset: Dataset) -> None:
    both = "boiler hose october green serviced"
    assert len(found(store, dataset, both)) == 2
    assert found(store, dataset, both, similarity_threshold=0.99) == []
    scores = [hit.similarity for hit in found(store, dataset, both, vector_similarity_weight=1.0)]
    assert scores == [hit.vector_similarity for hit in found(store, dataset, both, vector_similarity_weight=1.0)]
    assert scores == sorted(scores, reverse=True)
    document = next(one for one in store.all(Document) if one.name == "hose.txt")
    hits = search(store, Query(question=both, dataset_ids=[dataset.id], document_ids=[document.id]))
    assert [hit.chunk.document_name for hit in hits] == ["hose.txt"]


def test_answers_quote_the_sentence_that_matches(store: Store, dataset: Dataset) -> None:
    assert extract("When is the boiler serviced?", found(store, dataset, "boiler")) == [
        ("The boiler is serviced in October.", 0)
    ]
    assert extract("anything", []) == []


def test_markers_stand_before_the_full_stop() -> None:
    assert place_marker("So it is.", " [ID:0]") == "So it is [ID:0]."
    assert place_marker("东京塔。", " [ID:0]") == "东京塔 [ID:0]。"
    assert place_marker("No end", " ##1$$") == "No end ##1$$."
    assert place_marker("```json\nA price.\n```", " [ID:0]") == "```json\nA price.\n```"


def test_markers_are_inserted_where_a_chunk_supports_a_sentence(store: Store, dataset: Dataset) -> None:
    hits = found(store, dataset, "boiler")
    marked = insert_markers("The boiler is serviced in October. I like tea. The boiler is serviced.", hits, " [ID:{}]".format)
    assert marked == "The boiler is serviced in October [ID:0]. I like tea. The boiler is serviced. [ID:0]"
    assert insert_markers(marked, hits, " [ID:{}]".format) == marked
    code = "```\nThe boiler is serviced in October.\n```\nThe boiler is serviced in October."
    assert insert_markers(code, hits, " [ID:{}]".format) == f"{code} [ID:0]"


def test_counts_are_of_cited_documents(store: Store, dataset: Dataset) -> None:
    hits = found(store, dataset, "boiler hose october green serviced")
    assert Reference(hits).cited("x [ID:1].") == [hits[1]]
    assert Reference(hits).cited("x ##0$$.") == [hits[0]]
    assert Reference(hits).cited("x") == hits


# Fault plans


def test_a_plan_is_read_from_a_header() -> None:
    plan = FaultPlan.from_header("cut-after=3; split=7; llm-error=no money; stall-seconds=0.5")
    assert plan == FaultPlan(cut_after=3, split=7, llm_error="no money", stall_seconds=0.5)


@pytest.mark.parametrize("header", ["explode=1", "cut-after=soon"])
def test_a_bad_header_is_an_error(header: str) -> None:
    with pytest.raises(ValueError, match=r"Unknown fault explode|invalid literal"):
        FaultPlan.from_header(header)


def test_a_plan_counts_and_chooses() -> None:
    fault_injector = FaultInjector(FaultPlan(status=429, times=1, path="/chats"))
    assert fault_injector.plan_for("/datasets", None).status is None
    assert fault_injector.plan_for("/chats", None).status == 429
    assert fault_injector.plan_for("/chats", None).status is None
    assert fault_injector.plan_for("/chats", "status=502").status == 502
