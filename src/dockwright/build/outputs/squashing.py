"""`--squash`: what all steps changed, as one layer on top of the base image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import archive, faults
from dockwright.archive import Source
from dockwright.build.cache.records import Tree
from dockwright.build.steps.running import Runner
from dockwright.image import Images
from dockwright.image.leases import Lease
from dockwright.oci import Descriptor, History, chain_ids


@dataclass(frozen=True)
class Squashing:
    """Squashes trees of one build."""

    images: Images
    runner: Runner
    lease: Lease

    async def squash(
        self, tree: Tree, below: int, history: Sequence[History], time_ns: int | None
    ) -> tuple[Tree, tuple[History, ...]]:
        """`tree` with one layer in place of those above the first `below`, and the history that tells so.

        The layers are put over the base one after another, so that what one of them removed is in none.
        """
        if len(tree.diff_ids) <= below + 1:
            return tree, tuple(history)
        base = Tree(tree.diff_ids[:below], tree.layers[:below])
        async with self.runner.changed(base.chain) as (step_id, rootfs):
            for layer in tree.layers[below:]:
                await self._apply(layer, rootfs)
            faults.point("build.squash")
            await self.runner.unmount(rootfs)
            squashed, _ = await self.images.layer(self.lease, step_id, base.diff_ids, time_ns)
        found = Tree((*base.diff_ids, squashed.digest), (*base.layers, squashed))
        return found, _history(history, below, tree, base)

    async def _apply(self, layer: Descriptor, rootfs: Path) -> None:
        def put(source: Source) -> None:
            archive.apply_layer(archive.decompressed(source), rootfs, [])

        await archive.consume(self.images.products.blob(layer), put)


def _history(history: Sequence[History], below: int, tree: Tree, base: Tree) -> tuple[History, ...]:
    """What made a layer of its own makes none any more; one more entry tells of the layer that there is."""
    return tuple(_emptied(history, below)) + (
        History(comment=f"merge {chain_ids(tree.diff_ids)[-1]} to {base.chain or 'scratch'}"),
    )


def _emptied(history: Sequence[History], below: int) -> Iterator[History]:
    made = 0
    for one in history:
        made += not one.empty_layer
        yield one if made <= below else msgspec.structs.replace(one, empty_layer=True)
