"""The labels that everything of labkit carries in the engine, and the names of labkit's images."""

from collections.abc import Mapping
from enum import StrEnum

BASE = "debian:bookworm-slim"
SERVERS = "labkit/servers:1"
PYTHON = "labkit/python:1"
BUILD = "labkit/build:1"
GRADER = "labkit/grader:1"


class Label(StrEnum):
    """What a container, network, volume or image of labkit says about itself."""

    WORKSPACE = "labkit.workspace"
    ENVIRONMENT = "labkit.environment"
    OWNER = "labkit.owner"
    STAGE = "labkit.stage"
    ROLE = "labkit.role"
    SERVICE = "labkit.service"
    VERSION = "labkit.version"
    SETTINGS = "labkit.settings"
    SOURCE = "labkit.source"
    RECIPE = "labkit.recipe"


def filters(labels: Mapping[str, str | None]) -> list[str]:
    """Return labels as the engine's filter takes them; None asks only that the label is there."""
    return [str(name) if value is None else f"{name}={value}" for name, value in labels.items()]
