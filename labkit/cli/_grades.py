"""`labkit grades`: the gradebook as CSV, the learners' feedback, and the rows that a person decides."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from labkit.cli._show import as_json, print_json, print_table, say
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.grading import Answer, Gradebook, Question

HELP = "numbers: these rows hold and the others do not, 0: none holds; Enter: later; c TEXT: comment; q: stop"


def _files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def _labs(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from labkit.workspace import course, labs  # noqa: PLC0415 - keeps `labkit --help` quick

    with suppress(LabError, OSError):
        return [one.slug for one in labs(course()) if one.slug.startswith(incomplete)]
    return []


def _questions(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from labkit.grading import questions  # noqa: PLC0415 - keeps `labkit --help` quick

    with suppress(LabError, OSError):
        return [name for one in questions() if (name := f"{one.lab}.{one.name}").startswith(incomplete)]
    return []


in_gradebook = click.option(
    "--gradebook",
    "location",
    default="gradebook.db",
    show_default=True,
    shell_complete=_files,
    help="A SQLite file, or the URL of a PostgreSQL database.",
)
of_lab = click.option(
    "--lab", metavar="LAB", shell_complete=_labs, help="Only this lab; default: all that were handed in."
)


@click.group()
def grades() -> None:
    """Take the points of a class out of the gradebook, and decide what only a person can."""


def _open(location: str) -> "Gradebook":
    """Open a gradebook that is there; a mistyped path makes none.

    :raises LabError: when there is none.
    """
    from labkit.grading import Gradebook  # noqa: PLC0415 - keeps `labkit --help` quick

    if "://" not in location and not Path(location).expanduser().is_file():
        next_step = "name the gradebook of `labkit grade`: --gradebook FILE"
        raise LabError("a gradebook", f"no file {location}", next_step)
    return Gradebook.open(location)


@grades.command()
@in_gradebook
@of_lab
@click.option(
    "--to", type=click.Path(path_type=Path, dir_okay=False), help="The file; default: standard output."
)
@as_json
def export(location: str, lab: str | None, to: Path | None, *, as_json: bool) -> None:
    """Write a line for each learner and lab as CSV (UTF-8). Cells that look like formulas begin with '.

    Points are empty, not 0, for what is not graded, and manual points while a row is undecided.

    Example: labkit grades export --lab canary --to canary.csv
    """
    from labkit import grading  # noqa: PLC0415 - keeps `labkit --help` quick

    with _open(location) as gradebook:
        lines = grading.grades(gradebook, lab)
        if as_json:
            print_json(list(lines))
        elif to is None:
            click.echo(grading.to_csv(lines).encode(), nl=False)
        else:
            say(f"written: {grading.write_csv(lines, to)}")


@grades.command()
@in_gradebook
@of_lab
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("feedback"),
    show_default=True,
    help="The folder for the pages.",
)
@as_json
def feedback(location: str, lab: str | None, to: Path, *, as_json: bool) -> None:
    """Write an HTML page for each learner. Nothing of hidden checks is in it but whether they passed.

    Example: labkit grades feedback --to feedback
    """
    from labkit import grading  # noqa: PLC0415 - keeps `labkit --help` quick

    with _open(location) as gradebook:
        pages = grading.write_feedback(gradebook, to, lab)
        if as_json:
            print_json([{"learner": learner, "page": page} for learner, page in pages])
        else:
            print_table(("learner", "page"), pages, empty="nobody has handed in anything yet")


@grades.command("next")
@click.argument("question", metavar="[LAB.QUESTION]", required=False, shell_complete=_questions)
@in_gradebook
@as_json
def next_rows(question: str | None, location: str, *, as_json: bool) -> None:
    """Decide the rows of the rubrics: one question across all learners, the rubric beside the answer.

    Answers come without names, and each decision is kept at once. Type the numbers of the rows that hold,
    such as 1 3 4. With --json, the next answer with an undecided row is printed, and nothing is asked.

    Example: labkit grades next canary.Q3
    """
    from labkit.grading import questions, undecided  # noqa: PLC0415 - keeps `labkit --help` quick

    known = {f"{one.lab}.{one.name}": one for one in questions()}
    if question is not None and question not in known:
        message = f"there is no question {question!r} with a rubric; there are: {', '.join(known)}"
        raise click.BadParameter(message, param_hint="LAB.QUESTION")
    with _open(location) as gradebook:
        chosen = [known[question]] if question else [*known.values()]
        left = undecided(gradebook, chosen)
        if as_json:
            first = next(left, None)
            print_json(None if first is None else _to_json(*first))
            return
        if not _ask(gradebook, left):
            say("stopped; what was decided is kept")
        else:
            say("no answer is left to decide")


@grades.command("new-key")
@click.argument("learner")
@in_gradebook
def new_key(learner: str, location: str) -> None:
    """Let LEARNER hand in with another key, as from a new workspace, when a person has looked.

    The next `labkit grade` keeps the key that it finds, and grades what waited because of it.

    Example: labkit grades new-key ada
    """
    with _open(location) as gradebook:
        gradebook.forget_key(learner)
        say(f"the next key of {learner} is kept: labkit grade FOLDER --gradebook {shlex.quote(location)}")


def _to_json(question: "Question", answer: "Answer") -> dict[str, Any]:
    rows = [vars(row) | {"decision": answer.decisions.get(row.asks)} for row in question.rows]
    return {"lab": question.lab, "question": question.name, "answer": answer.text, "rows": rows}


def _ask(gradebook: "Gradebook", left: "Iterator[tuple[Question, Answer]]") -> bool:
    """Show answer after answer and record what is typed; return whether the end was reached."""
    shown = None
    for question, answer in left:
        if question is not shown:
            say(f"\n{question.lab}, question {question.name}. One good answer:\n{question.model_answer}")
            say(f"\n{HELP}")
            shown = question
        say(f"\n--- answer\n{answer.text}\n--- an answer counts when it")
        for number, row in enumerate(question.rows, 1):
            decided = {True: "yes", False: "no ", None: " ? "}[answer.decisions.get(row.asks)]
            say(f"{number:>3} {decided} {row.asks}{' (needed)' if row.mandatory else ''}")
        if not _record(gradebook, question, answer):
            return False
    return True


def _record(gradebook: "Gradebook", question: "Question", answer: "Answer") -> bool:
    """Ask for the rows of one answer and record them; return whether to go on."""
    comment = ""
    while True:
        typed = click.prompt("rows", default="", show_default=False).strip()
        if typed in {"", "q"}:
            return typed == ""
        if typed.startswith("c "):
            comment = typed[2:].strip()
            continue
        held = _numbers(typed, len(question.rows))
        if held is None:
            say(f"not understood: {HELP}")
            continue
        decisions = {row.asks: number in held for number, row in enumerate(question.rows, 1)}
        gradebook.decide(question, answer, decisions, comment=comment)
        return True


def _numbers(typed: str, most: int) -> set[int] | None:
    """Return the numbers that were typed, up to most; {} for 0, None for anything else."""
    words = typed.replace(",", " ").split()
    if words == ["0"]:
        return set()
    numbers = {int(word) for word in words if word.isascii() and word.isdigit()}
    return numbers if len(numbers) == len(words) and numbers <= set(range(1, most + 1)) else None
