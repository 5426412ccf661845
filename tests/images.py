"""Takes images of tests away again."""

from labkit.engine import Engine


def remove_images(engine: Engine, repository: str) -> None:
    """Remove all images of a repository by name: one that another is built on loses its name only."""
    for image in engine.client.images.list(repository):
        for name in image.tags:
            if name.startswith(f"{repository}:"):
                engine.client.images.remove(name, force=True)
