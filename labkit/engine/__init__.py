"""The container engine: find or start it, run a container, build and carry images, and leave nothing behind.

None of these imports loads the engine's library, half a second of work: that comes with the first call.
"""

from labkit.engine._bundle import load_images, save_images
from labkit.engine._claim import CLAIM
from labkit.engine._dockerfile import Dockerfile
from labkit.engine._doctor import DoctorCheck, doctor
from labkit.engine._engine import Engine
from labkit.engine._errors import BuildFailed, ImageMissing, NoEngine, NoPermission
from labkit.engine._events import Event, Events
from labkit.engine._images import build_images, images_missing, recipe_digests
from labkit.engine._inspect import Image
from labkit.engine._labels import BASE, BUILD, GRADER, PYTHON, SERVERS, Label
from labkit.engine._limits import BEGINS_AS_ROOT, NO_USER, SERVER, WORK, restricted
from labkit.engine._locked import Locked, StreamEnded
from labkit.engine._owned import Owned
from labkit.engine._owner import WORKSPACE, Owner
from labkit.engine._packages import Package
from labkit.engine._run import Completed
from labkit.engine._service_image import (
    Progress,
    build_service_image,
    build_service_images,
    image_versions,
    is_source,
    one_builder,
    service_image,
)

__all__ = [
    "BASE",
    "BEGINS_AS_ROOT",
    "BUILD",
    "CLAIM",
    "GRADER",
    "NO_USER",
    "PYTHON",
    "SERVER",
    "SERVERS",
    "WORK",
    "WORKSPACE",
    "BuildFailed",
    "Completed",
    "Dockerfile",
    "DoctorCheck",
    "Engine",
    "Event",
    "Events",
    "Image",
    "ImageMissing",
    "Label",
    "Locked",
    "NoEngine",
    "NoPermission",
    "Owned",
    "Owner",
    "Package",
    "Progress",
    "StreamEnded",
    "build_images",
    "build_service_image",
    "build_service_images",
    "doctor",
    "image_versions",
    "images_missing",
    "is_source",
    "load_images",
    "one_builder",
    "recipe_digests",
    "restricted",
    "save_images",
    "service_image",
]
