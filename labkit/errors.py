"""The one error type for users: what was expected, what was seen, and the next step.

LabError     a failure that the user can fix
  NoAnswer   somebody does not answer; a library that expects a ConnectionError takes it as one
"""


class LabError(Exception):
    """A failure that the user can fix.

    It renders as three short lines in a terminal and in a notebook, never as a traceback, because a learner
    who reads a traceback looks for the fault in labkit, not in what was asked of it.

    expected, seen and next_step are full sentences or phrases without a final full stop.
    """

    def __init__(self, expected: str, seen: str, next_step: str) -> None:
        """Keep the three parts, so that a caller can render them differently."""
        super().__init__(expected, seen, next_step)
        self.expected = expected
        self.seen = seen
        self.next_step = next_step

    def __str__(self) -> str:
        """Return the three parts, one a line."""
        return f"expected: {self.expected}\nseen:     {self.seen}\nnext:     {self.next_step}"

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints in place of a traceback (IPython's own hook for exceptions)."""
        return str(self).splitlines()


class NoAnswer(LabError, ConnectionError):
    """Somebody who should answer does not: a server, a container, a coordinator.

    It is a ConnectionError too, so that code that retries what is not reachable needs to know nothing of it.
    """
