"""Legacy links of containers that run: they follow where their target went, and end when somebody removes them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dockwright import workers
from dockwright.container import hostfiles, links
from dockwright.errors import Conflict, DockwrightError, NotFound

if TYPE_CHECKING:
    from dockwright.container.container import Container

log = logging.getLogger(__name__)


async def follow(target: Container) -> None:
    """A container has started, perhaps at another address: `hosts` of those that are linked to it say so. Takes their locks.

    Their environment is their processes' own; what is executed in them from now on is told the new one.
    """
    for linker in target.others.linkers_of(target.id):
        if not linker.alive:
            continue
        try:
            async with linker.held():
                await _write(linker)
        except Conflict:
            continue  # it is being removed
        except DockwrightError as error:
            log.warning("links of %s: %s", linker.name, error)


async def unlink(linker: Container, alias: str) -> None:
    """Remove the link that `linker` calls `alias`. Raises `NotFound`."""
    async with linker.held():
        host = linker.record.spec.host
        kept = [text for text in host.links or [] if links.parse(text)[1] != alias]
        if len(kept) == len(host.links or []):
            raise NotFound(f"no such link: /{linker.name}/{alias}")
        host.links = kept or None
        await linker.parts.table.save_spec(linker.record)
        if linker.alive:
            await _write(linker, gone=alias)


async def _write(linker: Container, gone: str = "") -> None:
    current = links.hosts(links.current(linker.parts, linker.record, linker.others.record_of))
    await workers.quick(hostfiles.relink, linker.parts, linker.record, current, gone)
