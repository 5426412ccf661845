"""Carts to be deployed in tests: the requests to them, their versions, and bad ones."""

import os

from labkit.deployment import Fleet
from labkit.load import Arrival, Request

CART = {"lines": [{"sku": "aspirin", "name": "Aspirin", "quantity": 2, "price_cents": 300}]}
TOTALS: dict[Arrival, float] = {Request("POST", "/totals", {"cart": CART}): 1}
NAME = f"labkit/test-{os.getpid()}-cart"
"""The images of this run of the tests: another at the same time has its own."""
N = 3
GRACE_S = 3
"""The grace time of these carts: short, because a test waits for it."""
SLOWER = r"\nimport time\nsoon = total_cents\ndef total_cents(*args): time.sleep(0.4); return soon(*args)\n"
BAD = {
    "ends": 'FROM labkit/python:1\nCMD ["false"]',
    "silent": 'FROM labkit/python:1\nCMD ["sleep", "600"]',
    "crashes": f'FROM {NAME}:v2\nCMD ["timeout", "5", "python3", "-m", "labkit.service", "service:app"]',
    "breaks": f"FROM {NAME}:v2\nUSER root\nRUN echo 'total_cents = None' >> pricing.py",
    "lies": f"FROM {NAME}:v2\nCMD env LABKIT_VERSION=v9 python3 -m labkit.service service:app",
    "drags": f"FROM {NAME}:v2\nUSER root\nRUN printf '{SLOWER}' >> pricing.py",
}


def version(image: str) -> str:
    """Return the version of one of these images."""
    return image.rpartition(":")[2]


def is_whole(fleet: Fleet, versions: dict[str, int]) -> bool:
    """Return whether these versions serve, and nothing else is left in the engine or in the balancer."""
    servers = fleet.environment.balancer.servers("cart")
    return (
        fleet.versions == versions
        and set(fleet.states.values()) == {"UP"}
        and set(servers) == set(fleet.states)
    )
