"""Leases: content that a running operation needs, though no reference leads to it yet. They end with the process, so what a
crash leaves is collected at the next start.

A collection and an operation never wait for each other's work: whoever wants to hold something that is being deleted at this
very moment waits for that deletion (milliseconds), and what is held while a collection is under way is not deleted by it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from dockwright.oci import Digest, chain_ids


class Lease:
    """One operation's hold. Hold what you are about to store or to rely on *before* you look whether it is there."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held: list[Digest] = []

    async def hold(self, digests: Iterable[Digest]) -> None:
        """Keep blobs and snapshots with these digests; waits for one that is being deleted."""
        wanted = list(digests)
        await self._leases.count(wanted)
        self._held += wanted

    async def hold_layers(self, diff_ids: tuple[Digest, ...]) -> None:
        """Keep the stack of these layers, and each layer that another stack brought already."""
        await self.hold([*diff_ids, *chain_ids(diff_ids)])

    def end(self) -> None:
        """Let go of everything."""
        self._leases.counts.subtract(self._held)
        self._held.clear()


class Leases:
    """All leases of a process, and what the collection under way may delete."""

    def __init__(self) -> None:
        self.counts: Counter[Digest] = Counter()
        # One collection at a time.
        self.collecting = asyncio.Lock()
        # Whatever was held since the collection under way began to look around; None without one.
        self._seen: set[Digest] | None = None
        self._doomed: set[Digest] = set()
        self._swept = asyncio.Event()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """A hold that lasts as long as the context."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            lease.end()

    async def count(self, wanted: list[Digest]) -> None:
        """Count `wanted` as held once more."""
        while not self._doomed.isdisjoint(wanted):
            await self._swept.wait()
        self.counts.update(wanted)
        if self._seen is not None:
            self._seen.update(wanted)

    @contextmanager
    def collection(self) -> Iterator[None]:
        """While a collection lasts, from before it looks what is referred to until it has deleted the rest."""
        self._seen = {digest for digest, count in self.counts.items() if count > 0}
        self.counts = Counter({digest: count for digest, count in self.counts.items() if count > 0})
        try:
            yield
        finally:
            self._seen = None

    @contextmanager
    def dooming(self, candidates: Iterable[Digest]) -> Iterator[set[Digest]]:
        """Those of `candidates` that may be deleted, as nobody held them since the collection began. Nobody gets a hold of
        them until the context ends."""
        assert self._seen is not None, "part of a collection"
        self._doomed = set(candidates) - self._seen
        self._swept.clear()
        try:
            yield self._doomed
        finally:
            self._doomed = set()
            self._swept.set()
