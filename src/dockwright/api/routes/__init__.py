"""The routes, one file per family of paths; each has a `ROUTER` of its own."""

from dockwright.api.router import Router
from dockwright.api.routes import (
    archive,
    attach,
    containers,
    events,
    execs,
    images,
    lifecycle,
    logs,
    networks,
    stats,
    system,
)

ROUTER = Router()
for _family in (system, containers, lifecycle, attach, logs, stats, archive, execs, events, images, networks):
    ROUTER.include(_family.ROUTER)

__all__ = ["ROUTER"]
