"""Deployment: N instances behind the load balancer, and the strategies that replace them while they serve."""

from labkit.deployment._blue_green import blue_green, roll_back
from labkit.deployment._canary import canary
from labkit.deployment._control import Control
from labkit.deployment._evidence import Evidence
from labkit.deployment._fleet import Fleet
from labkit.deployment._groups import Group, discovery, everybody, group, share, users
from labkit.deployment._image import image_of
from labkit.deployment._launch import launch, retire
from labkit.deployment._lifetimes import InstanceLifetime, instance_seconds, lifetimes
from labkit.deployment._order import ReplacementOrder, idle_first, newest_first, oldest_first
from labkit.deployment._reconcile import reconcile
from labkit.deployment._record import latest, status
from labkit.deployment._registry import STRATEGIES, Strategy, strategy
from labkit.deployment._replacement import Replacement
from labkit.deployment._rolling import roll_forward, rolling
from labkit.deployment._scale import scale
from labkit.deployment._steps import Deployment, Result, Status, Step, StepState
from labkit.deployment._strategy import DeploymentRun, Health
from labkit.deployment._watch import (
    OBJECTIVE,
    Judge,
    WatchLimits,
    WatchOutcome,
    WatchResult,
    overdue,
    watch,
    within_limits,
)

__all__ = [
    "OBJECTIVE",
    "STRATEGIES",
    "Control",
    "Deployment",
    "DeploymentRun",
    "Evidence",
    "Fleet",
    "Group",
    "Health",
    "InstanceLifetime",
    "Judge",
    "Replacement",
    "ReplacementOrder",
    "Result",
    "Status",
    "Step",
    "StepState",
    "Strategy",
    "WatchLimits",
    "WatchOutcome",
    "WatchResult",
    "blue_green",
    "canary",
    "discovery",
    "everybody",
    "group",
    "idle_first",
    "image_of",
    "instance_seconds",
    "latest",
    "launch",
    "lifetimes",
    "newest_first",
    "oldest_first",
    "overdue",
    "reconcile",
    "retire",
    "roll_back",
    "roll_forward",
    "rolling",
    "scale",
    "share",
    "status",
    "strategy",
    "users",
    "watch",
    "within_limits",
]
