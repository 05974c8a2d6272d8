"""Verbs on volumes that concern the containers using them: they stand still for a copy, and learn of a new name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dockwright import faults
from dockwright.container.containers import Containers
from dockwright.container.record import Record
from dockwright.undo import shielded
from dockwright.volume import Volume, Volumes


@asynccontextmanager
async def quiet(containers: Containers, volume: str, *, pause: bool = True) -> AsyncIterator[None]:
    """While the context lasts, the running containers that use `volume` are paused, unless `pause` is off."""
    async with AsyncExitStack() as held:
        if pause:
            # One order for all, so that two of these never wait for each other.
            for container in sorted(containers.all(), key=lambda container: container.id):
                if _uses(container.record, volume):
                    await held.enter_async_context(container.still())
        yield


async def rename_volume(containers: Containers, volumes: Volumes, name: str, new_name: str) -> Volume:
    """Give a volume another name, and tell every container that refers to it. Raises as `Volumes.rename`."""
    volume = await volumes.rename(name, new_name)
    await containers.parts.copies.renamed(name, new_name)
    faults.point("volume.renamed")
    await shielded(_tell(containers, volumes, name, new_name), limit_s=None)
    await containers.parts.events.publish("volume", "rename", new_name, driver=volume.driver, oldName=name)
    return volumes.get(new_name)


async def end_renames(containers: Containers, volumes: Volumes) -> None:
    """At the daemon's start: tell the containers what a rename that was cut short had not told them yet."""
    for name, new_name in volumes.renames().items():
        await _tell(containers, volumes, name, new_name)


async def _tell(containers: Containers, volumes: Volumes, name: str, new_name: str) -> None:
    source = (await volumes.inspect(volumes.get(new_name))).mountpoint
    for container in containers.all():
        if _uses(container.record, name):
            _rename_in(container.record, name, new_name, source)
            await container.changed()
    await volumes.renamed(new_name)


def _rename_in(record: Record, name: str, new_name: str, source: str) -> None:
    host = record.spec.host
    for point in record.spec.points:
        if point.type == "volume" and point.name == name:
            point.name, point.source = new_name, source
    host.binds = [_bind(bind, name, new_name) for bind in host.binds] if host.binds else host.binds
    for mount in host.mounts or ():
        if mount.type == "volume" and mount.source == name:
            mount.source = new_name


def _bind(text: str, name: str, new_name: str) -> str:
    source, colon, rest = text.partition(":")
    return f"{new_name}{colon}{rest}" if source == name and colon else text


def _uses(record: Record, volume: str) -> bool:
    return any(point.type == "volume" and point.name == volume for point in record.spec.points)
