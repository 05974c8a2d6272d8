"""Layers and images for a builder: what a step changed becomes a layer, and layers become an image.

A builder keeps layers by its own rules: it names them to the collection (`Keepers`), and holds a lease while it works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from dockwright import archive, faults
from dockwright.image import making
from dockwright.image.leases import Lease
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, ImageConfig, Reference, chain_ids, mediatypes


def has_layers(store: Store, diff_ids: tuple[Digest, ...]) -> bool:
    """Whether the stack of these layers is unpacked."""
    return not diff_ids or store.layers.has(chain_ids(diff_ids)[-1])


async def layer(
    store: Store,
    lease: Lease,
    key: str,
    below: tuple[Digest, ...],
    latest_ns: int | None,
    complete: Callable[[Path], None] | None = None,
) -> tuple[Descriptor, int]:
    """What the active snapshot `key`, made on the layers `below`, changed, as a layer on top of them; and its bytes on disk.

    Times after `latest_ns` become that. `complete` is given the directory of the changes first, in a worker thread. The
    snapshot is not mounted; it stays the caller's to remove, and holds nothing any more: its files are the layer's.
    """
    tree = store.snapshots.tree(store.snapshots.node(key).layer)
    async with store.layers.stage() as staged:

        def make() -> None:
            if complete is not None:
                complete(tree)
            staged.take(tree, latest_ns)

        await archive.run(make, staged.stop)
        faults.point("image.layer")
        assert staged.diff_id is not None, "the layer was filled"
        described = Descriptor(mediatypes.OCI_LAYER, staged.diff_id, staged.tar_bytes)
        diff_ids = (*below, staged.diff_id)
        await lease.hold_layers(diff_ids)
        await store.layers.stack(diff_ids, {staged.diff_id: staged})
        return described, staged.row.size_bytes


async def directory(store: Store, lease: Lease, diff_ids: tuple[Digest, ...]) -> Path | None:
    """Where the files of the topmost of these layers are, as the lease holds them; None when the stack is not unpacked.

    They are other containers' too, and not to be written to.
    """
    await lease.hold_layers(diff_ids)
    if not has_layers(store, diff_ids):
        return None
    return store.snapshots.tree(store.snapshots.node(chain_ids(diff_ids)[-1]).layer)


async def stack(store: Store, lease: Lease, diff_ids: tuple[Digest, ...]) -> None:
    """Put layers that are unpacked on top of each other, base first. Raises `NotFound` for one that is not unpacked."""
    await lease.hold_layers(diff_ids)
    await store.layers.stack(diff_ids, {})


async def assemble(
    store: Store, lease: Lease, config: ImageConfig, layers: tuple[Descriptor, ...], names: Iterable[Reference]
) -> Digest:
    """Make an image of layers that are unpacked. Its digest."""
    return await making.keep(store, lease, {}, making.Made(config, layers), names)
