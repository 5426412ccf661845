"""A container and its verbs: start, wait, run a command, copy files, read the log, break, remove.

`Element` is testcontainers' `DockerContainer`, bound to a namespace: the names, labels and network of one
environment, on the engine's own connection.
"""

from labkit.containers._adopt import Container, adopt
from labkit.containers._element import Element
from labkit.containers._errors import ENGINE_ERRORS, NameTaken, NotReady, refusals, ryuk_missing
from labkit.containers._info import ContainerInfo
from labkit.containers._logs import read_logs
from labkit.containers._namespace import SECRET, Namespace
from labkit.containers._wait import SERVER_S, Answers, Deadline, listens, responds, succeeds

__all__ = [
    "ENGINE_ERRORS",
    "SECRET",
    "SERVER_S",
    "Answers",
    "Container",
    "ContainerInfo",
    "Deadline",
    "Element",
    "NameTaken",
    "Namespace",
    "NotReady",
    "adopt",
    "listens",
    "read_logs",
    "refusals",
    "responds",
    "ryuk_missing",
    "succeeds",
]
