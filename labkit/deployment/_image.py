"""The image of a service as it was at a version of the system."""

import subprocess

from labkit.engine import Engine, Label, build_service_image, one_builder
from labkit.errors import LabError
from labkit.workspace import Workspace


def image_of(workspace: Workspace, service: str, version: str) -> str:
    """Build the image of a service at a tag or commit of the workspace's repository, and return its name.

    :raises LabError: when the system has no such service, or the repository no such version.
    """
    system, git = workspace.system, ["git", "-C", str(workspace.shop)]
    if service not in system.services:
        known = ", ".join(system.services)
        raise LabError(f"a service of {system.name}: {known}", repr(service), "name one of them")
    place = f"{version}:{system.services[service].path}"
    done = subprocess.run([*git, "archive", place], capture_output=True, check=False)
    if done.returncode:
        tags = subprocess.run([*git, "tag"], capture_output=True, text=True, check=False).stdout.split()
        seen = f"{version}: {done.stderr.decode().strip()}"
        raise LabError(f"a version of {service}: {', '.join(tags)}, or a commit", seen, "name one of them")
    with one_builder():
        name = f"labkit/{system.name}-{service}:{version}"
        return build_service_image(Engine.find(), done.stdout, name, {Label.VERSION: version}).ref
