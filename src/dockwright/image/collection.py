"""Collecting garbage: mark what references lead to, then sweep the rest in small steps, so that nothing waits for long.

What a lease held at any time since the marking began is left alone: its image may have been recorded too late to be marked.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dockwright import faults, workers
from dockwright.content import BlobInfo
from dockwright.errors import InUse
from dockwright.oci import Digest, chain_ids

if TYPE_CHECKING:
    from dockwright.image.store import Store

# Deleted in one go, which whoever wants one of them waits for.
_STEP = 32


async def collect(store: Store) -> int:
    """Delete what no image, container or lease leads to; the bytes that came free. One at a time; others wait."""
    async with store.leases.collecting:
        with store.leases.collection():
            blobs, snapshots = await _mark(store)
            snapshots |= await _sole_copies(store, blobs, snapshots)
            freed = await _sweep_snapshots(store, snapshots)
            freed += await _sweep_blobs(store, blobs)
        await store.blobs.drop_stale()
        return freed


async def chains(store: Store) -> set[Digest]:
    """The snapshots that images are made of, those of platforms that are not unpacked included."""
    found: set[Digest] = set()
    for row in list(store.records.images.values()):
        for variant in await store.documents.variants(row.target):
            found.update(chain_ids(variant.config.diff_ids))
    return found


async def _mark(store: Store) -> tuple[set[Digest], set[Digest]]:
    blobs, snapshots = set[Digest](), await chains(store)
    for row in list(store.records.images.values()):
        blobs.update([descriptor.digest async for descriptor in store.documents.reachable(row.target)])
    for keeper in store.keepers:
        snapshots.update(keeper())
    await _mark_referrers(store, blobs)
    return blobs, snapshots


async def _mark_referrers(store: Store, blobs: set[Digest]) -> None:
    """What speaks of something that is kept is kept too (signatures, SBOMs); what spoke of something gone is forgotten."""
    left = dict(store.records.referrers)
    while found := [digest for digest, (_, subject) in left.items() if subject in blobs]:
        for digest in found:
            descriptor, _ = left.pop(digest)
            blobs.update([one.digest async for one in store.documents.reachable(descriptor)])
    if left:
        await store.records.drop_referrers(left)


async def _sole_copies(store: Store, blobs: set[Digest], kept: set[Digest]) -> set[Digest]:
    """Snapshots beside `kept` whose layer is all there is of a blob that something leads to: a blob that can be made again
    from a directory is not kept beside it. Artifacts, and images that were never unpacked, lean on others' directories so."""
    found: dict[str, Digest] = {}
    safe = set[str]()
    for info in store.snapshots.walk():
        layer = store.snapshots.node(info.key).layer
        if layer.diff_id is None or not layer.recipe:
            continue
        if info.key in kept:
            safe.add(layer.diff_id)
        elif layer.diff_id in blobs:
            found[layer.diff_id] = Digest(info.key)
    alone = {diff_id: key for diff_id, key in found.items() if diff_id not in safe}
    return {alone[diff_id] for diff_id in await workers.quick(_without_blob, store, list(alone))}


def _without_blob(store: Store, diff_ids: list[str]) -> list[str]:
    return [diff_id for diff_id in diff_ids if not store.blobs.path(Digest(diff_id)).exists()]


async def _sweep_snapshots(store: Store, kept: set[Digest]) -> int:
    needed: set[str] = {*kept}
    freed = 0
    for info in reversed(store.snapshots.walk()):  # children before parents
        if info.kind == "committed" and info.key not in needed:
            size = await _remove_snapshot(store, info.key)
            if size is not None:
                freed += size
                continue
        if info.parent is not None:
            needed.add(info.parent)
    return freed


async def _remove_snapshot(store: Store, key: str) -> int | None:
    """The bytes that came free, 0 where the directory serves another snapshot too; None when the snapshot stays."""
    layer = store.snapshots.node(key).layer
    names = {Digest(name) for name in (key, layer.diff_id) if name is not None}
    faults.point("image.collect")
    with store.leases.dooming(names) as doomed:
        if doomed != names:
            return None  # somebody relies on it, or on its layer
        try:
            return layer.size_bytes if await store.snapshots.remove(key) else 0
        except InUse:
            return None  # a container was made on it meanwhile


async def _sweep_blobs(store: Store, kept: set[Digest]) -> int:
    freed = 0
    garbage = (blob for blob in await workers.bulk(store.blobs.walk_now) if blob.digest not in kept)
    while step := {blob.digest: blob for blob in islice(garbage, _STEP)}:
        with store.leases.dooming(step) as doomed:
            await workers.bulk(_delete, store, [step[digest] for digest in doomed])
        store.documents.forget(doomed)
        freed += sum(step[digest].size_bytes for digest in doomed)
    return freed


def _delete(store: Store, blobs: list[BlobInfo]) -> None:
    for blob in blobs:
        store.blobs.path(blob.digest).unlink(missing_ok=True)
