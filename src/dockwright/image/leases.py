"""Leases: content that a running operation needs, though no reference leads to it yet. They end with the process, so what a
crash leaves is collected at the next start."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from dockwright.oci import Digest, chain_ids


class Lease:
    """One operation's hold. Hold what you are about to store or to rely on *before* you look whether it is there."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held: list[Digest] = []

    async def hold(self, digests: Iterable[Digest]) -> None:
        """Keep blobs and snapshots with these digests. Waits for a collection that is under way."""
        wanted = list(digests)
        async with self._leases.collecting:
            self._leases.counts.update(wanted)
        self._held += wanted

    async def hold_layers(self, diff_ids: tuple[Digest, ...]) -> None:
        """Keep the stack of these layers, and each layer that another stack brought already."""
        await self.hold([*diff_ids, *chain_ids(diff_ids)])

    def end(self) -> None:
        """Let go of everything."""
        self._leases.counts.subtract(self._held)
        self._held.clear()


class Leases:
    """All leases of a process. A collection holds `collecting` while it decides and deletes."""

    def __init__(self) -> None:
        self.counts: Counter[Digest] = Counter()
        self.collecting = asyncio.Lock()
        self._open = 0

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """A hold that lasts as long as the context."""
        lease = Lease(self)
        self._open += 1
        try:
            yield lease
        finally:
            self._open -= 1
            lease.end()

    @property
    def idle(self) -> bool:
        """Whether no operation is under way: content whose digest nobody could know in advance is safe only then."""
        return self._open == 0

    def held(self) -> set[Digest]:
        """Everything that some operation holds."""
        return {digest for digest, count in self.counts.items() if count > 0}
