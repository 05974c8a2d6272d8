"""Pulling: documents first, then all layers at once, then everything becomes an image in one short step.

Layers that are known, as a blob or by their diff ID, are not fetched. Nothing is visible before it is complete; what a failed
or cancelled pull leaves are ingests, from which the next one goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from dockwright import archive, faults, workers
from dockwright.credentials import Credentials
from dockwright.distribution import Repository
from dockwright.errors import Invalid, Unsupported
from dockwright.image.arriving import Arrived, arriving
from dockwright.image.documents import Variant
from dockwright.image.leases import Lease
from dockwright.image.progress import Board, Progress, Tell, short
from dockwright.image.remote import Remote, Selected
from dockwright.image.transfers import Transfers
from dockwright.image.unpacking import drop_what_can_be_made_again, layer_blobs
from dockwright.oci import Descriptor, Digest, Platform, Reference, reference
from dockwright.snapshot import Staged
from dockwright.tasks import first, told
from dockwright.undo import shielded


def pull(
    transfers: Transfers, name: str, *, all_tags: bool, platform: Platform | None, credentials: Credentials | None
) -> AsyncGenerator[Progress, None]:
    """Bring an image here, or with `all_tags` every tag of a repository. Close the generator to give up.

    Raises `Invalid` at once for a bad name; the repository's errors on the way.
    """
    asked = reference.parse(name)
    if all_tags and (asked.tag or asked.digest):
        raise Invalid("tag can't be used with --all-tags/-a")
    one = asked.with_digest(asked.digest) if asked.digest else asked.tagged

    board = Board()

    async def work() -> None:
        repository = transfers.repository(asked, credentials)
        names = [asked.with_tag(tag) async for tag in repository.tags()] if all_tags else [one]
        downloaded = False
        for wanted in names:
            keeps = credentials is not None or not transfers.drop_unpacked
            downloaded |= await _Pull(transfers, repository, wanted, platform, board, keeps).run()
        news = "Downloaded newer image for" if downloaded else "Image is up to date for"
        board.tell(f"Status: {news} {asked.familiar_name if all_tags else one.familiar}")

    return told(work, board, transfers.background, f"pull {asked.familiar}")


@dataclass(frozen=True)
class _Pull:
    """One tag or digest. `keeps` the layers' blobs: who needed credentials might not get them again without."""

    transfers: Transfers
    repository: Repository
    name: Reference
    platform: Platform | None
    board: Board
    keeps: bool

    async def run(self) -> bool:
        """Whether anything was new."""
        store = self.transfers.store
        wanted = self.name.digest or self.name.tag or ""
        done = False
        try:
            async with store.leases.lease() as lease:
                remote = Remote(store, self.repository, lease)
                target = await self.repository.resolve(wanted)
                selected = await remote.select(target, self.platform, self.name.familiar)
                # Said once there is something: what is not there is an error from the start, with a status of its own.
                self.board.tell(f"Pulling from {self.name.path}", wanted)
                news = await self._bring(remote, lease, selected)
            done = True
        finally:
            if not done:
                await shielded(store.collect(), limit_s=None)
        self.board.tell(f"Digest: {selected.target.digest}")
        labels = dict(selected.variant.config.run.labels or {}) | {"name": self.name.familiar_name}
        await store.events.publish("image", "pull", self.name.familiar, **labels)
        return news

    async def _bring(self, remote: Remote, lease: Lease, selected: Selected) -> bool:
        store, variant = self.transfers.store, selected.variant
        blobs = layer_blobs(variant)
        await lease.hold(blob.digest for blob in blobs.values())
        await lease.hold_layers(variant.config.diff_ids)
        missing = store.layers.missing(variant.config.diff_ids)
        if missing or selected.target.digest not in store.records.images:
            absent = {blobs[diff_id].digest for diff_id in missing}
            for digest in dict.fromkeys(layer.digest for layer, _ in variant.layers):
                self.board.tell("Pulling fs layer" if digest in absent else "Already exists", short(digest))
        async with AsyncExitStack() as stack:
            arrived = await _all_at_once(stack, {diff_id: self._layer(blobs[diff_id], diff_id) for diff_id in missing})
            for attestation in selected.attestations:
                await remote.attestation(attestation)
            async with self.transfers.stacking:
                renamed = await self._keep(selected, arrived)
        await workers.quick(drop_what_can_be_made_again, store, list(blobs.values()))
        if not self.keeps:
            for blob in blobs.values():
                if store.leases.counts[blob.digest] == 1:  # nobody else is about to read it
                    await store.blobs.delete(blob.digest)
        return bool(arrived) or renamed

    def _layer(self, blob: Descriptor, diff_id: Digest) -> AbstractAsyncContextManager[Arrived]:
        if blob.urls:
            raise Unsupported(
                f"layer {blob.digest} is foreign: it is to be had from {blob.urls[0]} alone, which is not asked"
            )

        def bring(tell: Tell) -> AbstractAsyncContextManager[Arrived]:
            return arriving(self.transfers.store, self.repository, blob, diff_id, self.transfers.downloads, tell)

        return self.transfers.flights.join((blob.digest, diff_id), bring, self.board.of(short(blob.digest)))

    async def _keep(self, selected: Selected, arrived: dict[Digest, Arrived]) -> bool:
        """Layers, blobs, then the row: a crash in between leaves garbage. Whether the name means something else now."""
        store, variant = self.transfers.store, selected.variant
        async with AsyncExitStack() as stack:
            staged = {
                diff_id: await self._directory(arrived[diff_id], stack)
                for diff_id in store.layers.missing(variant.config.diff_ids)
            }
            faults.point("pull.stack")
            await store.layers.stack(variant.config.diff_ids, staged)
            for one in arrived.values():
                await one.commit()
                self.board.tell("Pull complete", short(one.blob.digest))
            await self.transfers.sources.add(self.name, _blobs(variant))
            faults.point("pull.record")
            former = store.records.target(self.name)
            await store.records.add(selected.target, [self.name])
            return former != selected.target.digest

    async def _directory(self, one: Arrived, stack: AsyncExitStack) -> Staged:
        """The layer's files. When another image took them and made them its own, they are unpacked once more."""
        if not one.taken:
            one.taken = True
            return one.staged
        again = await stack.enter_async_context(self.transfers.store.layers.stage())
        await archive.run(lambda: one.refill(self.transfers.store.blobs, again), again.stop)
        return again


def _blobs(variant: Variant) -> list[Digest]:
    return [variant.manifest.config.digest, *(layer.digest for layer in variant.manifest.layers or ())]


async def _all_at_once(
    stack: AsyncExitStack, contexts: dict[Digest, AbstractAsyncContextManager[Arrived]]
) -> dict[Digest, Arrived]:
    """Enter every context; `stack` leaves them."""
    arrived: dict[Digest, Arrived] = {}

    async def enter(diff_id: Digest, context: AbstractAsyncContextManager[Arrived]) -> None:
        arrived[diff_id] = await stack.enter_async_context(context)

    try:
        async with asyncio.TaskGroup() as group:
            for diff_id, context in contexts.items():
                group.create_task(enter(diff_id, context))
    except BaseExceptionGroup as failures:
        raise first(failures) from None
    return arrived
