"""Model checking: every order in which a protocol's steps can happen, and the shortest that is wrong.

A `Model` says how it begins, which steps a state allows, and what is wrong with a state. `explore` visits
every state that can be reached, so "holds" means in all of them, and a counterexample is a shortest one.
"""

from labkit.model._explore import Action, Exploration, Model, explore
from labkit.model._toggles import SameInstant, Stamped, TwoPhase, Watch
from labkit.model._upgrade import Upgrade

__all__ = [
    "Action",
    "Exploration",
    "Model",
    "SameInstant",
    "Stamped",
    "TwoPhase",
    "Upgrade",
    "Watch",
    "explore",
]
