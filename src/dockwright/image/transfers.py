"""What all pulls and pushes of an engine have in common: the registries, the limits, the work in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from dockwright.credentials import Credentials
from dockwright.distribution import Registries, Repository
from dockwright.errors import DockwrightError, NotFound, Unsupported
from dockwright.flights import Flights, Slots
from dockwright.image.arriving import Arrived
from dockwright.image.sources import Sources
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, Reference
from dockwright.tasks import Background


@dataclass(frozen=True)
class TransferLimits:
    """Layers that are brought in, and sent out, at a time by all pulls and pushes together."""

    downloads: int = 3
    uploads: int = 5


class Transfers:
    """Owned by `Images`; `aclose` stops what still runs."""

    def __init__(
        self,
        store: Store,
        sources: Sources,
        registries: Registries | None,
        limits: TransferLimits | None = None,
        *,
        drop_unpacked: bool = False,
    ) -> None:
        limits = limits or TransferLimits()
        self.store, self.sources = store, sources
        store.bring = self.refetch
        self._registries = registries
        self.drop_unpacked = drop_unpacked
        self.background = Background("transfers")
        self.flights: Flights[tuple[Digest, Digest], Arrived, [str, int | None, int | None]] = Flights(self.background)
        self.downloads, self.uploads = Slots(limits.downloads), Slots(limits.uploads)
        # Layers become a stack one image at a time: two images may have brought the same layer together.
        self.stacking = asyncio.Lock()

    def repository(self, name: Reference, credentials: Credentials | None = None) -> Repository:
        """Raises `Unsupported` for an engine that was opened without registries."""
        if self._registries is None:
            raise Unsupported("this engine was opened without registries")
        return self._registries.repository(name, credentials)

    async def tidy(self) -> None:
        """Forget where blobs are to be had that no image leads to."""
        rows = list(self.store.records.images.values())
        await self.sources.keep(
            [one.digest for row in rows async for one in self.store.documents.reachable(row.target)]
        )

    async def set_limits(self, limits: TransferLimits) -> None:
        """Change the limits; what is under way goes on."""
        await self.downloads.set_limit(limits.downloads)
        await self.uploads.set_limit(limits.uploads)

    async def refetch(self, blob: Descriptor) -> None:
        """Bring a blob back that is not kept here, from where it came, without credentials.

        Raises `NotFound` when nobody has it any more, or not for everybody.
        """
        for source in await self.sources.of(blob.digest):
            try:
                async with self.store.blobs.ingest(blob.digest) as ingest:
                    async with aclosing(self._rest(source, blob, ingest.offset)) as chunks:
                        async for chunk in chunks:
                            await ingest.write(chunk)
                    await ingest.commit(blob.digest, blob.size)
                return
            except NotFound:
                await self.sources.forget(source, blob.digest)
            except DockwrightError:
                continue  # out of reach or not for everybody: perhaps the next one
        raise NotFound(f"content {blob.digest} not found")

    async def aclose(self) -> None:
        """Stop everything. Safe to call twice."""
        await self.background.aclose()

    async def _rest(self, source: Reference, blob: Descriptor, offset: int) -> AsyncGenerator[bytes, None]:
        if offset < blob.size:
            async with aclosing(self.repository(source).blob(blob, offset)) as chunks:
                async for chunk in chunks:
                    yield chunk
