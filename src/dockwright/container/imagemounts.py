"""Mounts of `type=image`: an image's file system, read-only, at a path of a container.

Each is a view of its own, so that the image's layers stay for as long as the container does.
"""

from __future__ import annotations

from pathlib import Path

from dockwright import workers
from dockwright.container.mounts import MountPoint
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.errors import Invalid, NotFound

_KEY = "image-mount:"


async def claim(parts: Parts, container_id: str, point: MountPoint) -> None:
    """At create: resolve the image and hold its layers. Raises `Invalid` when there is no such image."""
    try:
        image = await parts.images.resolve(point.name)
    except NotFound as error:
        # "not found" as the answer to a create has clients pull the container's image and try again.
        raise Invalid(f'invalid mount config for type "image": {error}') from None
    point.image_id = image.id
    await parts.snapshots.view(key(container_id, point), image.snapshot)


async def mount(parts: Parts, container_id: str, point: MountPoint) -> Path:
    """At start: where the image's files are."""
    target = _target(parts, container_id, point)
    await workers.quick(target.mkdir, parents=True, exist_ok=True)
    await parts.snapshots.mount(key(container_id, point), target)
    return target


async def unmount(parts: Parts, container_id: str, point: MountPoint) -> None:
    """The undo of `mount`; fine when it was not."""
    await parts.snapshots.unmount(_target(parts, container_id, point))


async def release(parts: Parts, record: Record) -> None:
    """The undo of every `claim` of a container; fine for what was not claimed."""
    for point in record.spec.points:
        if point.type == "image":
            await forget(parts, record.id, point)


async def forget(parts: Parts, container_id: str, point: MountPoint) -> None:
    """The undo of one `claim`."""
    try:
        await parts.snapshots.remove(key(container_id, point))
    except NotFound:
        pass


def images(record: Record) -> list[str]:
    """The images that a container mounts."""
    return [point.image_id for point in record.spec.points if point.type == "image"]


def key(container_id: str, point: MountPoint) -> str:
    """The key of the view."""
    return f"{_KEY}{container_id}:{point.destination}"


def owner(snapshot_key: str) -> str:
    """The container that a view of ours is for; "" where the key is another's."""
    return snapshot_key.removeprefix(_KEY).partition(":")[0] if snapshot_key.startswith(_KEY) else ""


def _target(parts: Parts, container_id: str, point: MountPoint) -> Path:
    return parts.paths.bundle(container_id) / "images" / point.destination.strip("/").replace("/", "%")
