"""Model checking: every order in which the steps of a protocol can happen, and the shortest that fails.

A `Model` gives its initial state, the steps that a state allows, and what is wrong with a state. `explore`
visits every state that can be reached. So "holds" is true of all states, and a counterexample is a shortest.
"""

from labkit.model._explore import Action, Exploration, Model, explore
from labkit.model._toggles import RevisionHeader, SameInstant, TwoPhase, WatchOnly
from labkit.model._upgrade import Upgrade

__all__ = [
    "Action",
    "Exploration",
    "Model",
    "RevisionHeader",
    "SameInstant",
    "TwoPhase",
    "Upgrade",
    "WatchOnly",
    "explore",
]
