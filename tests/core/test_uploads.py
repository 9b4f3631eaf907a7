"""Uploads: files that the server refuses are named, and so are those that it stored; a download is the file as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import DocumentNotFoundError, DocumentParsingError, DocumentUploadError
from ragflow_integrations.emulator.store import new_id
from tests.core.driver import DATASET
from tests.core.eras import unique
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.core.conftest import Connect
    from tests.core.eras import Served
    from tests.support.wire import Exchange

GOOD, BAD = ("good.txt", b"A good file.\n"), ("bad.xyz", b"A bad one.\n")
UNSUPPORTED = "This type of file has not been supported yet!"
PDF = (
    b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\nstream\n"
    b"BT (The cellar pump) Tj T* [(drains) -250 ( 40 \\(forty\\) l)] TJ ET\n"
    b"endstream\ntrailer << /Root 1 0 R >>\n%%EOF"
)


def upload_fails(served: Served, dataset_id: str, *files: tuple[str, bytes]) -> DocumentUploadError:
    error = served.driver.fails(lambda client: client.documents.upload(dataset_id, list(files)))
    assert type(error) is DocumentUploadError
    assert not error.retryable
    assert repr(dataset_id) in str(error)
    return error


@pytest.fixture
def dataset_id(served: Served) -> str:
    return str(served.do(lambda client: client.datasets.create(unique("Files"))).id)


def names(served: Served, dataset_id: str) -> list[str]:
    return [document.name for document in served.do(lambda client: client.documents.list(dataset_id))][::-1]


def test_refused_files_and_stored_ones_are_named(served: Served, dataset_id: str) -> None:
    served.do(lambda client: client.documents.upload(dataset_id, [GOOD]))
    error = upload_fails(served, dataset_id, GOOD, BAD, ("README", b"x"), ("other.md", b"# Other"), GOOD)
    assert error.failed == {"bad.xyz": UNSUPPORTED, "README": UNSUPPORTED}
    stored = [document.name for document in error.stored]
    assert sorted(stored) == ["good(1).txt", "good(2).txt", "other.md"]
    assert names(served, dataset_id) == ["good.txt", "good(1).txt", "other.md", "good(2).txt"]
    for name in (*stored, "bad.xyz"):
        assert name in str(error)
    again = served.do(lambda client: client.documents.get(dataset_id, error.stored[0].id))
    assert again.name == error.stored[0].name


def test_one_file_that_is_refused(served: Served, dataset_id: str) -> None:
    error = upload_fails(served, dataset_id, BAD)
    assert (error.failed, error.stored) == ({"bad.xyz": UNSUPPORTED}, ())
    assert "None is stored" in str(error)
    assert names(served, dataset_id) == []


def test_a_name_that_is_too_long(served: Served, dataset_id: str) -> None:
    long = "x" * 260 + ".txt"
    error = upload_fails(served, dataset_id, GOOD, (long, b"x"))
    assert list(error.failed) == [long]
    alone = served.within((0, 19, 1))  # one such name refuses all files
    assert [document.name for document in error.stored] == ([] if alone else ["good.txt"])
    assert names(served, dataset_id) == ([] if alone else ["good.txt"])


def test_a_broken_pdf_is_refused_or_fails_when_it_is_parsed(served: Served, dataset_id: str) -> None:
    broken = ("broken.pdf", b"%PDF-1.4 cut off")
    if not served.within((0, 25, 0)):
        error = upload_fails(served, dataset_id, broken, GOOD)
        assert list(error.failed) == ["broken.pdf"]
        assert [document.name for document in error.stored] == ["good.txt"]
        return
    [document] = served.do(lambda client: client.documents.upload(dataset_id, [broken]))
    served.do(lambda client: client.documents.parse(dataset_id, [document.id]))
    failed = served.driver.fails(lambda client: client.documents.wait(dataset_id, [document.id], timeout=5))
    assert type(failed) is DocumentParsingError
    assert "No /Root object" in str(failed)


def test_a_pdf_is_parsed(served: Served, dataset_id: str) -> None:
    [document] = served.do(lambda client: client.documents.upload(dataset_id, [("pump.pdf", PDF)]))
    served.do(lambda client: client.documents.parse(dataset_id, [document.id]))
    served.do(lambda client: client.documents.wait(dataset_id, [document.id], timeout=5))
    [chunk] = served.do(lambda client: client.chunks.list(dataset_id, document.id))
    assert chunk.content == "The cellar pump\ndrains 40 (forty) l"


# ------------------------------------------------------------------------------------------------------- replies of the server


def replies(refusal: dict[str, Any], documents: Any) -> Any:
    def script(exchange: Exchange) -> None:
        if exchange.method == "POST":
            exchange.reply(json=refusal)
        elif documents is None:
            exchange.reply(504)
        else:
            exchange.reply(json={"code": 0, "data": {"docs": documents, "total": len(documents)}})

    return script


def test_stored_documents_are_looked_up_by_name_and_size(connect: Connect) -> None:
    listed = [
        {"id": "5", "name": "b(x).txt", "size": 1},
        {"id": "3", "name": "a(2).txt", "size": 9},
        {"id": "4", "name": "a(1).txt", "size": 1},
        {"id": "2", "name": "a.txt", "size": 1},
        {"id": "1", "name": "b.txt", "size": 1},
    ]
    refusal = {"code": 500, "message": "c.xyz: one\ntwo\nd: e.txt: three"}
    files = [("b.txt", b"b"), ("a.txt", b"a"), ("c.xyz", b"c"), ("d: e.txt", b"d"), ("missing.txt", b"m")]
    with WireServer(replies(refusal, listed)) as server:
        error = connect(server.base_url).fails(lambda client: client.documents.upload(DATASET, files))
    assert type(error) is DocumentUploadError
    assert [document.id for document in error.stored] == ["1", "4"]
    assert error.failed == {"c.xyz": "one\ntwo", "d: e.txt": "three"}


def test_a_failure_that_names_no_file_leads_to_no_guesses(connect: Connect) -> None:
    refusal = {"code": 500, "message": "The storage is full."}
    with WireServer(replies(refusal, [{"id": "1", "name": "a.txt", "size": 1}])) as server:
        error = connect(server.base_url).fails(lambda client: client.documents.upload(DATASET, [("a.txt", b"a")]))
    assert type(error) is DocumentUploadError
    assert (error.stored, error.failed) == ((), {})


def test_what_is_stored_cannot_be_looked_up(connect: Connect) -> None:
    refusal = {"code": 500, "message": "c.xyz: no"}
    with WireServer(replies(refusal, None)) as server:
        driver = connect(server.base_url, max_retries=0)
        error = driver.fails(lambda client: client.documents.upload(DATASET, [("a.txt", b"a"), ("c.xyz", b"c")]))
    assert type(error) is DocumentUploadError
    assert "could not be looked up" in str(error)
    assert "None is stored" not in str(error)


def test_a_success_with_fewer_documents_than_files(connect: Connect) -> None:
    reply = {"code": 0, "data": [{"id": "1", "name": "a.txt"}]}
    with WireServer(replies(reply, [])) as server:
        driver = connect(server.base_url)
        error = driver.fails(lambda client: client.documents.upload(DATASET, [("a.txt", b"a"), ("b.txt", b"b")]))
    assert type(error) is DocumentUploadError
    assert [document.id for document in error.stored] == ["1"]
    assert "no reason was given" in str(error)


# --------------------------------------------------------------------------------------------------------------------- parsing


def test_parsing_of_known_and_unknown_documents_tells_their_states(served: Served, dataset_id: str) -> None:
    first, last = served.do(lambda client: client.documents.upload(dataset_id, [GOOD, ("b.txt", b"b")]))
    unknown = new_id()
    error = served.driver.fails(lambda client: client.documents.parse(dataset_id, [first.id, unknown, last.id]))
    assert type(error) is DocumentNotFoundError
    assert f"{first.id} is RUNNING" in str(error)
    assert f"{last.id} is {'RUNNING' if served.within((0, 18, 0)) else 'UNSTART'}" in str(error)
    assert f"{unknown} is not in the dataset" in str(error)


def test_states_that_cannot_be_looked_up(connect: Connect) -> None:
    with WireServer(replies({"code": 102, "message": "Documents not found: ['b']"}, None)) as server:
        driver = connect(server.base_url, max_retries=0)
        error = driver.fails(lambda client: client.documents.parse(DATASET, ["a", "b"]))
    assert type(error) is DocumentNotFoundError
    assert "could not be looked up" in str(error)
