"""Pushing: every blob that the registry lacks, several at once, then the manifests, what they lead to first.

An image is pushed as it is stored, byte for byte, so that its digest in the registry is its ID here. Layers that were made
here are described uncompressed by their manifest, and that is how they are sent, made again from their directories while
they go: a gzip stream could not be promised to come out the same with the next release of the compressor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from dockwright import faults, workers
from dockwright.content import read
from dockwright.credentials import Credentials
from dockwright.distribution import Repository
from dockwright.errors import Conflict, Invalid, NotFound
from dockwright.image.documents import Variant
from dockwright.image.leases import Lease
from dockwright.image.progress import Board, Progress, short
from dockwright.image.records import ImageRow
from dockwright.image.transfers import Transfers
from dockwright.oci import Descriptor, Digest, Index, Manifest, Platform, Reference, mediatypes, reference
from dockwright.tasks import first, told

_FOREIGN = (".foreign.", ".nondistributable.")


def push(
    transfers: Transfers, name: str, *, all_tags: bool, platform: Platform | None, credentials: Credentials | None
) -> AsyncGenerator[Progress, None]:
    """Send an image to its registry, or with `all_tags` every tag of a repository. Close the generator to give up.

    Raises `Invalid` at once for a bad name; `NotFound` for one that means no image, `Conflict` for an image of which only
    some platforms are here, and the repository's errors on the way.
    """
    asked = reference.parse(name)
    if asked.digest:
        raise Invalid("cannot push a digest reference")
    if all_tags and asked.tag:
        raise Invalid("tag can't be used with --all-tags/-a")

    board = Board()

    async def work() -> None:
        repository = transfers.repository(asked, credentials)
        board.tell(f"The push refers to repository [{asked.name}]")
        for named, row in _meant(transfers, asked, all_tags=all_tags):
            await _Push(transfers, repository, named, platform, board).run(row)

    return told(work, board, transfers.background, f"push {asked.familiar}")


def push_target(
    transfers: Transfers, target: Descriptor, name: Reference, *, tagged: bool, credentials: Credentials | None
) -> AsyncGenerator[Progress, None]:
    """Send all of `target`, stored under a lease of the caller's, to the repository of `name`: under its tag, or by its digest
    alone. Close the generator to give up. Raises as `push` does.
    """
    board = Board()

    async def work() -> None:
        repository = transfers.repository(name, credentials)
        board.tell(f"The push refers to repository [{name.name}]")
        sending = _Push(transfers, repository, name, None, board)
        await sending.send(target, str(name.tag) if tagged else target.digest)

    return told(work, board, transfers.background, f"push {name.familiar}")


def _meant(transfers: Transfers, asked: Reference, *, all_tags: bool) -> list[tuple[Reference, ImageRow]]:
    records = transfers.store.records
    tags = [
        (named, row)
        for row in list(records.images.values())
        for named in records.names(row.digest)
        if named.name == asked.name and named.tag
    ]
    if not tags:
        raise NotFound(f"An image does not exist locally with the tag: {asked.familiar_name}")
    if all_tags:
        return sorted(tags, key=lambda pair: pair[0].tag or "")
    wanted = [(named, row) for named, row in tags if named.tag == asked.tagged.tag]
    if not wanted:
        raise NotFound(f"tag does not exist: {asked.tagged.familiar}")
    return wanted


@dataclass
class _Content:
    """What is to be sent: documents, what they lead to before themselves; blobs by digest, and which are layers."""

    documents: dict[Digest, Descriptor] = field(default_factory=dict)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)
    layers: dict[Digest, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Push:
    """One tag."""

    transfers: Transfers
    repository: Repository
    name: Reference
    platform: Platform | None
    board: Board

    async def run(self, row: ImageRow) -> None:
        """Send everything, then give it its tag."""
        target = await self._target(row)
        await self.send(target, self.name.tag or target.digest)
        if target.digest != row.digest:
            self._told_a_part(row, target)
        await self._publish(row)

    async def send(self, target: Descriptor, told_as: str) -> None:
        """Send everything that `target` leads to, then itself under the tag or digest `told_as`."""
        store = self.transfers.store
        async with store.leases.lease() as lease:
            content = _Content()
            await self._walk(target, content)
            await self._hold(lease, target, content)
            await self._send_blobs(content)
            await self.transfers.sources.add(self.name, content.blobs)
            faults.point("push.manifest")
            for document in content.documents.values():
                called = told_as if document.digest == target.digest else document.digest
                body = await read(store.blobs, document.digest)
                await self.repository.push_manifest(called, document, body)
        self.board.tell(f"{told_as}: digest: {target.digest} size: {target.size}")
        self.board.tell_aux({"Tag": told_as, "Digest": target.digest, "Size": target.size})

    async def _target(self, row: ImageRow) -> Descriptor:
        """What is sent: the image whole where all of it is here, else the one platform that is."""
        store = self.transfers.store
        if self.platform is not None:
            variant = (await store.image(row, self.platform)).variant
            return variant.descriptor
        missing = [
            descriptor
            async for descriptor in store.documents.reachable(row.target)
            if not _is_foreign(descriptor) and not await self._available(descriptor)
        ]
        if not missing:
            return row.target
        here = [variant for variant in await store.documents.variants(row.target) if await self._complete(variant)]
        if not here:
            raise NotFound(f"content {missing[0].digest} not found")
        if len(here) > 1:
            raise Conflict(
                "multiple matching manifests found but no specific platform requested: the image holds "
                + ", ".join(str(variant.platform) for variant in here)
                + ", its other platforms are not here; choose one with --platform"
            )
        return here[0].descriptor

    async def _complete(self, variant: Variant) -> bool:
        for layer in variant.manifest.layers or ():
            if not _is_foreign(layer) and not await self._available(layer):
                return False
        return True

    async def _available(self, descriptor: Descriptor) -> bool:
        if await workers.quick(self.transfers.store.has_content, descriptor.digest):
            return True
        return bool(await self.transfers.sources.of(descriptor.digest))

    async def _walk(self, target: Descriptor, found: _Content) -> None:
        document = await self.transfers.store.documents.index_or_manifest(target.digest)
        if isinstance(document, Index):
            for child in document.manifests or ():
                await self._walk(child, found)
        if isinstance(document, Manifest):
            layers = [layer for layer in document.layers or () if not _is_foreign(layer)]
            found.blobs.update({blob.digest: blob for blob in (document.config, *layers)})
            found.layers.update(dict.fromkeys(layer.digest for layer in layers))
        found.documents.setdefault(target.digest, target)

    async def _hold(self, lease: Lease, target: Descriptor, content: _Content) -> None:
        await lease.hold([*content.documents, *content.blobs])
        for variant in await self.transfers.store.documents.variants(target):
            await lease.hold_layers(variant.config.diff_ids)

    async def _send_blobs(self, content: _Content) -> None:
        for digest in content.layers:
            self.board.tell("Preparing", short(digest))
        try:
            async with asyncio.TaskGroup() as group:
                for digest, blob in content.blobs.items():
                    group.create_task(self._send(blob, shown=digest in content.layers))
        except BaseExceptionGroup as failures:
            raise first(failures) from None

    async def _send(self, blob: Descriptor, *, shown: bool) -> None:
        tell: Callable[[str, int | None, int | None], None] = (
            self.board.of(short(blob.digest)) if shown else lambda _status, _current, _total: None
        )
        if self.transfers.uploads.full:
            tell("Waiting", None, None)
        async with self.transfers.uploads.slot():
            faults.point("push.blob")
            elsewhere = [
                source.path
                for source in await self.transfers.sources.of(blob.digest)
                if source.domain == self.name.domain and source.path != self.name.path
            ][:1]  # one: the registry does not say which of several it took
            outcome = await self.repository.push_blob(
                blob,
                lambda offset: self._read(blob, offset),
                mount_from=elsewhere,
                progress=lambda sent: tell("Pushing", sent, blob.size),
            )
        said = {"exists": "Layer already exists", "uploaded": "Pushed"}
        tell(said.get(outcome) or f"Mounted from {elsewhere[0]}", None, None)

    async def _read(self, blob: Descriptor, offset: int) -> AsyncGenerator[bytes, None]:
        """The blob from `offset` on: from the store, made again from its directory, or brought back from where it was."""
        store = self.transfers.store
        if not await workers.quick(store.has_content, blob.digest):
            await self.transfers.refetch(blob)
        if await workers.quick(store.blobs.path(blob.digest).exists):
            chunks, skip = store.blobs.open(blob.digest, offset), 0
        else:
            chunks, skip = store.open_layer(blob), offset
        async with aclosing(chunks):
            async for chunk in chunks:
                if skip < len(chunk):
                    yield chunk[skip:] if skip else chunk
                skip = max(0, skip - len(chunk))

    def _told_a_part(self, row: ImageRow, target: Descriptor) -> None:
        self.board.tell_aux(
            {
                "manifestPushedInsteadOfIndex": True,
                "originalIndex": _brief(row.target),
                "selectedManifest": _brief(target),
            }
        )

    async def _publish(self, row: ImageRow) -> None:
        store = self.transfers.store
        variant = await store.documents.choose(row.target)
        labels = dict(variant.config.run.labels or {}) if variant else {}
        await store.events.publish("image", "push", self.name.familiar, **labels | {"name": self.name.familiar_name})


def _is_foreign(descriptor: Descriptor) -> bool:
    """Layers that may not be handed on: their manifest says where they are to be had."""
    return mediatypes.is_layer(descriptor.media_type) and any(word in descriptor.media_type for word in _FOREIGN)


def _brief(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
