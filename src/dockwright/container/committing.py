"""Commit: an image out of what a container changed."""

from __future__ import annotations

import msgspec

from dockwright.container.config import Config, HealthConfig
from dockwright.container.container import Container
from dockwright.container.creating import describe
from dockwright.container.state import Status
from dockwright.container.state import check as check_state
from dockwright.errors import NotFound
from dockwright.image import Commit
from dockwright.oci import Digest, Healthcheck, RunConfig
from dockwright.undo import UndoStack


async def commit(
    container: Container,
    name: str = "",
    *,
    config: Config | None = None,
    author: str = "",
    comment: str = "",
    changes: tuple[str, ...] = (),
    pause: bool = True,
) -> Digest:
    """An image of the container's file system, paused meanwhile unless `pause` is off; returns its id.

    `config` replaces the container's own where it says something. Raises `Invalid` for a bad name or change.
    """
    check_state("commit", container.status, container.id)
    spec = container.record.spec
    path, arguments = describe(spec.config)
    what = Commit(
        run=run_config(spec.config, config),
        author=author,
        comment=comment,
        created_by=" ".join([path, *arguments]),
        container_id=container.id,
        changes=changes,
    )
    images = container.parts.images
    base: str | None = spec.image_id
    try:
        await images.resolve(spec.image_id)
    except NotFound:
        base = None  # the image has been removed: its layers are in the snapshot's parents no longer by name
    async with UndoStack() as undo:
        if pause and container.status is Status.RUNNING:
            await container.pause()
            undo.push_undo(container.unpause)
        image_id = await images.commit(container.id, base, what, name)
    await container.tell("commit", comment=comment, imageID=image_id, imageRef=name)
    return image_id


def run_config(own: Config, given: Config | None) -> RunConfig:
    """A container's configuration as an image's: what `given` sets counts, what the engine filled in does not."""
    fields = msgspec.structs.asdict(own)
    for name, value in msgspec.structs.asdict(given).items() if given else ():
        if value not in (None, "", [], {}, False):
            fields[name] = value
    health = fields["healthcheck"]
    return RunConfig(
        user=fields["user"],
        exposed_ports=fields["exposed_ports"],
        env=tuple(fields["env"] or ()),
        cmd=tuple(fields["cmd"]) if fields["cmd"] is not None else None,
        healthcheck=_health(health) if health else None,
        volumes=fields["volumes"],
        working_dir=fields["working_dir"],
        entrypoint=tuple(fields["entrypoint"]) if fields["entrypoint"] is not None else None,
        on_build=tuple(fields["on_build"]) if fields["on_build"] else None,
        labels=fields["labels"] or None,
        stop_signal=fields["stop_signal"] or "",
        stop_timeout=fields["stop_timeout"],
        shell=tuple(fields["shell"]) if fields["shell"] else None,
    )


def _health(config: HealthConfig) -> Healthcheck:
    return Healthcheck(
        test=tuple(config.test) if config.test else None,
        interval=config.interval,
        timeout=config.timeout,
        start_period=config.start_period,
        start_interval=config.start_interval,
        retries=config.retries,
    )
