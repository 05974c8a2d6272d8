"""What every verb of the image manager stands on: rows, documents, blobs, layers, leases."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from dockwright import archive
from dockwright.content import LocalBlobs
from dockwright.errors import NotFound
from dockwright.events import Events
from dockwright.image import collection
from dockwright.image.documents import Documents, Variant
from dockwright.image.leases import Lease, Leases
from dockwright.image.records import ImageRow, Records
from dockwright.oci import Descriptor, Digest, ImageConfig, Platform, Reference, reference
from dockwright.snapshot import Layers, Overlay
from dockwright.store import Database

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")


@dataclass(frozen=True)
class Image:
    """An image, resolved: its row, and the variant for one platform."""

    row: ImageRow
    names: list[Reference]
    variant: Variant

    @property
    def id(self) -> Digest:
        """The digest of the target descriptor."""
        return self.row.digest

    @property
    def config(self) -> ImageConfig:
        """The variant's configuration document; what containers start with is `config.run`."""
        return self.variant.config

    @property
    def snapshot(self) -> Digest | None:
        """The parent for `snapshots.prepare`."""
        return self.variant.snapshot

    @property
    def platform(self) -> Platform:
        """What the variant runs on."""
        return self.variant.platform

    @property
    def repo_tags(self) -> list[str]:
        """Familiar names with tags."""
        return [name.familiar for name in self.names if name.tag]

    @property
    def repo_digests(self) -> list[str]:
        """Familiar names with the image's digest."""
        return list(dict.fromkeys(f"{name.familiar_name}@{self.id}" for name in self.names))


# Whoever keeps layers that no image leads to: the chain IDs it needs.
Keeper = Callable[[], Iterable[Digest]]


class Store:
    """Shared by the verbs; nobody outside of the package uses it."""

    def __init__(
        self, database: Database, blobs: LocalBlobs, snapshots: Overlay, events: Events, keepers: Sequence[Keeper]
    ) -> None:
        self.blobs, self.snapshots, self.events = blobs, snapshots, events
        self.records = Records(database)
        self.documents = Documents(blobs)
        self.layers = Layers(snapshots)
        self.leases = Leases()
        self.keepers = keepers
        # Fetches a blob that is not kept here from where it came; an engine without registries cannot.
        self.bring: Callable[[Descriptor], Awaitable[None]] = _gone

    def find(self, name: str) -> ImageRow:
        """The image that a name, an ID or the beginning of an ID means.

        Raises `Invalid` for what is no reference, `NotFound` with Docker's wording.
        """
        if _ID.fullmatch(name) and (len(name) == 64 or name.startswith("sha256:")):
            return self._by_id(name, name)
        parsed = reference.parse(name).tagged
        if (target := self._by_name(parsed)) is not None:
            return self.records.images[target]
        if _ID.fullmatch(name):
            return self._by_id(name, parsed.familiar)
        raise NotFound(f"No such image: {parsed.familiar}")

    async def image(self, row: ImageRow, platform: Platform | None = None) -> Image:
        """`row` with its variant. Raises `NotFound` when the image has none for `platform`."""
        variant = await self.documents.choose(row.target, platform)
        names = self.records.names(row.digest)
        if variant is None:
            called = names[0].familiar if names else row.digest
            raise lacking(called, platform)
        return Image(row, names, variant)

    async def publish(self, action: str, row: ImageRow, name: str | None = None) -> None:
        """Tell what happened to an image, with Docker's attributes: its name and its labels."""
        names = self.records.names(row.digest)
        labels: dict[str, str] = {}
        variant = await self.documents.choose(row.target)
        if variant is not None:
            labels = dict(variant.config.run.labels or {})
        labels["name"] = name or (names[0].familiar if names else row.digest)
        await self.events.publish("image", action, row.digest, **labels)

    async def open_layer(self, layer: Descriptor) -> AsyncGenerator[bytes, None]:
        """A layer's blob, from the blob store or made again from its directory. Raises `NotFound`."""
        try:
            async with aclosing(self.blobs.open(layer.digest)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except NotFound:
            if not self.layers.regenerable(layer.digest):
                raise
        async with aclosing(archive.produce(lambda: self.layers.tar(layer.digest))) as chunks:
            async for chunk in chunks:
                yield chunk

    def has_content(self, digest: Digest) -> bool:
        """Whether a blob can be read, made again or not. Touches the disk."""
        return self.blobs.path(digest).exists() or self.layers.regenerable(digest)

    async def hold_image(self, lease: Lease, row: ImageRow) -> None:
        """Keep an image with everything it leads to. Raises `NotFound` when it is gone, or was being removed meanwhile."""
        await lease.hold([descriptor.digest async for descriptor in self.documents.reachable(row.target)])
        for variant in await self.documents.variants(row.target):
            await lease.hold_layers(variant.config.diff_ids)
        if self.records.images.get(row.digest) is not row:
            raise NotFound(f"No such image: {row.digest}")

    async def drop_manifests(self, digests: Iterable[Digest], of: ImageRow | None = None) -> list[Digest]:
        """Delete these manifests, so that the next collection takes what only they led to. Nothing is deleted, and those
        that an image (but `of`) leads to are returned, when there are any."""
        gone = set(digests)
        others = [row for row in self.records.images.values() if row is not of]
        kept = [
            one.digest for row in others async for one in self.documents.reachable(row.target) if one.digest in gone
        ]
        if kept:
            return kept
        for digest in gone:
            await self.blobs.delete(digest)
        self.documents.forget(gone)
        return []

    async def collect(self) -> int:
        """Delete what no image, container or lease leads to; the bytes that came free.

        A snapshot that something stands on stays, so containers keep the layers they run on. Operations go on meanwhile.
        """
        return await collection.collect(self)

    def _by_name(self, name: Reference) -> Digest | None:
        if name.digest is None:
            return self.records.target(name)
        if name.digest in self.records.images:
            called = self.records.names(name.digest)
            if any(other.name == name.name for other in called):
                return name.digest
        return self.records.target(name)

    def _by_id(self, prefix: str, told: str) -> ImageRow:
        found = self.records.with_prefix(prefix)
        if len(found) > 1:
            raise NotFound(f"ambiguous reference: {prefix} is the beginning of {len(found)} image IDs")
        if not found:
            raise NotFound(f"No such image: {told}")
        return self.records.images[found[0]]


async def _gone(blob: Descriptor) -> None:
    raise NotFound(f"content {blob.digest} not found")


def lacking(called: str, wanted: Platform | None) -> NotFound:
    """The image called so has nothing for a platform, in Docker's words."""
    told = f" ({wanted})" if wanted else ""
    return NotFound(f"image with reference {called} was found but does not provide the specified platform{told}")
