"""What learners hand in: read with limits, refused with a reason, and never the end of the batch."""

import json
import os
import shutil
import sqlite3
import tracemalloc
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.artifacts import ArtifactDatabase, Kind, Subject
from labkit.errors import LabError
from labkit.grading import _submission
from labkit.grading._notebook import Cell
from labkit.grading._result import LABKIT, LEARNER, Result, State
from labkit.grading._scan import TooDeep, elements, members, value
from labkit.grading._submission import Submission, handed_in, read_class

LAB = "canary"
CODE = [("price", "def price(cents):\n    return cents - 1"), ("check", "assert price(2) == 1")]

# JSON


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(data=st.dictionaries(st.text(), JSON), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_members_are_found_as_json_finds_them(
    data: dict[str, Any], indent: int | None, *, ascii_only: bool
) -> None:
    """Each member of an object has the value that Python's own parser gives it."""
    document = json.dumps(data, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = members(document, (0, len(document)))
    assert [*found] == [*data]
    for key, (begin, end) in found.items():
        assert json.loads(document[begin:end].decode("utf-8", "surrogatepass")) == data[key]


@given(st.lists(JSON))
def test_elements_are_found_as_json_finds_them(data: list[Any]) -> None:
    """Each element of an array is found, and only they."""
    document = json.dumps(data).encode()
    spans = elements(document, (0, len(document)))
    assert [value(document, span, len(document)) for span in spans] == data


@pytest.mark.parametrize(
    "broken", [b"", b"x", b"x{}", b"{}x", b"{", b'{"a": 1', b'{"a', b"}", b"{1}", b'"a"']
)
def test_what_is_no_json_object_is_an_error(broken: bytes) -> None:
    """A document that ends too early or too late, or is something else, is refused."""
    with pytest.raises(ValueError, match=r"brackets|no name"):
        members(broken, (0, len(broken)))


def test_too_deep_is_an_error_of_its_own() -> None:
    """Depth is counted without recursion."""
    deep = b"[" * 1_000_000
    with pytest.raises(TooDeep):
        list(elements(deep, (0, len(deep))))


# A class


def notebook(path: Path, cells: Sequence[tuple[str, str]] = CODE, lab: str = LAB, **changed: Any) -> Path:
    """Write a notebook of a lab with these code cells, and a Markdown cell before them."""
    made = [nbformat.v4.new_code_cell(source, id=identity) for identity, source in cells]
    content = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# A lab", id="goal"), *made], metadata={"labkit": {"id": lab}}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changed), encoding="utf-8")
    return path


def read(folder: Path, *labs: str) -> list[Submission | Result]:
    """Read a class that worked on these labs."""
    return list(read_class(folder, labs or (LAB,)))


def only(folder: Path) -> Submission:
    """Return the one submission of a class."""
    (submission,) = read(folder)
    assert isinstance(submission, Submission), submission
    return submission


def refusal(folder: Path) -> Result:
    """Return the one refusal of a class."""
    (result,) = read(folder)
    assert isinstance(result, Result), result
    assert result.rows == ()
    return result


def test_a_notebook_is_known_by_its_metadata_wherever_it_lies(tmp_path: Path) -> None:
    """The name of file and folders does not count, and notebooks of other labs are left out."""
    notebook(tmp_path / "ada" / "my work" / "Unbenannt (2).ipynb")
    notebook(tmp_path / "ada" / "labs" / "07-canary.ipynb", lab="blue-green")
    notebook(tmp_path / "ada" / ".ipynb_checkpoints" / "old.ipynb")
    (tmp_path / "list of names.csv").write_text("ada")
    submission = only(tmp_path)
    assert (submission.learner, submission.lab) == ("ada", LAB)
    assert submission.cells == tuple(Cell(*cell) for cell in CODE)


def test_the_whole_class_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Each learner comes once for each lab, with names of all kinds as they are."""
    names = sorted(["Müller, Änne", 'O\'Neil "Bob"', "=cmd", "+49", "张伟", "a\nb", "-x"])
    for name in names:
        notebook(tmp_path / name / "a.ipynb")
        notebook(tmp_path / name / "b.ipynb", lab="toggles")
    assert [(one.learner, one.lab) for one in read(tmp_path, LAB, "toggles")] == [
        (name, lab) for name in names for lab in (LAB, "toggles")
    ]


def test_cells_are_found_by_id_however_they_were_moved(tmp_path: Path) -> None:
    """Reordered, renamed and deleted cells: a cell has the source of its id, a deleted one has none."""
    cells = [("check", "assert True"), ("fresh", "def helper(): ..."), ("price", "def price(c): return c")]
    submission = only(notebook(tmp_path / "ada" / "a.ipynb", cells).parents[1])
    assert submission.source("price") == "def price(c): return c"
    assert submission.source("set-up") is None
    assert submission.helpers({"price", "check", "set-up"}) == (Cell("fresh", "def helper(): ..."),)


def test_of_a_doubled_cell_the_last_counts_and_own_cells_keep_their_order(tmp_path: Path) -> None:
    """A cell that was copied with its id does not stop the batch, and cells without an id are kept."""
    cells = [("price", "old"), ("", "one"), ("b", "two"), ("price", "new"), ("", "three")]
    path = notebook(tmp_path / "ada" / "a.ipynb", [("x", "x")])
    content = json.loads(path.read_bytes())
    code = {"cell_type": "code", "metadata": {}, "outputs": []}
    content["cells"] = [code | {"source": [s]} | ({"id": i} if i else {}) for i, s in cells]
    path.write_text(json.dumps(content))
    submission = only(tmp_path)
    assert submission.source("price") == "new"
    assert [cell.source for cell in submission.helpers({"price"})] == ["one", "two", "three"]


def test_giant_outputs_are_passed_over_and_do_not_count(tmp_path: Path) -> None:
    """Ten megabytes of output take no memory, and the submission is the same as without them."""
    path = notebook(tmp_path / "ada" / "a.ipynb")
    without = only(tmp_path).digest
    content = json.loads(path.read_bytes())
    content["cells"][1]["outputs"] = [{"output_type": "stream", "text": ['a line, with "}\\\n'] * 500_000}]
    path.write_text(json.dumps(content, indent=1))
    size = path.stat().st_size
    del content
    tracemalloc.start()
    assert only(tmp_path).digest == without
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < size / 10


def test_the_digest_is_that_of_what_counts(tmp_path: Path) -> None:
    """Another learner, source or order is another digest; another file name is not."""
    digests = [only(notebook(tmp_path / "0" / "ada" / "a.ipynb").parents[1]).digest]
    digests += [only(notebook(tmp_path / "1" / "bob" / "a.ipynb").parents[1]).digest]
    digests += [only(notebook(tmp_path / "2" / "ada" / "a.ipynb", CODE[::-1]).parents[1]).digest]
    digests += [only(notebook(tmp_path / "3" / "ada" / "a.ipynb", CODE[:1]).parents[1]).digest]
    assert len(set(digests)) == 4
    assert only(notebook(tmp_path / "4" / "ada" / "b.ipynb").parents[1]).digest == digests[0]


# What is refused


def write(folder: Path, content: bytes | str) -> Path:
    """Write a file that ends in .ipynb for the learner ada."""
    path = folder / "ada" / "a.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        "null",
        '"text"',
        '{"metadata": {"labkit": {"id": "canary"}}, "nbformat": 4, "nbformat_minor": 5}',
        '{"metadata": {"labkit": {"id": "canary"}}, "nbformat": 4, "nbformat_minor": 5, "cells": {"a": 1}}',
        '{"metadata": {"labkit": {"id": "canary"}}, "nbformat": 4, "nbformat_minor": 5, "cells": [1, null]}',
        '{"metadata": {"labkit": {"id": "canary"}}, "nbformat": "4", "cells": []}',
        '{"metadata": [1], "cells": []}',
        b"\xff\xfe{}",
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cposix\nsystem",
    ],
)
def test_what_is_no_notebook_is_not_graded(content: bytes | str, tmp_path: Path) -> None:
    """Any other content of the file is a reason, and the learner's."""
    result = refusal(write(tmp_path, content))
    assert (result.state, result.whose) == (State.NOT_GRADED, LEARNER)
    assert result.reason.startswith("a.ipynb: it is ")


def test_json_that_is_nested_too_deep_is_not_graded(tmp_path: Path) -> None:
    """A million brackets end in a reason, not in a crash."""
    result = refusal(write(tmp_path, '{"metadata": ' + '{"a": ' * 1_000_000))
    assert (result.state, result.reason) == (State.NOT_GRADED, "a.ipynb: its JSON is nested too deep")


@pytest.mark.parametrize(
    ("major", "minor", "state"),
    [
        (3, 0, State.NEEDS_A_PERSON),
        (4, 4, State.NEEDS_A_PERSON),
        (5, 0, State.NOT_GRADED),
        (99, 0, State.NOT_GRADED),
    ],
)
def test_another_notebook_format_is_told(major: int, minor: int, state: State, tmp_path: Path) -> None:
    """Where cells have no ids a person has to look; a format of the future cannot be read at all."""
    notebook(tmp_path / "ada" / "a.ipynb", nbformat=major, nbformat_minor=minor)
    result = refusal(tmp_path)
    assert (result.lab, result.state, result.whose) == (LAB, state, LEARNER)
    assert f"format {major}" in result.reason


def test_a_newer_minor_format_is_read(tmp_path: Path) -> None:
    """What 4.9 may add to a notebook does not matter here."""
    notebook(tmp_path / "ada" / "a.ipynb", nbformat_minor=9)
    assert only(tmp_path).source("check") == "assert price(2) == 1"


@pytest.mark.parametrize(
    ("count", "length", "words"),
    [(1, 2_000_000, "bytes"), (3, 400_000, "bytes"), (6000, 0, "cells")],
)
def test_too_much_code_is_not_graded(count: int, length: int, words: str, tmp_path: Path) -> None:
    """Sources, all of them together, and cells have limits."""
    notebook(tmp_path / "ada" / "a.ipynb", [(f"c{number}", "x" * length) for number in range(count)])
    result = refusal(tmp_path)
    assert (result.state, result.whose, words in result.reason) == (State.NOT_GRADED, LEARNER, True)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    """A sparse file of many gigabytes costs nothing."""
    path = notebook(tmp_path / "ada" / "a.ipynb")
    os.truncate(path, 50_000_000_000)
    assert "256,000,000 are the most" in refusal(tmp_path).reason


def test_too_many_files_are_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder full of files ends in a reason."""
    monkeypatch.setattr(_submission, "ENTRIES", 10)
    for number in range(11):
        notebook(tmp_path / "ada" / "many" / f"{number}.txt")
    assert "more than 10 files" in refusal(tmp_path).reason


def test_links_and_special_files_are_never_opened(tmp_path: Path) -> None:
    """A link to a solution or to nowhere, a pipe and a linked folder are refused; the others are read."""
    secret = notebook(tmp_path / "secret" / "solution.ipynb")
    folder = tmp_path / "class"
    for name in ("link", "nowhere", "pipe", "good"):
        (folder / name).mkdir(parents=True)
    (folder / "link" / "a.ipynb").symlink_to(secret)
    (folder / "nowhere" / "a.ipynb").symlink_to("/nonexistent")
    os.mkfifo(folder / "pipe" / "a.ipynb")
    (folder / "whole").symlink_to(secret.parent)
    (folder / "itself").symlink_to(folder / "itself")
    notebook(folder / "good" / "a.ipynb")
    (folder / "good" / "loop").symlink_to(folder)
    results = {one.learner: one for one in read(folder)}
    assert isinstance(results.pop("good"), Submission)
    for result in results.values():
        assert isinstance(result, Result)
        assert (result.state, result.whose, "never opened" in result.reason) == (
            State.NOT_GRADED,
            LEARNER,
            True,
        )
    assert [*results] == ["itself", "link", "nowhere", "pipe", "whole"]


def test_two_notebooks_of_one_lab_need_a_person(tmp_path: Path) -> None:
    """Nobody but a person can tell which one counts, and both are named."""
    notebook(tmp_path / "ada" / "a.ipynb")
    notebook(tmp_path / "ada" / "copy" / "b.ipynb")
    result = refusal(tmp_path)
    assert (result.lab, result.state, result.whose) == (LAB, State.NEEDS_A_PERSON, LEARNER)
    assert "a.ipynb, copy/b.ipynb" in result.reason


@pytest.mark.parametrize(
    "names",
    [("Ada", "ada"), ("Änne", unicodedata.normalize("NFD", "Änne")), ("Straße", "STRASSE"), ("ﬁn", "fin")],
)
def test_two_folders_with_one_name_need_a_person(names: tuple[str, str], tmp_path: Path) -> None:
    """Names that differ only in case or in Unicode's forms are not graded under each other's name."""
    for name in (*names, "other"):
        notebook(tmp_path / name / "a.ipynb")
    results = [one for one in read(tmp_path) if isinstance(one, Result)]
    assert [(one.learner, one.state, one.whose) for one in results] == [
        (name, State.NEEDS_A_PERSON, "") for name in sorted(names)
    ]


def test_a_name_that_is_no_utf_8_is_read(tmp_path: Path) -> None:
    """A folder named in another encoding gets a name that can be stored."""
    notebook(Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller")) / "a.ipynb")
    assert only(tmp_path).learner == "M\N{REPLACEMENT CHARACTER}ller"


def test_text_that_no_database_can_hold_is_replaced(tmp_path: Path) -> None:
    """NUL and halves of characters in a source do not stop a batch when it is stored."""
    notebook(tmp_path / "ada" / "a.ipynb", [("a", "x\0y"), ("b", "PLACE")])
    path = tmp_path / "ada" / "a.ipynb"
    path.write_text(path.read_text().replace("PLACE", "\\ud800"))
    submission = only(tmp_path)
    assert [cell.source for cell in submission.cells] == [
        "x\N{REPLACEMENT CHARACTER}y",
        "\N{REPLACEMENT CHARACTER}",
    ]


def test_an_empty_folder_and_no_folder(tmp_path: Path) -> None:
    """A learner without a notebook is the learner's own matter; a class that is not there is an error."""
    (tmp_path / "ada").mkdir()
    result = refusal(tmp_path)
    assert (result.lab, result.state, result.whose) == ("", State.NOT_GRADED, LEARNER)
    with pytest.raises(LabError, match="one folder a learner"):
        read(tmp_path / "nowhere")


def test_a_fault_of_our_own_is_labkits_and_does_not_stop_the_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one learner, the next one is read."""
    notebook(tmp_path / "ada" / "a.ipynb")
    notebook(tmp_path / "bob" / "a.ipynb")
    looked = _submission._notebooks

    def fail(folder: Path) -> Iterator[Path]:
        if folder.name == "ada":
            raise MemoryError
        return looked(folder)

    monkeypatch.setattr(_submission, "_notebooks", fail)
    broken, good = read(tmp_path)
    assert isinstance(broken, Result)
    assert (broken.state, broken.whose) == (State.NOT_GRADED, LABKIT)
    assert isinstance(good, Submission)


# The artifact database


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return the artifact database of a workspace with answers for two labs."""
    folder = tmp_path / "class" / "ada" / ".labkit"
    notebook(folder.parent / "labs" / "a.ipynb")
    folder.mkdir()
    with ArtifactDatabase.open(folder / "artifacts.db") as artifacts:
        for lab, answer in ((LAB, "first"), (LAB, "<b>5 of 50</b>"), ("other", "no")):
            artifacts.record(
                Kind.REFLECTED, Subject(f"lab/{lab}", ""), name="Q3", question="?", answer=answer
            )
    return folder / "artifacts.db"


def test_answers_come_from_the_workspaces_artifact_database(database: Path, tmp_path: Path) -> None:
    """The last answer to a question of this lab is handed on, with the key by which all was verified."""
    submission = only(tmp_path / "class")
    assert submission.answers == {"Q3": "<b>5 of 50</b>"}
    assert submission.public_key == database.with_suffix(".pub").read_text().strip()
    assert submission.artifacts == database


def test_a_database_beside_the_notebook_is_nearer(database: Path, tmp_path: Path) -> None:
    """A copy beside the notebook, without its key, gives the answers and no key."""
    shutil.copy(database, tmp_path / "class" / "ada" / "labs" / "artifacts.db")
    submission = only(tmp_path / "class")
    assert (submission.answers, submission.public_key) == ({"Q3": "<b>5 of 50</b>"}, "")


def test_the_newest_facts_in_the_wal_file_are_read(database: Path, tmp_path: Path) -> None:
    """A copy that was made while the database was open has its newest facts in a second file."""
    with ArtifactDatabase.open(database) as artifacts:
        artifacts.record(Kind.REFLECTED, Subject(f"lab/{LAB}", ""), name="Q3", question="?", answer="newest")
        folder = tmp_path / "handed in" / "ada"
        shutil.copytree(tmp_path / "class" / "ada", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any(path.name.endswith("-wal") for path in before)
    assert only(folder.parent).answers == {"Q3": "newest"}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


EDITS = {
    "an answer": ("UPDATE fact SET payload = replace(payload, '5 of 50', '0 of 50')", "row 2: payload"),
    "a fact removed": ("DELETE FROM fact WHERE id = 1", "row 1: deleted"),
    "another table": ("CREATE TABLE more (a)", "tables"),
    "a view in a table's place": (
        "ALTER TABLE fact RENAME TO f; CREATE VIEW fact AS SELECT * FROM f",
        "tables",
    ),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON fact BEGIN DELETE FROM fact; END", "tables"),
    "no facts": ("DROP TABLE fact", "tables"),
    "a value of no text": ("UPDATE fact SET payload = x'00ff' WHERE id = 2", "bytes"),
    "a huge value": ("UPDATE fact SET payload = zeroblob(5000000) WHERE id = 2", "too big"),
    "a predicate of no object": (
        "UPDATE fact SET payload = json_set(payload, '$.predicate', json('[1]')) WHERE id = 2",
        "row 2: payload",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_database_needs_a_person(edit: str, database: Path, tmp_path: Path) -> None:
    """What was changed since it was signed, or is no database of labkit's, is told and never believed."""
    change, found = EDITS[edit]
    with sqlite3.connect(database) as connection:
        connection.executescript(change)
    connection.close()
    result = refusal(tmp_path / "class")
    assert (result.lab, result.state, result.whose) == (LAB, State.NEEDS_A_PERSON, LEARNER)
    assert result.reason.startswith(".labkit/artifacts.db: ")
    assert found in result.reason


def test_a_fact_that_nobody_signed_gives_no_answer_when_it_has_another_shape(
    database: Path, tmp_path: Path
) -> None:
    """Without a key the answers are read all the same, and a fact of another shape has none."""
    database.with_suffix(".pub").unlink()
    with sqlite3.connect(database) as connection:
        connection.execute(EDITS["a predicate of no object"][0])
    connection.close()
    assert only(tmp_path / "class").answers == {"Q3": "first"}


def test_a_database_signed_by_another_key_needs_a_person(database: Path, tmp_path: Path) -> None:
    """The database of another learner under one's own key is not verified by it."""
    with ArtifactDatabase.open(tmp_path / "bob.db"):
        shutil.copy(tmp_path / "bob.pub", database.with_suffix(".pub"))
    assert "row 1: payload or signature changed" in refusal(tmp_path / "class").reason


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_needs_a_person(content: bytes, database: Path, tmp_path: Path) -> None:
    """A broken artifact database is a reason, and the class is read on."""
    notebook(tmp_path / "class" / "bob" / "a.ipynb")
    database.write_bytes(content)
    broken, good = read(tmp_path / "class")
    assert isinstance(broken, Result)
    assert broken.state is State.NEEDS_A_PERSON
    assert isinstance(good, Submission)


def test_a_linked_database_or_key_is_never_opened(database: Path, tmp_path: Path) -> None:
    """A link in the database's place, or in the key's, is a reason."""
    key = database.with_suffix(".pub")
    key.rename(tmp_path / "key")
    key.symlink_to(tmp_path / "key")
    assert "never opened" in refusal(tmp_path / "class").reason
    key.unlink()
    database.rename(tmp_path / "artifacts.db")
    database.symlink_to(tmp_path / "artifacts.db")
    assert "never opened" in refusal(tmp_path / "class").reason


def test_a_question_without_end_is_broken_off(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question to a database of somebody else has an end, however large its tables are."""
    monkeypatch.setattr("labkit.artifacts._handed_in.STEPS", 1)
    monkeypatch.setattr("labkit.artifacts._handed_in.STEPS_EACH", 10)
    with handed_in(database) as artifacts, pytest.raises(LabError, match="interrupted"):
        artifacts.history(Kind.REFLECTED)


def test_no_long_value_is_parsed() -> None:
    """A value beyond its limit is an error before it becomes an object."""
    document = b'{"a": "' + b"x" * 5000 + b'"}'
    span = members(document, (0, len(document)))["a"]
    with pytest.raises(ValueError, match="1,000 are the most"):
        value(document, span, 1_000)
