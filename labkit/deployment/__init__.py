"""Deployment: N instances behind the load balancer, and the ways to replace them under way."""

from labkit.deployment._blue_green import blue_green, roll_back
from labkit.deployment._canary import canary
from labkit.deployment._control import Control
from labkit.deployment._evidence import Evidence
from labkit.deployment._fleet import Fleet
from labkit.deployment._groups import Group, discovery, everybody, group, share, users
from labkit.deployment._image import image_of
from labkit.deployment._order import Order, idle_first, newest_first, oldest_first
from labkit.deployment._record import status
from labkit.deployment._rolling import roll_forward, rolling
from labkit.deployment._scale import scale
from labkit.deployment._spans import Span, instance_seconds, spans
from labkit.deployment._steps import Deployment, Result, State, Status, Step
from labkit.deployment._watch import Limits, Outcome, Watch, watch

__all__ = [
    "Control",
    "Deployment",
    "Evidence",
    "Fleet",
    "Group",
    "Limits",
    "Order",
    "Outcome",
    "Result",
    "Span",
    "State",
    "Status",
    "Step",
    "Watch",
    "blue_green",
    "canary",
    "discovery",
    "everybody",
    "group",
    "idle_first",
    "image_of",
    "instance_seconds",
    "newest_first",
    "oldest_first",
    "roll_back",
    "roll_forward",
    "rolling",
    "scale",
    "share",
    "spans",
    "status",
    "users",
    "watch",
]
