"""Volumes as create, list, inspect and `system df` show them."""

from __future__ import annotations

from typing import Any

from dockwright.engine import Engine
from dockwright.units import rfc3339
from dockwright.volume import Snapshot, Volume


async def volume(engine: Engine, shown: Volume, *, status: bool = False) -> dict[str, Any]:
    """`Volume` of the specification; with `status` what the driver tells of it."""
    seen = await engine.volumes.inspect(shown)
    document: dict[str, Any] = {
        "CreatedAt": rfc3339(shown.created_ns or seen.created_ns),
        "Driver": shown.driver,
        "Labels": dict(sorted(shown.labels.items())) or None,
        "Mountpoint": seen.mountpoint,
        "Name": shown.name,
        "Options": dict(sorted(shown.options.items())) or None,
        "Scope": await engine.volumes.scope(shown),
    }
    if status and seen.status:
        document["Status"] = dict(seen.status)
    return document


async def usage(engine: Engine) -> list[dict[str, Any]]:
    """`Volumes` of `GET /system/df`: those of this host's disk, as Docker has it, with their sizes."""
    rows = []
    for shown in engine.volumes.all():
        size = await engine.volumes.size_bytes(shown)
        if size >= 0:
            users = engine.volumes.users(shown.name)
            rows.append(await volume(engine, shown) | {"UsageData": {"Size": size, "RefCount": users}})
    return rows


def snapshot(shown: Snapshot) -> dict[str, Any]:
    """A snapshot, in the style of the specification, which has none."""
    return {
        "Volume": shown.volume,
        "Tag": shown.tag,
        "CreatedAt": rfc3339(shown.created_ns),
        "Size": shown.size_bytes,
    }
