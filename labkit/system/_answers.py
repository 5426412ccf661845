"""What the stub of an external service answers: as system.toml writes it, or as it was recorded."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from labkit.errors import LabError
from labkit.system._table import TomlTable

START = "start"
"""The state in which every stub begins."""

EXPECTED = '"METHOD /path" = {status = 200, body = {…}}, or a list of such answers'
MOST_DELAY_S = 60


def _is_json(value: Any) -> bool:  # noqa: ANN401 - TOML holds anything
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


# Types are compared exactly: in Python true is an int, so isinstance would accept `status = true`.
CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "status": ("a status from 200 to 599", lambda value: type(value) is int and value in range(200, 600)),
    "body": ("JSON, which has no dates, nan or inf", _is_json),
    "delay_s": (
        f"seconds, 0 to {MOST_DELAY_S}",
        lambda value: type(value) in {int, float} and 0 <= value <= MOST_DELAY_S,
    ),
    "cut": ("true or false", lambda value: type(value) is bool),
    "when": ("the name of a state", lambda value: type(value) is str),
    "then": ("the name of a state", lambda value: type(value) is str),
}


def answers(table: TomlTable) -> dict[str, Any]:
    """Read the answers of a stub: "METHOD /path" to an answer, or to a list of answers for several states.

    An answer may have status, body (JSON), delay_s (seconds until it is given), cut (true: the connection
    ends in the middle of it), when (the stub's state in which it is given) and then (the state from now on).

    :raises LabError: when an answer is wrong, or is never given.
    """
    for key, value in table.values().items():
        if problem := _problem(key, value):
            expected, seen = problem
            table.refuse(key, expected, seen, f"write {EXPECTED}")
    _check_states(table)
    return table.values()


def stub_answers(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return answers for a stub, each checked as in system.toml; whether the states fit is not checked.

    :raises LabError: when an answer is wrong.
    """
    for key, value in written.items():
        if problem := _problem(key, value):
            expected, seen = problem
            raise LabError(f"the answer to {key}: {expected}", repr(seen), f"write {EXPECTED}")
    return dict(written)


def _each(value: Any) -> list[Any]:  # noqa: ANN401 - TOML holds anything
    """Return the answers to one key as a list, in the order in which they are tried."""
    return value if isinstance(value, list) else [value]


def _problem(key: str, value: Any) -> tuple[str, object] | None:  # noqa: ANN401 - TOML holds anything
    """Return what was expected and what was seen; None when the answers are right."""
    method, _, path = key.partition(" ")
    right = method.isupper() and path.startswith("/") and value != []
    for answer in _each(value):
        if not right or not isinstance(answer, Mapping):
            return EXPECTED, value
        for name, given in answer.items():
            if name not in CHECKS:
                return f"answers with the keys {', '.join(CHECKS)}", name
            expected, fits = CHECKS[name]
            if not fits(given):
                return f"{name}: {expected}", given
    return None if right else (EXPECTED, value)


def _check_states(table: TomlTable) -> None:
    """Refuse an answer that is never given.

    Either an answer for all states comes before it, or it is for a state to which no answer leads.
    """
    written = [(key, answer) for key, value in table.values().items() for answer in _each(value)]
    reached = {START, *(answer["then"] for _, answer in written if "then" in answer)}
    for key, answer in written:
        if answer.get("when", START) not in reached:
            expected = f"when: a state that a then leads to, one of {', '.join(sorted(reached))}"
            table.refuse(key, expected, answer["when"], "correct when, or write then where the state begins")
    for key, value in table.values().items():
        if any("when" not in answer for answer in _each(value)[:-1]):
            expected = "an answer without when as the last, because those after it are never given"
            table.refuse(key, expected, "one before the last", "give it a when, or move it to the end")


@dataclass(frozen=True)
class Recording:
    """What a real external service answered.

    answers maps "METHOD /path" to {status, body}. recorded_at is the time in UTC, as ISO 8601.
    """

    external: str
    recorded_at: str
    answers: Mapping[str, Any] = field(hash=False)

    def save(self, path: Path) -> None:
        """Write the recording as JSON, for `recording = "FILE"` at [external.NAME] in system.toml."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        :raises LabError: when the file is no such recording.
        """
        try:
            recording = cls(**json.loads(path.read_text(encoding="utf-8")))
            stub_answers(recording.answers)
        except (OSError, ValueError, TypeError, AttributeError) as problem:
            next_step = "record it again: environment.record(…).save(path)"
            raise LabError(f"a recording in {path.name}", str(problem), next_step) from problem
        return recording
