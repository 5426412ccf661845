"""The container engine."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from weakref import finalize

from labkit._tar import Files
from labkit.engine import _claim, _inspect, _owned, _run
from labkit.engine._errors import NoEngine, NoPermission, answering
from labkit.engine._events import Events
from labkit.engine._inspect import Image
from labkit.engine._labels import Label
from labkit.engine._limits import OUTPUT, restricted
from labkit.engine._locate import Address, locate, probe
from labkit.engine._locked import Locked
from labkit.engine._owned import Owned
from labkit.engine._owner import Owner
from labkit.engine._packages import Package, packages, remembered
from labkit.engine._run import Completed
from labkit.engine._start import start
from labkit.system import Limits

if TYPE_CHECKING:
    from docker import DockerClient

CALL_TIMEOUT_S = 120
REMOVED_WITHIN_S = 30.0
POOL = 32
"""Connections kept open, because environments are created by many threads at once."""


class Engine:
    """A container engine that speaks the Docker API, from Engine.find or ensure. Threads may share it."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @classmethod
    def find(cls) -> Self:
        """Return the engine that DOCKER_HOST, the current docker context or the default socket names.

        Cheap: one connection is opened and closed.

        :raises NoPermission: when it is there, but this user may not use it.
        :raises NoEngine: when nothing listens.
        """
        address = locate()
        probe(address)
        return cls(address)

    @classmethod
    def ensure(cls, progress: Callable[..., Any] = lambda *_: None) -> Self:
        """Return the engine; when nothing listens, start it, on Debian or Ubuntu as root also install it.

        progress is called with one line before each thing that is done.

        :raises NoPermission: as Engine.find.
        :raises NoEngine: when it cannot be started from here, with the one step that helps.
        """
        try:
            return cls.find()
        except NoPermission:
            raise
        except NoEngine:
            cls.start(progress)
            return cls.find()

    @classmethod
    def start(cls, progress: Callable[..., Any] = lambda *_: None) -> None:
        """Start the engine of this machine, install it first if need be; see Engine.ensure."""
        start(locate(), progress)

    @property
    def address(self) -> str:
        """Return where the engine is, as DOCKER_HOST would say it."""
        return self._address.url

    @property
    def local(self) -> bool:
        """Return whether the engine is reached by a socket file of this machine."""
        return self._address.local

    @property
    def host(self) -> str:
        """Return the host where published ports are reached: loopback when the engine is local."""
        return self._address.host

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables by which another docker client finds this engine."""
        return self._address.variables()

    @cached_property
    def client(self) -> "DockerClient":
        """Return the engine's client, made on first use (only the rooms of containers use it).

        Its connections are closed by close(), or when this engine is no longer used.
        """
        import docker  # noqa: PLC0415 - half a second that finding the engine does not need

        with self._answering():
            client = docker.from_env(
                environment=self.variables,
                timeout=CALL_TIMEOUT_S,
                max_pool_size=POOL,
                use_ssh_client=self.address.startswith("ssh:"),
            )
        finalize(self, client.close)
        return client

    def close(self) -> None:
        """Close the connections to the engine; the next call opens new ones."""
        client = self.__dict__.pop("client", None)  # where cached_property keeps it
        if client is not None:
            client.close()

    @cached_property
    def architecture(self) -> str:
        """Return the processor architecture of its containers in Debian's words: amd64 or arm64."""
        return str(self._ask("version")["Arch"])

    @cached_property
    def version(self) -> str:
        """Return the engine's own version."""
        return str(self._ask("version")["Version"])

    def info(self) -> dict[str, Any]:
        """Return the engine's figures about itself and its machine (the API's /info)."""
        return self._ask("info")

    def _ask(self, what: str) -> dict[str, Any]:
        with self._answering():
            fields: dict[str, Any] = getattr(self.client, what)()
            return fields

    def _answering(self) -> AbstractContextManager[None]:
        return answering(self.address)

    def run(  # noqa: PLR0913 - all but two have defaults and are named
        self,
        image: str,
        command: Sequence[str] | str,
        *,
        files: Files | None = None,
        collect: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        network: str | None = None,
        labels: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        workdir: str | None = None,
        user: str | None = None,
    ) -> Completed:
        """Run one container to its end and return its result; the container is always removed.

        files are copied in before the start: absolute path in the container → content, file or folder; None
        means none. collect names files or folders to bring back. environment are variables, None means none.
        network None leaves the container only its own loopback. timeout_s is for the command; a container
        that takes longer is killed, and the answer has timed_out. workdir and user None are the image's own.
        The container is owned by this process unless labels name another owner. What it may use stands in
        engine/_limits.py; its output is at most 200 MB.

        :raises ImageMissing: when the engine does not have the image; none is pulled.
        """
        network_settings = {"network": network} if network else {"network_mode": "none"}
        marks = {str(name): value for name, value in (labels or {}).items()}
        if Label.OWNER not in marks:
            marks[Label.OWNER] = str(Owner.process())
        with self._answering():
            return _run.run(
                self.client,
                image,
                command,
                files=files or {},
                collect=collect,
                timeout_s=timeout_s,
                environment=dict(environment or {}),
                labels=marks,
                working_dir=workdir,
                user=user,
                **restricted(network_settings, logs=OUTPUT),
            )

    def locked(
        self, image: str, *, limits: Limits, capabilities: Sequence[str] = (), folder: Mapping[str, str]
    ) -> Locked:
        """Start a container for code that nobody trusts, and return it with its standard input and output.

        It runs the image's own command. It has no network, no shared memory, no log, and its files cannot be
        written but for one folder: its path → the options of a tmpfs. The container is owned by this process;
        whoever asks for it closes it.

        :raises ImageMissing: when the engine does not have the image; none is pulled.
        """
        labels = {str(Label.OWNER): str(Owner.process())}
        with self._answering():
            return Locked.start(
                self.client,
                self.address,
                image,
                limits=limits,
                capabilities=capabilities,
                folder=folder,
                labels=labels,
            )

    def events(self, labels: Mapping[str, str | None], since: datetime | int | None = None) -> Events:
        """Return an endless iterator of what happens to containers, networks and volumes with these labels.

        since is a time, or nanoseconds since 1970; the engine then tells first what it remembers (a bounded
        number of events). None means from now on. Another thread ends the iteration with close().
        """
        since_ns = int(since.timestamp() * 10**9) if isinstance(since, datetime) else since
        with self._answering():
            return Events(self.client, labels, since_ns)

    def image(self, ref: str) -> Image:
        """Return what the engine knows about an image.

        :raises ImageMissing: when it does not have it.
        """
        with self._answering():
            return _inspect.image(self.client, ref)

    def packages(self, image: str) -> list[Package]:
        """Return the Debian and Python packages in an image, read from its files, sorted by kind and name.

        An image is read once (a second or two); the answer is kept by the image's digest.

        :raises ImageMissing: when the engine does not have the image.
        """
        digest = self.image(image).digest

        def read() -> list[Package]:
            with self._answering(), self._unstarted(image) as container:
                return packages(container)

        return remembered(digest, read)

    def export(self, image: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Return the files of an image at absolute paths.

        A folder gives every file in it; what is not there is left out.

        :raises ImageMissing: when the engine does not have the image.
        """
        with self._answering(), self._unstarted(image) as container:
            return dict(file for path in paths for file in _run.collect_from(container, path))

    def _unstarted(self, image: str) -> AbstractContextManager[Any]:
        return _inspect.unstarted(self.client, image, {Label.OWNER: str(Owner.process())})

    def owned(self, labels: Mapping[str, str | None]) -> list[Owned]:
        """Return every container, network, volume and image with all these labels (None: any value)."""
        with self._answering():
            return _owned.owned(self.client, labels)

    def remove(self, labels: Mapping[str, str | None], deadline_s: float = REMOVED_WITHIN_S) -> Counter[str]:
        """Remove by force every container, network, volume and image with all these labels (None: any value).

        It goes on until nothing is found, and returns how many of each kind went. One thing that cannot be
        removed does not keep the others; what somebody else removes meanwhile is waited for and not counted.

        :raises ValueError: when labels is empty, because that would mean everything in the engine.
        :raises LabError: when something is left after deadline_s seconds; it names what, and what the engine
            said.
        """
        from labkit.engine import _remove  # noqa: PLC0415 - it loads the engine's library

        if not labels:
            message = "labels must name what to remove"
            raise ValueError(message)
        with self._answering():
            return _remove.remove(self.client, labels, deadline_s)

    def sweep(self, workspace: str) -> Counter[str]:
        """Remove what dead owners left or had claimed in one workspace; return how many of each kind went.

        Other workspaces are not looked at: their owners may be alive where this process cannot see them.
        """
        left = [
            thing
            for thing in self.owned({Label.WORKSPACE: workspace})
            if not Owner.parse(thing.labels.get(Label.OWNER, "")).alive()
        ]
        owners = sorted({thing.labels[Label.OWNER] for thing in left})
        removed: Counter[str] = Counter()
        for labels in _claim.claimed(left):
            removed += self.remove(labels)
        for owner in owners:
            removed += self.remove({Label.WORKSPACE: workspace, Label.OWNER: owner})
        return removed

    def claim(self, labels: Mapping[str, str]) -> Owner:
        """Claim an environment of a workspace for this process, which creates or removes it; return it.

        labels are those of its elements. Until release, the environment is not whole: when this process dies,
        all of it is removed.
        """
        owner = Owner.process()
        with self._answering():
            _claim.claim(self.client, {**labels, str(Label.OWNER): str(owner)})
        return owner

    def release(self, labels: Mapping[str, str]) -> None:
        """End the claim of an environment: from now on it is whole, and its workspace's."""
        with self._answering():
            _claim.release(self.client, labels)
