"""Runs locust users in a closed model, as locust itself does. Imported in the child process only."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from socket import gaierror, getaddrinfo
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import gevent
import locust
from gevent.event import Event
from locust.argument_parser import get_parser
from locust.env import Environment
from locust.util.load_locustfile import is_shape_class, is_user_class, load_locustfile

from labkit.errors import LabError
from labkit.load._listener import Listener
from labkit.load._recorder import Recorder
from labkit.load._target import is_allowed
from labkit.load._timer import Timer
from labkit.load._users import Users, check_users

_LAG_EVERY_S = 0.05


def load_users(users: Users, url: str) -> Environment:
    """Return locust's environment with the users' classes, their shape and their host.

    :raises LabError: when a locustfile cannot be imported or holds no user for this host.
    """
    classes, shapes = _classes(users)
    check_users(classes, users.hosts)
    if len(shapes) > 1:
        names = ", ".join(shape.__name__ for shape in shapes)
        raise LabError("at most one LoadTestShape", names, "leave one of them")
    options = get_parser(default_config_files=[]).parse_args(
        ["--headless", "--host", url, "--users", str(users.users), "--spawn-rate", str(users.spawn_rate)]
    )
    confine({urlsplit(url).hostname or "", *users.hosts})
    environment = Environment(
        user_classes=list(classes),
        shape_class=shapes[0]() if shapes else None,
        events=locust.events,
        host=url,
        stop_timeout=users.timeout_s,
        parsed_options=options,
    )
    environment.create_local_runner()
    return environment


def _classes(users: Users) -> tuple[Sequence[type], Sequence[type]]:
    """Return the User classes and the shapes."""
    if not users.locustfile:
        runnable = [one for one in users.classes if is_user_class(one)]
        return runnable, [one for one in users.classes if is_shape_class(one)]
    try:
        users_by_name, shapes = load_locustfile(users.locustfile)
    except (Exception, SystemExit) as error:
        name = Path(users.locustfile).name
        next_step = f"correct it; locust -f {name} --list shows the whole traceback"
        raise LabError(
            f"a locustfile that can be imported: {name}", f"{type(error).__name__}: {error}", next_step
        ) from error
    return list(users_by_name.values()), [type(shape) for shape in shapes]


def confine(hosts: set[str]) -> None:
    """Let this process connect to this machine and to hosts only, whatever URL a task writes.

    An audit hook (PEP 578) sees every connection, of whichever client; it cannot be removed.
    """
    addresses = {address for host in hosts for address in _addresses(host)}

    def refuse_elsewhere(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            address = str(arguments[1][0])
            if not is_allowed(address, addresses):
                message = f"a load on {address}, which is not this machine"
                raise PermissionError(1, message)

    sys.addaudithook(refuse_elsewhere)


def _addresses(host: str) -> set[str]:
    try:
        return {host, *(str(entry[4][0]) for entry in getaddrinfo(host, None))}
    except gaierror:
        return {host}


class Crowd:
    """The users at work, from their start to their end."""

    def __init__(self, environment: Environment, users: Users, recorder: Recorder, stop: Event) -> None:
        self._environment, self._users, self._recorder, self._stop = environment, users, recorder, stop
        Listener(environment, recorder)
        # Each exception is recorded; its traceback beside it would fill the disk.
        logging.disable(logging.CRITICAL)

    def run(self) -> None:
        """Run the users until their time is over, their shape ends, or somebody stops them."""
        runner, events = self._environment.runner, self._environment.events
        assert runner  # noqa: S101 - made by load_users
        ended = Event()
        events.test_stop.add_listener(lambda **_: ended.set())  # type: ignore[no-untyped-call] # locust's
        events.init.fire(environment=self._environment, runner=runner, web_ui=None)  # type: ignore[no-untyped-call] # locust's
        self._recorder.start_s = perf_counter()
        if self._environment.shape_class:
            runner.start_shape()
        else:
            runner.start(self._users.users, self._users.spawn_rate)
        clock = gevent.spawn(self._measure_lag)
        gevent.wait([self._stop, ended], timeout=self._users.duration_s, count=1)
        runner.stop()
        clock.kill()

    def _measure_lag(self) -> None:
        """Record how late a timer rings, since the requests of these users have no planned time."""
        timer = Timer()
        while True:
            due = perf_counter() + _LAG_EVERY_S
            timer.sleep(_LAG_EVERY_S)
            self._recorder.lag(max(0.0, perf_counter() - due))
