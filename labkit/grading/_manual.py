"""What a person has to decide: the answers with an undecided row, one question after the other."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from labkit.errors import LabError
from labkit.grading._gradebook import Answer, Gradebook
from labkit.grading._rubric import Question, questions
from labkit.widgets import AnswerToJudge


def undecided(gradebook: Gradebook, asked: Iterable[Question]) -> Iterator[tuple[Question, Answer]]:
    """Yield the answers that have an undecided row, with their question, in an order that tells no names."""
    for question in asked:
        for answer in gradebook.answers(question):
            if question.mark(answer.decisions).undecided:
                yield question, answer


def answers_to_judge(gradebook: Gradebook, name: str | None = None) -> Iterator[AnswerToJudge]:
    """Yield the undecided answers for a RubricForm; name is LAB.QUESTION, None takes all questions.

    :raises LabError: when there is no such question with a rubric.
    """
    known = {f"{one.lab}.{one.name}": one for one in questions()}
    if name is not None and name not in known:
        raise LabError(f"one of the questions {', '.join(known)}", repr(name), "name one of them")
    asked = known.values() if name is None else [known[name]]
    return (_to_judge(gradebook, *pair) for pair in undecided(gradebook, asked))


def _to_judge(gradebook: Gradebook, question: Question, answer: Answer) -> AnswerToJudge:
    rows = [(row.asks, row.mandatory, answer.decisions.get(row.asks)) for row in question.rows]
    title = f"{question.lab}, question {question.name}"
    record = partial(_record, gradebook, question, answer)
    return AnswerToJudge(title, question.model_answer, answer.text, rows, record)


def _record(
    gradebook: Gradebook,
    question: Question,
    answer: Answer,
    decisions: Mapping[str, bool | None],
    comment: str,
) -> None:
    gradebook.decide(question, answer, decisions, comment=comment)
