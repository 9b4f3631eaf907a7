"""Answers as HTML: everything the server sent is escaped, citations are numbered."""

from __future__ import annotations

from html.parser import HTMLParser

from ragflow_integrations import Answer, Chunk, Citation, Reference

EVIL = "<script>alert('x')</script>\"&"


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(answer: Answer) -> Tags:
    tags = Tags()
    tags.feed(answer._repr_html_())
    return tags


def test_everything_is_escaped() -> None:
    chunk = Chunk(id="c", content=EVIL, document_name=EVIL)
    text = f"{EVIL} [1]\nmore"
    at = text.index("[1]")
    citation = Citation(index=0, number=1, start=at, end=at + 3, claim_start=0, claim_end=3, chunk=chunk)
    answer = Answer(text=text, reasoning=EVIL, reference=Reference(chunks=(chunk,)), citations=(citation,))
    page = seen(answer)
    assert {tag for tag, _ in page.tags} <= {"div", "p", "sup", "br", "ol", "li", "details", "summary", "blockquote", "pre"}
    assert "<script" not in answer._repr_html_()
    assert page.text.count(EVIL) == 4
    assert ("sup", {"title": EVIL}) in page.tags
    assert ("li", {"value": "1"}) in page.tags


def test_nothing_is_a_link() -> None:
    address = "javascript:alert(1)"
    chunk = Chunk(id=address, content=address, document_name=address, raw={"url": address})
    citation = Citation(index=0, number=1, start=0, end=0, claim_start=0, claim_end=0, chunk=chunk)
    answer = Answer(text=address, reasoning=address, reference=Reference(chunks=(chunk,)), citations=(citation,))
    assert {name for _, attributes in seen(answer).tags for name in attributes} == {"class", "title", "value"}


def test_citations_are_numbered_as_in_the_text() -> None:
    chunks = tuple(Chunk(id=str(number), content="long " * 200, document_name=f"d{number}") for number in range(3))
    cited = [
        Citation(index=index, number=index + 1, start=2, end=2, claim_start=0, claim_end=2, chunk=chunks[index])
        for index in (2, 0)
    ]
    page = seen(Answer(text="ab", reference=Reference(chunks=chunks), citations=tuple(cited)))
    assert [given["value"] for tag, given in page.tags if tag == "li"] == ["1", "3"]
    assert page.text.startswith("ab[3][1]")
    assert "…" in page.text


def test_a_plain_answer() -> None:
    assert Answer(text="Hi")._repr_html_() == '<div class="ragflow-answer"><p>Hi</p></div>'
