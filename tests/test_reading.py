"""What counts as a sentence, a word and a minute of reading."""

from typing import Any

import nbformat
from reading import ASKED, ninetieth, reading_minutes, sentences, texts, words

TEXT = """\
# No sentence. None here.

It works, e.g. so. **Then** it fails: `a.b. C` is
gone! "Why?" `ask` says it.

| no. | Sentence |
|---|---|

- one [link. here](a.md)
- two – three. Four
1. five

```
No. Sentence.
```
"""


def test_sentences_are_those_of_running_text() -> None:
    """Headings, tables and code are none; an item of a list is one; code, a link and e.g. end none."""
    assert list(sentences(TEXT)) == [
        "It works, e.g so.",
        "**Then** it fails: Code is gone!",
        '"Why?',
        "Code says it.",
        "one link. here",
        "two – three.",
        "Four",
        "five",
    ]
    assert [words(sentence) for sentence in sentences(TEXT)] == [4, 6, 1, 3, 3, 2, 1, 1]


def notebook(*sources: str, hidden: bool = False) -> Any:
    """Return a notebook with a text and code cells."""
    cells = [nbformat.v4.new_markdown_cell("word " * 130)]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    for cell in cells:
        cell.metadata["jupyter"] = {"source_hidden": hidden}
    return nbformat.v4.new_notebook(cells=cells)


def test_questions_and_hints_are_read_too() -> None:
    """The question of a prediction or a reflection, also one that is put together, and each hint."""
    cells = ["x = lab.predict('n', f'How {1 + 1} ' 'many?', ['a'])", "!ls {a}\nlab.hint('one', 'two')"]
    assert list(texts(notebook(*cells)))[1:] == ["How  many?"]
    assert list(texts(notebook(*cells), ASKED | {"hint"}))[2:] == ["one", "two"]


def test_a_minute_has_130_words_or_8_visible_lines_of_code() -> None:
    """Folded cells and blank lines take no time."""
    assert reading_minutes(notebook("a = 1\n\n" * 8)) == 2
    assert reading_minutes(notebook("a = 1\n" * 8, hidden=True)) == 1


def test_nine_of_ten_are_not_above_the_ninetieth() -> None:
    """The 90th percentile of eleven numbers in order is the tenth."""
    assert ninetieth(range(11)) == 9
