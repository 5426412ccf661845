"""The container that the database server runs in: tools run beside it, an image made of it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import CONFLICT

from docker.errors import APIError

from labkit.environment._elements import database
from labkit.environment._part import Part, Scope, refusals
from labkit.environment._plan import DATABASE_PORT
from labkit.environment._run import execute, read_file
from labkit.errors import LabError

FOLDER = "/var/lib/postgresql"


@dataclass(frozen=True)
class DatabaseContainer:
    """Finds the container anew each time, because a restore may have put another in its place."""

    scope: Scope

    def run(self, *command: str) -> None:
        """Run a tool of PostgreSQL beside the server, as its user.

        :raises LabError: when it fails; with what it said.
        """
        done = execute(self.scope.engine, self._part().id, command, workdir="/")
        if not done.ok:
            mend = "what it says tells why; environment.logs('database') has the server's side"
            raise LabError(f"{command[0]} succeeds in the database's container", done.output.strip(), mend)

    def fresh_path(self) -> str:
        """Return a path that nothing in the container uses, in a folder where the server may write."""
        return f"{FOLDER}/{uuid.uuid4().hex[:8]}"

    def read(self, path: str) -> bytes:
        """Return a file of the container."""
        return read_file(self.scope.engine, self._part().id, path)

    def to_image(self) -> str:
        """Make an image of the container as it is and return its id; it has the container's labels."""
        engine = self.scope.engine
        with refusals(engine, "an image of the database's container is made"):
            return str(engine.client.api.commit(self._part().id)["Id"])

    def replace(self, image: str) -> Part:
        """Put a container of an image in its place and return that; whether it answers is not asked."""
        for part in self._parts():
            self.scope.remove(part.id)
        return self.scope.start(replace(database(), image=image))

    def remove_image(self, image: str) -> None:
        """Take an image away; one that a container stands on stays until clean-up, which finds its labels."""
        with refusals(self.scope.engine, "the image of the database is removed", image):
            try:
                self.scope.engine.client.api.remove_image(image)
            except APIError as problem:
                if problem.status_code != CONFLICT:
                    raise

    @staticmethod
    def port(part: Part) -> int:
        """Return the port at which the server in a container is reached from outside."""
        return part.ports[DATABASE_PORT]

    def _part(self) -> Part:
        for part in self._parts():
            return part
        gone = f"{self.scope.environment} has none now"
        raise LabError("the database's container", gone, "labkit environment list shows what is alive")

    def _parts(self) -> Sequence[Part]:
        return [part for part in self.scope.parts() if part.role == "database"]
