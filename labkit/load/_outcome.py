"""How a user's visit ended."""

from typing import Any

BROKEN_OFF = "broken off"
"""The outcome of a visit whose task raised an exception, or was still under way at the end of the load."""


def outcome(user: Any, value: object) -> None:  # noqa: ANN401 - a locust User or TaskSet; locust is not imported here
    """Count in `Measurement.outcomes` how a visit ended. A task calls it; with plain locust it does nothing.

    user is the locust user, or its task set; value is counted as text.
    """
    events = getattr(user, "user", user).environment.events
    if hook := getattr(events, "outcome", None):
        hook.fire(value=str(value))
