"""Images made here: imported from a tar, committed from a container's snapshot.

Their layers are kept unpacked, with a recipe, and no tar beside that: the tar is made again when it is saved or pushed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import archive, faults, workers
from dockwright.content import put
from dockwright.image.changes import apply_changes
from dockwright.image.leases import Lease
from dockwright.image.store import Image, Store
from dockwright.oci import (
    Descriptor,
    Digest,
    History,
    ImageConfig,
    Manifest,
    Platform,
    Reference,
    RootFS,
    RunConfig,
    describe,
    mediatypes,
    write,
)
from dockwright.oci import platform as platforms
from dockwright.snapshot import Staged, source_of
from dockwright.units import rfc3339

_OCI_LAYERS = {
    mediatypes.DOCKER_LAYER: mediatypes.OCI_LAYER,
    mediatypes.DOCKER_LAYER_GZIP: mediatypes.OCI_LAYER_GZIP,
}


@dataclass(frozen=True)
class Commit:
    """What a commit says about its image. `run` is the container's configuration, `created_by` its command line."""

    run: RunConfig
    author: str = ""
    comment: str = ""
    created_by: str = ""
    container_id: str = ""
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Import:
    """What an import says about its image. `created` is RFC 3339, empty for now; without `platform` it is this host's."""

    run: RunConfig
    message: str
    platform: Platform | None = None
    created: str = ""
    annotations: dict[str, str] | None = None


async def import_tar(store: Store, stream: AsyncIterable[bytes], names: Iterable[Reference], what: Import) -> Digest:
    """An image of one layer, whose files are those of the tar `stream` (plain or compressed)."""
    async with store.leases.lease() as lease, store.layers.stage() as staged:
        await archive.consume(stream, lambda source: staged.fill(archive.decompressed(source)))
        faults.point("image.import")
        if staged.contents.regenerable and staged.contents.independent:
            return await _import_layer(store, lease, staged, names, what)
        # The tar names files twice, or takes directories for granted. Nobody knows its digest yet: ours is as good.
        async with store.layers.stage() as again:
            await archive.run(lambda: _fill(again, staged.tree), again.stop)
            return await _import_layer(store, lease, again, names, what)


def _fill(staged: Staged, tree: Path) -> None:
    """Blocking."""
    with source_of(archive.pack_layer(tree)) as source:
        staged.fill(source)


async def commit(store: Store, key: str, base: Image | None, what: Commit, names: Iterable[Reference]) -> Digest:
    """An image of what the snapshot `key` changed, on top of `base`.

    Without `base`, when that image was removed, on top of the layers that the snapshot still stands on.
    """
    run = apply_changes(what.run, what.changes)
    below = list(base.variant.manifest.layers or ()) if base else await _remaining_layers(store, key)
    parent = base.config if base else ImageConfig(rootfs=RootFS(diff_ids=tuple(layer.digest for layer in below)))
    here = base.platform if base else platforms.host()
    created = rfc3339(time.time_ns())
    async with store.leases.lease() as lease, store.layers.stage() as staged:
        await lease.hold([base.id] if base else [])
        await lease.hold_layers(parent.diff_ids)
        tree = store.snapshots.tree(store.snapshots.node(key).layer)
        await archive.run(lambda: _fill(staged, tree), staged.stop)
        faults.point("image.commit")
        layer, diff_id = _described(staged)
        step = History(created, what.created_by, what.author, what.comment)
        config = msgspec.structs.replace(
            parent,
            architecture=parent.architecture or here.architecture,
            os=parent.os or here.os,
            variant=parent.variant or here.variant,
            created=created,
            author=what.author,
            comment=what.comment,
            container=what.container_id,
            config=run,
            rootfs=RootFS(diff_ids=(*parent.diff_ids, diff_id)),
            history=(*(parent.history or ()), step),
        )
        layers = (*(_as_oci(descriptor) for descriptor in below), layer)
        made = Made(config, layers, base.id if base else None)
        return await keep(store, lease, {diff_id: staged}, made, names)


async def _remaining_layers(store: Store, key: str) -> list[Descriptor]:
    def measured(diff_id: Digest) -> Descriptor:
        return Descriptor(mediatypes.OCI_LAYER, diff_id, sum(len(chunk) for chunk in store.layers.tar(diff_id)))

    return [await workers.bulk(measured, diff_id) for diff_id in store.layers.lineage(key)]


async def _import_layer(store: Store, lease: Lease, staged: Staged, names: Iterable[Reference], what: Import) -> Digest:
    created = what.created or rfc3339(time.time_ns())
    here = what.platform or platforms.host()
    layer, diff_id = _described(staged)
    config = ImageConfig(
        here.architecture,
        here.os,
        created,
        variant=here.variant,
        config=what.run,
        comment=what.message,
        rootfs=RootFS(diff_ids=(diff_id,)),
        history=(History(created, comment=what.message),),
    )
    made = Made(config, (layer,), annotations=what.annotations)
    return await keep(store, lease, {diff_id: staged}, made, names)


@dataclass(frozen=True)
class Made:
    """An image as it is to be stored."""

    config: ImageConfig
    layers: tuple[Descriptor, ...]
    parent: Digest | None = None
    annotations: dict[str, str] | None = None


async def keep(
    store: Store,
    lease: Lease,
    staged: dict[Digest, Staged],
    made: Made,
    names: Iterable[Reference],
) -> Digest:
    """Layers, then documents, then the row: a crash in between leaves garbage."""
    body = write(made.config)
    described = describe(body, mediatypes.OCI_CONFIG)
    manifest = write(Manifest(described, made.layers, annotations=made.annotations or msgspec.UNSET))
    target = describe(manifest, mediatypes.OCI_MANIFEST)
    await lease.hold([described.digest, target.digest, *(layer.digest for layer in made.layers)])
    await lease.hold_layers(made.config.diff_ids)
    await store.layers.stack(made.config.diff_ids, staged)
    await put(store.blobs, body)
    await put(store.blobs, manifest)
    faults.point("image.record")
    await store.records.add(target, names, made.parent)
    return target.digest


def _described(staged: Staged) -> tuple[Descriptor, Digest]:
    assert staged.diff_id is not None, "the layer was filled"
    return Descriptor(mediatypes.OCI_LAYER, staged.diff_id, staged.tar_bytes), staged.diff_id


def _as_oci(layer: Descriptor) -> Descriptor:
    """An OCI manifest lists OCI layers; the bytes are the same."""
    return msgspec.structs.replace(layer, media_type=_OCI_LAYERS.get(layer.media_type, layer.media_type))
