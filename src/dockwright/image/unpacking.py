"""Unpacking an image's layers: those that are missing, several at once, then stacked in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from dockwright import archive, faults, workers
from dockwright.errors import Invalid, NotFound
from dockwright.image.documents import Variant
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, mediatypes
from dockwright.snapshot import Staged
from dockwright.tasks import first

PARALLEL = 3


async def unpack(store: Store, variant: Variant, ready: Mapping[Digest, Staged] | None = None) -> None:
    """Make the snapshot of `variant`. Nothing to do when it is there; equal layers of other images are used, and those that
    are `ready`, unpacked already, by diff ID.

    Raises `NotFound` when a layer's blob is not stored, `Invalid` or `Corrupt` for a bad one.
    """
    if variant.snapshot is None or store.layers.has(variant.snapshot):
        return
    blobs = layer_blobs(variant)
    async with store.leases.lease() as lease, AsyncExitStack() as stack:
        await lease.hold_layers(variant.config.diff_ids)
        missing = store.layers.missing(variant.config.diff_ids)
        here = {diff_id: ready[diff_id] for diff_id in missing if diff_id in ready} if ready else {}
        staged = {
            diff_id: await stack.enter_async_context(store.layers.stage()) for diff_id in missing if diff_id not in here
        }
        await _fill_all(store, staged, blobs)
        for one in here.values():
            await workers.bulk(one.settle)
        faults.point("image.unpack")
        await store.layers.stack(variant.config.diff_ids, staged | here)
    await workers.quick(drop_what_can_be_made_again, store, list(blobs.values()))


async def _fill_all(store: Store, staged: dict[Digest, Staged], blobs: dict[Digest, Descriptor]) -> None:
    slots = asyncio.Semaphore(PARALLEL)

    async def fill(diff_id: Digest, into: Staged) -> None:
        async with slots:
            path = store.blobs.path(blobs[diff_id].digest)
            await archive.run(lambda: _fill(path, into, diff_id), into.stop)

    try:
        async with asyncio.TaskGroup() as group:
            for diff_id, into in staged.items():
                group.create_task(fill(diff_id, into))
    except BaseExceptionGroup as failures:
        raise first(failures) from None


def _fill(path: Path, into: Staged, diff_id: Digest) -> None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"content sha256:{path.name} not found") from None
    with file:
        into.fill(archive.decompressed(file), diff_id)


def layer_blobs(variant: Variant) -> dict[Digest, Descriptor]:
    """Each layer's blob by diff ID. Raises `Invalid` for a manifest whose layers are not those of its configuration."""
    layers, diff_ids = variant.manifest.layers or (), variant.config.diff_ids
    if len(layers) != len(diff_ids):
        raise Invalid(f"the image has {len(layers)} layers, its configuration speaks of {len(diff_ids)}")
    for layer in layers:
        if not mediatypes.is_layer(layer.media_type):
            raise Invalid(f"layer {layer.digest} has the media type {layer.media_type!r}")
    return {diff_id: layer for layer, diff_id in zip(layers, diff_ids, strict=True)}


def drop_what_can_be_made_again(store: Store, blobs: list[Descriptor]) -> None:
    """An uncompressed layer is not kept twice: its tar comes out of its directory again, byte for byte."""
    for blob in blobs:
        if store.layers.regenerable(blob.digest):
            store.blobs.path(blob.digest).unlink(missing_ok=True)
