"""What builders make of images beside layers: documents, other compressions, archives, pushes; and layers they bring from
elsewhere. Everything is the caller's to lease until an image leads to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from dockwright import faults, workers
from dockwright.content import put, read
from dockwright.credentials import Credentials
from dockwright.distribution import Repository
from dockwright.image import compressing, layouts, pushing
from dockwright.image.documents import Variant
from dockwright.image.layouts import Layout
from dockwright.image.leases import Lease
from dockwright.image.progress import Progress
from dockwright.image.store import Image, Store
from dockwright.image.transfers import Transfers
from dockwright.image.unpacking import unpack
from dockwright.oci import (
    Descriptor,
    Digest,
    ImageConfig,
    Manifest,
    Platform,
    Reference,
    RootFS,
    chain_ids,
    describe,
    mediatypes,
)

Open = Callable[[Descriptor], AsyncGenerator[bytes, None]]
Compressed = tuple[Digest, mediatypes.Compression, int | None]


class Products:
    """One of an engine's image managers, for its builder."""

    def __init__(self, store: Store, transfers: Transfers) -> None:
        self._store, self._transfers = store, transfers
        # What was compressed already by this process: as long as its blob is there, it is not done again.
        self._compressed: dict[Compressed, Descriptor] = {}

    def repository(self, name: Reference, credentials: Credentials | None = None) -> Repository:
        """A registry's repository. Raises `Unsupported` for an engine without registries."""
        return self._transfers.repository(name, credentials)

    async def compressed(
        self, lease: Lease, layer: Descriptor, diff_id: Digest, kind: mediatypes.Compression, level: int | None = None
    ) -> Descriptor:
        """See `compressing.compressed`."""
        key = (diff_id, kind, level)
        known = self._compressed.get(key)
        if known is not None:
            await lease.hold([known.digest])
            if await workers.quick(self._store.has_content, known.digest):
                return known
        made = await compressing.compressed(self._store, lease, layer, diff_id, kind, level)
        self._compressed[key] = made
        return made

    async def document(
        self, lease: Lease, content: bytes, media_type: str, platform: Platform | None = None
    ) -> Descriptor:
        """Store a configuration, a manifest, an index or a statement; its descriptor."""
        described = describe(content, media_type, platform)
        await lease.hold([described.digest])
        await put(self._store.blobs, content)
        return described

    async def read(self, digest: Digest) -> bytes:
        """A small blob that is stored. Raises `NotFound`."""
        return await read(self._store.blobs, digest)

    async def keep(self, target: Descriptor, names: Sequence[Reference]) -> Image:
        """Make an image of `target`, all of which is stored, and name it."""
        faults.point("image.product")
        await self._store.records.add(target, names)
        return await self._store.image(self._store.records.images[target.digest])

    def tar(self, layout: Layout) -> AsyncGenerator[bytes, None]:
        """See `layouts.tar`."""
        return layouts.tar(self._store, layout)

    async def directory(self, layout: Layout, folder: Path) -> None:
        """See `layouts.directory`."""
        await layouts.directory(self._store, layout, folder)

    def push(
        self, target: Descriptor, name: Reference, *, tagged: bool = True, credentials: Credentials | None = None
    ) -> AsyncGenerator[Progress, None]:
        """See `pushing.push_target`."""
        return pushing.push_target(self._transfers, target, name, tagged=tagged, credentials=credentials)

    async def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob, brought back where it is not kept here. Raises `NotFound`."""
        if not await workers.quick(self._store.has_content, descriptor.digest):
            await self._store.bring(descriptor)
        async with aclosing(self._store.open_layer(descriptor)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def blob_from(self, descriptor: Descriptor, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from `offset` on. Raises `NotFound`."""
        async with aclosing(self.blob(descriptor)) as chunks:
            async for chunk in chunks:
                if offset < len(chunk):
                    yield chunk[offset:] if offset else chunk
                offset = max(0, offset - len(chunk))

    async def reachable(self, target: Descriptor) -> list[Descriptor]:
        """Everything that `target` leads to, itself first, each once."""
        return list({one.digest: one async for one in self._store.documents.reachable(target)}.values())

    async def unpack(self, lease: Lease, layers: Sequence[tuple[Descriptor, Digest]], open_blob: Open) -> int | None:
        """Make the stack of `layers` (blob and diff ID, base first), fetching with `open_blob` what is not here; the bytes of
        the topmost one on the disk.

        Everything is verified. None, with nothing relied on, when a layer that was fetched cannot be made into a tar again:
        a builder keeps directories, not blobs. Raises what `open_blob` raises, `Corrupt` or `Invalid` for a bad layer.
        """
        store = self._store
        diff_ids = tuple(diff_id for _, diff_id in layers)
        await lease.hold_layers(diff_ids)
        missing = set(store.layers.missing(diff_ids))
        for blob, diff_id in layers:
            if diff_id in missing:
                await self._fetch(lease, blob, open_blob)
        manifest = Manifest(Descriptor(mediatypes.OCI_CONFIG, diff_ids[-1], 0), tuple(blob for blob, _ in layers))
        config = ImageConfig(rootfs=RootFS(diff_ids=diff_ids))
        async with self._transfers.stacking:
            await unpack(store, Variant(manifest.config, manifest, config))
        if not all(store.layers.regenerable(diff_id) for diff_id in missing):
            return None
        return store.layers.usage(chain_ids(diff_ids)[-1])[1]

    async def _fetch(self, lease: Lease, blob: Descriptor, open_blob: Open) -> None:
        await lease.hold([blob.digest])
        if await workers.quick(self._store.has_content, blob.digest):
            return
        faults.point("image.fetch")
        async with self._store.blobs.ingest() as ingest, aclosing(open_blob(blob)) as chunks:
            async for chunk in chunks:
                await ingest.write(chunk)
            await ingest.commit(blob.digest, blob.size)
