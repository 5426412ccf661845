"""Learner copies: nothing that a learner should find out alone is in them."""

import posixpath
import re
from pathlib import Path, PurePosixPath

import nbformat
import pytest

from labkit.errors import LabError
from labkit.grading import learner_notebooks, release, release_notebook
from labkit.grading._thread import GLOSSARY, INDEX, glossary, link_words

SOLVED = """\
def price(cents):
    ### BEGIN SOLUTION
    return cents - 1
    ### END SOLUTION

with lab.check("price"):
    assert price(2) == 1, "one less"
    ### BEGIN HIDDEN TESTS
    assert price(10) == 9, "one less"
    assert price(1) == 0, "one less"
    ### END HIDDEN TESTS"""


def notebook(path: Path, source: str) -> Path:
    """Write a notebook with one executed cell."""
    cell = nbformat.v4.new_code_cell(source, id="one", execution_count=3)
    cell.outputs = [nbformat.v4.new_output("stream", text="42")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_solutions_and_hidden_tests_are_out_and_the_number_of_hidden_tests_is_told(tmp_path: Path) -> None:
    """A learner sees a line to fill and how many more checks run when graded."""
    copy = release_notebook(notebook(tmp_path / "a.ipynb", SOLVED)).decode()
    source = nbformat.reads(copy, as_version=4).cells[0].source
    assert "    ...  # yours to write" in source
    assert "# 2 more checks run when graded" in source
    assert "cents - 1" not in copy
    assert "price(10)" not in copy


def test_outputs_are_out_and_cell_ids_stay(tmp_path: Path) -> None:
    """A learner copy has no outputs, and its cells can be found by id."""
    cell = nbformat.reads(release_notebook(notebook(tmp_path / "a.ipynb", "1 + 1")), as_version=4).cells[0]
    assert (cell.outputs, cell.execution_count, cell.id) == ([], None, "one")


def test_a_released_copy_is_released_to_the_same_bytes(tmp_path: Path) -> None:
    """Releasing twice, or releasing a learner copy, changes no byte."""
    once = release_notebook(notebook(tmp_path / "a.ipynb", SOLVED))
    (tmp_path / "b.ipynb").write_bytes(once)
    assert release_notebook(tmp_path / "b.ipynb") == once


def test_a_marker_without_its_partner_is_an_error(tmp_path: Path) -> None:
    """A solution that would leak because a marker is missing stops the release."""
    with pytest.raises(LabError, match="END"):
        release_notebook(notebook(tmp_path / "a.ipynb", "### BEGIN SOLUTION\nsecret = 1"))


def test_a_file_that_is_no_notebook_is_an_error(tmp_path: Path) -> None:
    """A broken file is named in the error."""
    (tmp_path / "a.ipynb").write_text("no JSON")
    with pytest.raises(LabError, match=r"a\.ipynb"):
        release_notebook(tmp_path / "a.ipynb")


def test_the_courses_labs_are_released_under_their_places() -> None:
    """Every lab of the course has a learner copy, by its path."""
    assert "labs/0-overview/01-one-change-to-production.ipynb" in learner_notebooks()


def texts(content: bytes) -> str:
    """Return the running text of a notebook."""
    cells = nbformat.reads(content.decode(), as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_every_link_of_the_thread_leads_to_a_copy_or_a_word() -> None:
    """From each lab one gets on, back, to the map and to the words; no link leads nowhere."""
    copies = learner_notebooks()
    words = {
        word.replace(" ", "-") for word in re.findall(r"^### (.+)$", texts(copies[GLOSSARY]), re.MULTILINE)
    }
    folders = {name: PurePosixPath(name).parent for name in copies}
    for name, content in copies.items():
        for target in re.findall(r"\]\(([^)]+\.ipynb[^)]*)\)", texts(content)):
            path, _, word = target.partition("#")
            assert posixpath.normpath(folders[name] / path) in copies, (name, target)
            assert not word or word in words, (name, target)
    assert texts(copies[INDEX]).count(".ipynb)") == len(copies) - 1
    labs = [name for name in copies if name not in {INDEX, GLOSSARY}]
    for name in labs:
        assert "[All labs](../index.ipynb)" in texts(copies[name])
    assert "**Next:**" in texts(copies[labs[0]])
    assert "This was the last lab." in texts(copies[labs[-1]])


def test_kind_and_level_of_the_exercises_are_told(tmp_path: Path) -> None:
    """A learner reads them at the lab's beginning and on the map; a lab without any says nothing."""
    folder = tmp_path / "labs" / "1-part"
    folder.mkdir(parents=True)
    index = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("", id="map")])
    nbformat.write(index, tmp_path / INDEX)
    for name, exercises in (("01-one", [{"kind": "find", "level": 2}]), ("02-two", [])):
        lab = {"id": name[3:], "rows": ["O1"], "minutes": {"read": 20}, "exercises": exercises}
        cells = [nbformat.v4.new_markdown_cell(f"# Lab {name}")]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"labkit": lab})
        nbformat.write(notebook, folder / f"{name}.ipynb")
    copies = learner_notebooks(tmp_path)
    assert "Exercise: find the fault, level 2 of 3." in texts(copies["labs/1-part/01-one.ipynb"])
    assert "Exercise" not in texts(copies["labs/1-part/02-two.ipynb"])
    assert "| 20 | O1 | find the fault, level 2 of 3 |" in texts(copies[INDEX])


