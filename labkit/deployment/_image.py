"""The image of a service as it was at a version of the system."""

import re
import shlex
from collections.abc import Callable

from labkit._git import git, git_text
from labkit.engine import Engine, Label, build_service_image, one_builder
from labkit.errors import LabError
from labkit.workspace import Workspace


def image_of(
    workspace: Workspace, service: str, version: str, *, progress: Callable[[str], object] = print
) -> str:
    """Build the image of a service at a tag or commit of the workspace's repository, and return its name.

    progress gets a line when another process is waited for, so that its reader knows why it takes long.

    :raises LabError: when the system has no such service, or the repository no such version.
    """
    system, repository = workspace.system, workspace.shop
    if service not in system.services:
        known = ", ".join(system.services)
        raise LabError(f"a service of {system.name}: {known}", repr(service), "name one of them")
    path = str(system.services[service].path)
    folder = f"{version}:{'' if path == '.' else path}"  # git knows the whole commit by no name
    archive = git(repository, "archive", "--", folder, check=False)
    if archive.returncode:
        tags = git_text(repository, "tag").splitlines()
        raise LabError(
            f"a version of {service}: a commit, or one of the tags {', '.join(tags)}"
            if tags
            else f"a version of {service}: a commit, as the repository {repository} has no tags",
            f"{version}: {archive.stderr.decode(errors='replace').strip()}",
            f"name one of them, or read the commits: git -C {shlex.quote(str(repository))} log --oneline",
        )
    with one_builder(progress):
        tag = re.sub(r"[^\w.-]+", "-", version)  # a branch such as feature/price is no tag of an image
        name = f"labkit/{system.name}-{service}:{tag}"
        return build_service_image(Engine.find(), archive.stdout, name, {Label.VERSION: version}).ref
