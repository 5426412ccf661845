"""A form that judges answers by yes/no rows: one answer after the other, the rubric beside it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import ipywidgets

from labkit.errors import LabError

DONE = "No answer is left to decide."
HOW = "Numbers of the rows that hold, such as 1 3 4; 0 for none"
BESIDE = {"display": "flex", "flex_flow": "row wrap", "grid_gap": "8px 24px"}
WRITTEN = "white-space:pre-wrap;line-height:1.4;overflow-wrap:anywhere"
COLUMN = {"flex": "1 1 320px", "width": "auto", "min_width": "0"}


@dataclass(frozen=True)
class AnswerToJudge:
    """One answer to a question, and the rows that it is judged by.

    rows are (what an answer does, whether that is needed, the decision: None is undecided). record gets the
    decisions by row, and a comment.
    """

    question: str
    model_answer: str
    text: str
    rows: Sequence[tuple[str, bool, bool | None]]
    record: Callable[[Mapping[str, bool | None], str], object] = field(repr=False)


class RubricForm(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """Shows answers one by one. Type the numbers of the rows that hold, or tick them, and press Record.

    Keys work in no other place than in their field: Tab leads from it to the comment and to Record, and
    Enter presses that.
    """

    def __init__(self, answers: Iterator[AnswerToJudge]) -> None:
        self._left, self._count = answers, 0
        self._answer: AnswerToJudge | None = None
        self.rows = ipywidgets.VBox(layout={"flex": "0 0 auto", "width": "auto"})
        self.numbers = ipywidgets.Text(placeholder="1 3 4", tooltip=HOW, layout={"width": "12em"})
        self.comment = ipywidgets.Text(placeholder="a comment for the learner", tooltip="a comment")
        self.recorder = ipywidgets.Button(
            description="Record", button_style="primary", tooltip="Record, and show the next answer"
        )
        self.later = ipywidgets.Button(description="Later", tooltip="Leave it undecided for now")
        self.shown, self.state = ipywidgets.HTML(layout=COLUMN), ipywidgets.HTML()
        self.title = ipywidgets.HTML()
        label = ipywidgets.HTML(f"<label>{HOW}</label>")
        buttons = ipywidgets.HBox([self.recorder, self.later])
        beside = ipywidgets.VBox([self.rows, label, self.numbers, self.comment, buttons], layout=COLUMN)
        self._form = ipywidgets.Box([self.shown, beside], layout=BESIDE)
        super().__init__([self.title, self._form, self.state])
        self.numbers.observe(self._tick, "value")
        self.recorder.on_click(lambda _: self._record())
        self.later.on_click(lambda _: self._next())
        self._next()

    @property
    def decisions(self) -> dict[str, bool]:
        """What is ticked now, by row."""
        boxes = [row.children[0] for row in self.rows.children]
        return (
            {}
            if self._answer is None
            else {asks: box.value for (asks, _, _), box in zip(self._answer.rows, boxes, strict=True)}
        )

    def _tick(self, _: object) -> None:
        """Tick the rows whose numbers are typed; anything else is told, and ticks nothing."""
        words = self.numbers.value.replace(",", " ").split()
        known = {str(number) for number in range(len(self.rows.children) + 1)}
        unknown = [word for word in words if word not in known]
        self.state.value = f"there is no row {escape(unknown[0])}" if unknown else ""
        for number, row in enumerate(self.rows.children, 1):
            row.children[0].value = not unknown and str(number) in words

    def _record(self) -> None:
        if self._answer is None:
            return
        if self.state.value.startswith("there is no row"):
            return
        try:
            self._answer.record(self.decisions, self.comment.value.strip())
        except LabError as fault:
            self.state.value = f"<pre>not recorded\n{escape(str(fault))}</pre>"
            return
        self._count += 1
        self._next()

    def _next(self) -> None:
        """Show the next answer; without one, say that none is left."""
        self._answer = next(self._left, None)
        counted = f"{self._count} decided" if self._count else ""
        if self._answer is None:
            self.title.value, self.state.value = f"<strong>{DONE}</strong>", counted
            self.children = [self.title, self.state]
            return
        self.numbers.value = self.comment.value = ""
        self.title.value = _title(self._answer)
        text = f'<div style="{WRITTEN}">{escape(self._answer.text)}</div>'
        self.shown.value = f"<strong>Answer</strong>{text}"
        self.rows.children = [_row(number, *row) for number, row in enumerate(self._answer.rows, 1)]
        self.state.value = counted
        self.numbers.focus()


def _title(answer: AnswerToJudge) -> str:
    model = f"<p>{escape(answer.model_answer)}</p>"
    details = f"<details><summary>One good answer</summary>{model}</details>"
    return f"<strong>{escape(answer.question)}</strong>{details}"


def _row(number: int, asks: str, needed: bool, decision: bool | None) -> ipywidgets.HBox:  # noqa: FBT001 - a row's parts
    words = f"{number}. {asks}{' (needed)' if needed else ''}"
    box = ipywidgets.Checkbox(
        value=decision is True, indent=False, tooltip=words, layout={"width": "auto", "flex": "0 0 auto"}
    )
    text = ipywidgets.HTML(
        f'<div style="line-height:1.4">{escape(words)}</div>', layout={"flex": "1 1 auto", "min_width": "0"}
    )
    return ipywidgets.HBox([box, text])
