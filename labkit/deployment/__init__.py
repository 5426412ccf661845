"""Deployment: N instances behind the load balancer, and the ways to replace them under way."""

from labkit.deployment._fleet import Fleet
from labkit.deployment._rolling import rolling
from labkit.deployment._steps import Deployment, State, Step
from labkit.deployment._watch import Limits, Outcome, Watch, watch

__all__ = ["Deployment", "Fleet", "Limits", "Outcome", "State", "Step", "Watch", "rolling", "watch"]
