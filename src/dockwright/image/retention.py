"""Keeping images within bounds: which may go by age and by the room they all take, the least recently used first.

Off unless somebody sets it. Images that a container was made from stay, and so do those that came, got a name or were asked
for within the last minutes: somebody is about to use them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dockwright.image import removal, sizes
from dockwright.image.records import ImageRow
from dockwright.image.removal import ImageUser
from dockwright.image.sizes import Footprint
from dockwright.image.store import Store
from dockwright.image.types import DeleteItem, PruneReport
from dockwright.oci import Digest

RECENT_S = 10 * 60
INTERVAL_S = 3600.0

Users = Callable[[], Sequence[ImageUser]]


@dataclass(frozen=True)
class Retention:
    """`max_size_bytes`: what all images together may take on the disk; `keep_for_s`: how long an image may stay unused.
    None is no bound. `drop_unpacked`: the compressed blob of a layer goes once the layer is unpacked, where everybody may
    fetch it again; that happens when it is pushed elsewhere or saved."""

    max_size_bytes: int | None = None
    keep_for_s: float | None = None
    drop_unpacked: bool = False

    @property
    def enabled(self) -> bool:
        """Whether there is any bound."""
        return self.max_size_bytes is not None or self.keep_for_s is not None


async def enforce(store: Store, policy: Retention, users: Users, now_ns: int) -> PruneReport:
    """Remove what is beyond the bounds of `policy`, and tell the events of it. `users` are the containers there are."""
    await store.records.touch({user.image_id for user in users()}, now_ns)
    footprints = await sizes.footprints(store, list(store.records.images.values()))
    removed: list[DeleteItem] = []
    for digest in choose(footprints, store.records.last_used_ns, policy, now_ns):
        row = store.records.images.get(digest)
        if row is not None and _may_go(store, row, users(), now_ns):
            removed += await removal.discard(store, row)
    if not removed:
        return PruneReport(None, 0)
    freed = await store.collect()
    await store.events.publish("image", "prune", "", reclaimed=str(freed))
    return PruneReport(removed, freed)


def choose(
    footprints: dict[Digest, Footprint], last_used_ns: Callable[[Digest], int], policy: Retention, now_ns: int
) -> list[Digest]:
    """What would have to go, the least recently used first: everything older than the policy allows, and then more until
    the rest fits. Images used within the last minutes are never chosen. Pure."""
    oldest_first = sorted(footprints, key=last_used_ns)
    shared = Counter(part for footprint in footprints.values() for part in footprint.parts)
    total = sizes.union_bytes(footprints)
    chosen = []
    for digest in oldest_first:
        unused_s = (now_ns - last_used_ns(digest)) / 1e9
        if unused_s < RECENT_S:
            break
        too_old = policy.keep_for_s is not None and unused_s > policy.keep_for_s
        too_much = policy.max_size_bytes is not None and total > policy.max_size_bytes
        if not too_old and not too_much:
            break
        chosen.append(digest)
        for part, size in footprints[digest].parts.items():
            shared[part] -= 1
            total -= size if not shared[part] else 0
    return chosen


async def keep_within(
    store: Store, policy: Retention, users: Users, *, clock: Callable[[], int] = time.time_ns
) -> None:
    """Enforce `policy` now, after each image that comes, and every hour. Ends when cancelled."""
    while True:
        store.records.added.clear()
        await enforce(store, policy, users, clock())
        try:
            async with asyncio.timeout(INTERVAL_S):
                await store.records.added.wait()
        except TimeoutError:
            continue


def _may_go(store: Store, row: ImageRow, users: Sequence[ImageUser], now_ns: int) -> bool:
    """Looked at again right before: somebody may have begun to use it while another image was removed."""
    in_use = any(user.image_id == row.digest for user in users)
    return not in_use and now_ns - store.records.last_used_ns(row.digest) >= RECENT_S * 10**9
