"""What one image has and another has not, or differently: files and packages."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path
from typing import Literal

import msgspec

from dockwright import workers
from dockwright.image.packages import PackageName, installed
from dockwright.image.store import Image, Store
from dockwright.oci import Digest, chain_ids
from dockwright.snapshot import ChangeKind, Touched, TreeChange, compare_trees, touched

Kind = Literal["added", "changed", "removed"]
_KINDS: dict[ChangeKind, Kind] = {
    ChangeKind.ADDED: "added",
    ChangeKind.MODIFIED: "changed",
    ChangeKind.DELETED: "removed",
}


class FileDifference(msgspec.Struct, rename="pascal"):
    """One path. Sizes are bytes of regular files, else 0; `what` says how a changed one differs: `type`, `mode`, `owner`,
    `size`, `content`, `target`, `device`, `attributes`. A name that is not UTF-8 is told with escapes."""

    kind: Kind
    path: str
    size_before: int
    size_after: int
    what: tuple[str, ...] = ()


class PackageDifference(msgspec.Struct, rename="pascal"):
    """One package; a version is empty where the package is not there."""

    kind: Kind
    name: str
    architecture: str
    version_before: str
    version_after: str


class ImageDifference(msgspec.Struct, rename="pascal"):
    """What has to be done to the image `before` to have the image `after`; files sorted by path, packages by name."""

    before: Digest
    after: Digest
    files: list[FileDifference]
    packages: list[PackageDifference]


async def compare(store: Store, before: Image, after: Image) -> ImageDifference:
    """Compare two unpacked images. Where they stand on the same layers, only what is above those is looked at."""
    if before.snapshot == after.snapshot:
        return ImageDifference(before.id, after.id, [], [])
    async with store.leases.lease() as lease:
        await lease.hold_layers(before.config.diff_ids)
        await lease.hold_layers(after.config.diff_ids)
        where = await workers.bulk(_where, store, before, after)
        async with _shown(store, before) as old, _shown(store, after) as new:
            files = await workers.bulk(compare_trees, old, new, where)
            packages = await workers.bulk(_packages, old, new)
    return ImageDifference(before.id, after.id, [_told(change) for change in files], packages)


@asynccontextmanager
async def _shown(store: Store, image: Image) -> AsyncIterator[Path]:
    if image.snapshot is None:
        async with store.snapshots.stage() as nothing:
            yield store.snapshots.tree(nothing)
        return
    async with store.snapshots.looked_at(image.snapshot) as (tree, _):
        yield tree


def _where(store: Store, before: Image, after: Image) -> Touched | None:
    chains = chain_ids(before.config.diff_ids), chain_ids(after.config.diff_ids)
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*chains, strict=False))))
    if not shared:
        return None
    above = (chain for chain in (*chains[0][shared:], *chains[1][shared:]))
    return touched([store.snapshots.tree(store.snapshots.node(chain).layer) for chain in above])


def _told(change: TreeChange) -> FileDifference:
    path = os.fsencode(change.path).decode(errors="backslashreplace")
    return FileDifference(_KINDS[change.kind], path, change.size_before, change.size_after, change.what)


def _packages(before: Path, after: Path) -> list[PackageDifference]:
    old, new = installed(before), installed(after)
    return [
        _package(name, old.get(name, ""), new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _package(name: PackageName, before: str, after: str) -> PackageDifference:
    kind: Kind = "changed" if before and after else "added" if after else "removed"
    return PackageDifference(kind, name.name, name.architecture, before, after)
