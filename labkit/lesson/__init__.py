"""What a notebook calls: open a lab, predict, compare, check, take a hint, reflect, close.

lab = lesson.open("one-change-to-production")
guess = lab.predict("seconds", "How long will it take?", ["under 1 minute", "over 1 minute"])
lab.compare(guess, measured)
with lab.check("what runs"):
    assert answer == expected, "ask the artifact database"
lab.close()
"""

from labkit.lesson._ask import Answer, ask, raised
from labkit.lesson._check import CheckFailed
from labkit.lesson._lab import Guess, Lab, open  # noqa: A004 - the verb of the notebooks: lesson.open(…)

__all__ = ["Answer", "CheckFailed", "Guess", "Lab", "ask", "open", "raised"]
