"""The base of all images: pulled where a registry answers, else made from Debian's packages."""

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.engine._labels import BASE
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

REGISTRY = "https://registry-1.docker.io/v2/"
ANSWER_S = 4.0
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def ensure_base(engine: "Engine", progress: Callable[[str], object]) -> None:
    """Bring the base image to the engine unless it is there; progress gets a line about how.

    :raises LabError: when no registry answers and it cannot be made here either.
    """
    import docker.errors  # noqa: PLC0415 - loaded with the client

    with suppress(docker.errors.ImageNotFound):
        engine.client.api.inspect_image(BASE)
        return
    if _registry_answers(engine):
        progress("pulling from the registry")
        with suppress(docker.errors.APIError):
            engine.client.images.pull(*BASE.split(":"))
            return
    progress("no registry answers: making it from Debian's packages with mmdebstrap (about a minute)")
    bootstrap(engine, BASE)


def _registry_answers(engine: "Engine") -> bool:
    """Return whether a pull can be tried: the registry answers soon, or the engine has a mirror of it."""
    if (engine.info().get("RegistryConfig") or {}).get("Mirrors"):
        return True
    try:
        urllib.request.urlopen(REGISTRY, timeout=ANSWER_S).close()
    except urllib.error.HTTPError as response:
        return response.code == 401  # noqa: PLR2004 - how a registry answers who has not logged in
    except OSError:
        return False
    return True


def bootstrap(engine: "Engine", ref: str) -> None:
    """Make the base image with mmdebstrap and give it a name.

    :raises LabError: when mmdebstrap is not there and may not be installed, or ends with an error.
    """
    _ensure_mmdebstrap()
    excluded = [f"--dpkgopt=path-exclude={path}" for path in EXCLUDED]
    keyring = [f"--keyring={KEYRING}"] if KEYRING.exists() else []
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        *excluded,
        *keyring,
        "--aptopt=Acquire::Retries=3",
    ]
    name, _, tag = ref.partition(":")
    with subprocess.Popen(
        [*command, "bookworm", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as making:
        try:
            _import(engine, making, name, tag)
            problem = making.stderr.read().decode(errors="replace") if making.stderr else ""
        finally:
            making.terminate()
    if making.returncode:
        with suppress(Exception):  # the engine may have made an image of the half that it got
            engine.client.api.remove_image(ref)
        last = " / ".join(problem.strip().splitlines()[-3:])
        raise LabError(
            expected=f"the base image {ref}, made with mmdebstrap",
            seen=last,
            next_step="connect to the network, or labkit images load FILE",
        )


def _import(engine: "Engine", making: "subprocess.Popen[bytes]", name: str, tag: str) -> None:
    engine.client.api.import_image_from_stream(
        making.stdout, repository=name, tag=tag, changes=['CMD ["bash"]']
    )
    making.wait()


def _ensure_mmdebstrap() -> None:
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = [
            "apt-get",
            "-qq",
            "install",
            "--yes",
            "--no-install-recommends",
            "mmdebstrap",
            "debian-archive-keyring",
        ]
        for command in (["apt-get", "-qq", "update"], install):
            subprocess.run(
                command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
            )
    if not shutil.which("mmdebstrap"):
        raise LabError(
            expected=f"a registry that answers, or mmdebstrap to make {BASE}",
            seen="no registry answers, and there is no mmdebstrap",
            next_step="sudo apt-get install mmdebstrap; without apt: labkit images load FILE",
        )
