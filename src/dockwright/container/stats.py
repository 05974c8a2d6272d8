"""What a running container uses, sample by sample."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from dockwright import cgroup, workers
from dockwright.cgroup import Stats
from dockwright.container.container import Container
from dockwright.container.starting import cgroup_path
from dockwright.units import NEVER, rfc3339

INTERVAL_S = 1.0


async def sample(container: Container) -> Stats:
    """One sample; zeros when it does not run."""
    stats = Stats()
    live = container.live
    if live is not None:
        mode = container.record.spec.host.network_mode
        place = cgroup.named(container.parts.cgroups, cgroup_path(container.parts, container.record))
        stats = await workers.quick(cgroup.read, place, None if mode in ("host", "none") else live.pid)
        stats.read = rfc3339(time.time_ns())
    stats.id, stats.name = container.id, "/" + container.name
    return stats


async def follow(container: Container) -> AsyncGenerator[Stats, None]:
    """A sample a second, each with the processor times of the one before, until the container is removed."""
    before: Stats | None = None
    while True:
        now = await sample(container)
        if before is not None and now.read != NEVER:
            now.precpu_stats, now.preread = before.cpu_stats, before.read
        yield now
        before = now
        await asyncio.sleep(INTERVAL_S)
        if container.gone:
            return
