"""The routes, one file per family of paths; each has a `ROUTER` of its own."""

from dockwright.api.router import Router
from dockwright.api.routes import (
    archive,
    attach,
    build,
    buildkit,
    containers,
    events,
    execs,
    images,
    lifecycle,
    logs,
    networks,
    registries,
    stats,
    system,
    volumes,
)

ROUTER = Router()
for _family in (
    system,
    containers,
    lifecycle,
    attach,
    logs,
    stats,
    archive,
    execs,
    events,
    registries,
    images,
    build,
    buildkit,
    volumes,
    networks,
):
    ROUTER.include(_family.ROUTER)

__all__ = ["ROUTER"]
