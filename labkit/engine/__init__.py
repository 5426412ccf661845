"""The container engine: find or start it, run a container, build and carry images, and leave nothing behind.

Names are loaded on first use, so that importing this room does not yet load the engine's library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.engine._bundle import load_images, save_images
    from labkit.engine._doctor import Check, doctor
    from labkit.engine._engine import Engine
    from labkit.engine._errors import BuildFailed, ImageMissing, NoEngine, NoPermission
    from labkit.engine._events import Event, Events
    from labkit.engine._images import build_images, images_missing
    from labkit.engine._inspect import Image
    from labkit.engine._labels import BASE, BUILD, PYTHON, SERVERS, Label
    from labkit.engine._owned import Owned, sweep
    from labkit.engine._owner import Owner
    from labkit.engine._parts import Part
    from labkit.engine._run import Completed
    from labkit.engine._service_image import build_service_image, is_source

_HOMES = {
    "_bundle": ("load_images", "save_images"),
    "_doctor": ("Check", "doctor"),
    "_engine": ("Engine",),
    "_errors": ("BuildFailed", "ImageMissing", "NoEngine", "NoPermission"),
    "_events": ("Event", "Events"),
    "_images": ("build_images", "images_missing"),
    "_inspect": ("Image",),
    "_labels": ("BASE", "BUILD", "PYTHON", "SERVERS", "Label"),
    "_owned": ("Owned", "sweep"),
    "_owner": ("Owner",),
    "_parts": ("Part",),
    "_run": ("Completed",),
    "_service_image": ("build_service_image", "is_source"),
}

__all__ = [
    "BASE",
    "BUILD",
    "PYTHON",
    "SERVERS",
    "BuildFailed",
    "Check",
    "Completed",
    "Engine",
    "Event",
    "Events",
    "Image",
    "ImageMissing",
    "Label",
    "NoEngine",
    "NoPermission",
    "Owned",
    "Owner",
    "Part",
    "build_images",
    "build_service_image",
    "doctor",
    "images_missing",
    "is_source",
    "load_images",
    "save_images",
    "sweep",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the name's; type checkers read the imports above
    """Load the module of a public name on first use (PEP 562)."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
