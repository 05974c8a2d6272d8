"""How much room images take: bytes on the disk, what they share, and what is theirs alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dockwright import workers
from dockwright.image.records import ImageRow
from dockwright.image.store import Store
from dockwright.oci import Digest, chain_ids

# A blob by its digest, or a layer's directory by its number.
Part = Digest | int


@dataclass
class Footprint:
    """What one image stands on. A part that two images have in common has the same key in both."""

    blobs: dict[Part, int] = field(default_factory=dict)
    layers: dict[Part, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[Part, int]:
        """Everything: bytes by part."""
        return self.blobs | self.layers

    @property
    def content_bytes(self) -> int:
        """Bytes in the blob store."""
        return sum(self.blobs.values())

    @property
    def unpacked_bytes(self) -> int:
        """Bytes in the layers' directories."""
        return sum(self.layers.values())

    @property
    def total_bytes(self) -> int:
        """Both."""
        return self.content_bytes + self.unpacked_bytes


async def footprint(store: Store, row: ImageRow) -> Footprint:
    """What an image takes, all of its platforms together."""
    return (await footprints(store, [row]))[row.digest]


async def footprints(store: Store, rows: Iterable[ImageRow]) -> dict[Digest, Footprint]:
    """What each of several images takes, the disk being asked once."""
    found: dict[Digest, Footprint] = {}
    wanted: dict[Digest, list[Digest]] = {}
    for row in rows:
        wanted[row.digest] = [descriptor.digest async for descriptor in store.documents.reachable(row.target)]
        found[row.digest] = Footprint()
        for variant in await store.documents.variants(row.target):
            found[row.digest].layers.update(layers(store, variant.config.diff_ids))
    everything = {digest for digests in wanted.values() for digest in digests}
    stored = await workers.quick(_blobs, store, everything)
    for image, digests in wanted.items():
        found[image].blobs.update({digest: stored[digest] for digest in digests if digest in stored})
    return found


def layers(store: Store, diff_ids: tuple[Digest, ...]) -> dict[Part, int]:
    """The unpacked layers of one variant: bytes by directory."""
    found: dict[Part, int] = {}
    for chain in chain_ids(diff_ids):
        if store.layers.has(chain):
            number, size = store.layers.usage(chain)
            found[number] = size
    return found


def shared_bytes(all_of_them: dict[Digest, Footprint]) -> dict[Digest, int]:
    """Per image, the bytes that another image has too."""
    users = Counter(part for footprint in all_of_them.values() for part in footprint.parts)
    return {
        image: sum(size for part, size in footprint.parts.items() if users[part] > 1)
        for image, footprint in all_of_them.items()
    }


def union_bytes(all_of_them: dict[Digest, Footprint]) -> int:
    """Everything, what is shared counted once."""
    union: dict[Part, int] = {}
    for footprint in all_of_them.values():
        union |= footprint.parts
    return sum(union.values())


def _blobs(store: Store, wanted: Iterable[Digest]) -> dict[Digest, int]:
    found = {digest: store.blobs.disk_bytes(digest) for digest in wanted}
    return {digest: size for digest, size in found.items() if size is not None}
