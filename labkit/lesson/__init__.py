"""What a notebook calls: open a lab, predict, compare, check, take a hint, reflect, close.

lab = lesson.open("one-change-to-production")
guess = lab.predict("seconds", "How long will it take?", ["under 1 minute", "over 1 minute"])
lab.compare(guess, "over 1 minute" if seconds > 60 else "under 1 minute", f"{seconds:.0f} s")
with lab.check("what runs"):
    assert answer == expected, "ask the artifact database"
lab.close()

`lesson.open` has the name of Python's own `open`, because a notebook opens a lab as it opens a file. It hides
nothing: notebooks write `lesson.open(…)` and never import the name itself.
"""

from labkit.lesson._ask import Response, ask, raised
from labkit.lesson._check import CheckFailed
from labkit.lesson._guess import Guess, up_to
from labkit.lesson._index import index
from labkit.lesson._lab import Lab, open  # noqa: A004 - see the module's docstring
from labkit.lesson._measured import Measured, NotMeasured
from labkit.lesson._missing import missing_name
from labkit.lesson._run_workspace import RunWorkspace

__all__ = [
    "CheckFailed",
    "Guess",
    "Lab",
    "Measured",
    "NotMeasured",
    "Response",
    "RunWorkspace",
    "ask",
    "index",
    "missing_name",
    "open",
    "raised",
    "up_to",
]