def test_the_glossary_has_only_words_that_a_lab_uses() -> None:
    """A word that was taken out of the labs leaves the glossary too."""
    course = Path(__file__).parents[1]
    cells = (nbformat.read(path, as_version=4).cells for path in course.glob("labs/[0-9]*/*.ipynb"))
    used = "\n".join(cell.source for lab in cells for cell in lab).lower()
    assert [word for word in glossary(course) if word.lower() not in used] == []


def test_a_word_is_linked_once_and_never_inside_code_links_or_headings() -> None:
    """The first place in running text counts, also in the plural; a longer word is not taken for its part."""
    text = "# A stub\n\n`stub` [stub](a.md) Stubs and stubborn, a stub, a unit test."
    found = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    link_words(found, {"stub": "…", "test": "…", "unit test": "…"})
    assert found.cells[0].source == (
        "# A stub\n\n`stub` [stub](a.md) [Stubs](../glossary.ipynb#stub) and stubborn, a stub, "
        "a [unit test](../glossary.ipynb#unit-test)."
    )


def test_what_tells_too_much_is_folded(tmp_path: Path) -> None:
    """Sources of predictions, hints, checks and reflections are hidden in the copy, others are not."""
    cells = [nbformat.v4.new_code_cell(source) for source in ("lab.hint('x')", "run()", "guess = 1")]
    cells[2].metadata["tags"] = ["predict"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    copy = nbformat.reads(release_notebook(tmp_path / "a.ipynb").decode(), as_version=4)
    assert [bool(cell.metadata.get("jupyter", {}).get("source_hidden")) for cell in copy.cells] == [
        True,
        False,
        True,
    ]


def test_what_wrong_options_stand_for_is_left_out(tmp_path: Path) -> None:
    """The misconceptions in a prediction's metadata are for instructors: they would give the answer away."""
    cell = nbformat.v4.new_code_cell("guess = lab.predict('n', 'How many?', ['1', '2'])", id="one")
    cell.metadata["labkit"] = {"misconceptions": {"n": {"2": "One is counted twice."}}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    copy = release_notebook(tmp_path / "a.ipynb").decode()
    assert "misconceptions" not in copy
    assert "counted twice" not in copy


def test_a_course_is_released_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Every lab of a folder gets its copy below the destination; one that is wrong stops them all."""
    folder = tmp_path / "course" / "labs" / "1-first"
    folder.mkdir(parents=True)
    notebook(folder / "a.ipynb", SOLVED)
    (copy,) = release(tmp_path / "course", tmp_path / "out")
    assert copy.relative_to(tmp_path / "out").as_posix() == "labs/1-first/a.ipynb"
    notebook(folder / "b.ipynb", "### END SOLUTION")
    with pytest.raises(LabError, match=r"b\.ipynb"):
        release(tmp_path / "course", tmp_path / "second")
    assert not (tmp_path / "second").exists()
