"""What the stub of an external service answers: as system.toml writes it, or as it was recorded."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from labkit.errors import LabError
from labkit.system._table import Table

START = "start"
"""The state in which every stub begins."""

EXPECTED = '"METHOD /path" = {status = 200, body = {…}}, or a list of such answers'
MOST_DELAY_S = 60


def _is_json(value: Any) -> bool:  # noqa: ANN401 - TOML holds anything
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "status": ("a status from 200 to 599", lambda it: type(it) is int and it in range(200, 600)),
    "body": ("JSON, which has no dates", _is_json),
    "delay_s": (
        f"seconds, 0 to {MOST_DELAY_S}",
        lambda it: type(it) in {int, float} and 0 <= it <= MOST_DELAY_S,
    ),
    "cut": ("true or false", lambda it: type(it) is bool),
    "when": ("the name of a state", lambda it: type(it) is str),
    "then": ("the name of a state", lambda it: type(it) is str),
}


def answers(table: Table) -> dict[str, Any]:
    """Read the answers of a stub: "METHOD /path" to an answer, or to a list of answers for several states.

    An answer may have status, body (JSON), delay_s (seconds until it is given), cut (true: the connection
    ends in the middle of it), when (the stub's state in which it is given) and then (the state from now on).
    """
    for key, value in table.values().items():
        if problem := _problem(key, value):
            expected, seen = problem
            table.refuse(key, expected, seen, f"write {EXPECTED}")
    _check_states(table)
    return table.values()


def stub_answers(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return answers for a stub, each checked as system.toml's are; what its states lead to is not."""
    for key, value in written.items():
        if problem := _problem(key, value):
            expected, seen = problem
            raise LabError(f"the answer to {key}: {expected}", repr(seen), f"write {EXPECTED}")
    return dict(written)


def _each(value: Any) -> list[Any]:  # noqa: ANN401 - as above
    """Return the answers to one key as a list, in the order in which they are tried."""
    return value if isinstance(value, list) else [value]


def _problem(key: str, value: Any) -> tuple[str, object] | None:  # noqa: ANN401 - as above
    """Return what was expected and seen; None when the answers can be given."""
    method, _, path = key.partition(" ")
    whole = method.isupper() and path.startswith("/") and value != []
    for answer in _each(value):
        if not whole or not isinstance(answer, Mapping):
            return EXPECTED, value
        for name, given in answer.items():
            if name not in CHECKS:
                return f"answers with the keys {', '.join(CHECKS)}", name
            words, fits = CHECKS[name]
            if not fits(given):
                return f"{name}: {words}", given
    return None if whole else (EXPECTED, value)


def _check_states(table: Table) -> None:
    """Refuse an answer that is never given: behind one of all states, or in a state that nothing leads to."""
    told = [(key, answer) for key, value in table.values().items() for answer in _each(value)]
    reached = {START, *(answer["then"] for _, answer in told if "then" in answer)}
    for key, answer in told:
        if answer.get("when", START) not in reached:
            expected = f"when: a state that a then leads to, one of {', '.join(sorted(reached))}"
            table.refuse(key, expected, answer["when"], "correct when, or write then where the state begins")
    for key, value in table.values().items():
        if any("when" not in answer for answer in _each(value)[:-1]):
            expected = "an answer without when as the last, because those after it are never given"
            table.refuse(key, expected, "one before the last", "write when at it, or move it to the end")


@dataclass(frozen=True)
class Recording:
    """What a real external service answered: "METHOD /path" to {status, body}, and when (UTC, ISO 8601)."""

    external: str
    recorded_at: str
    answers: Mapping[str, Any] = field(hash=False)

    def save(self, path: Path) -> None:
        """Write it as JSON, for `recording = "FILE"` at [external.NAME] in system.toml."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; a LabError for any other file."""
        try:
            made = cls(**json.loads(path.read_text(encoding="utf-8")))
            stub_answers(made.answers)
        except (OSError, ValueError, TypeError, AttributeError) as problem:
            mend = "record it again: environment.record(…).save(path)"
            raise LabError(f"a recording in {path.name}", str(problem), mend) from problem
        return made
