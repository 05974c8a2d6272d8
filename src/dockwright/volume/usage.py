"""Who refers to a volume, and for whom it is mounted."""

from __future__ import annotations

import asyncio

from dockwright.errors import InUse

SETTLE_LIMIT_S = 10.0


class Usage:
    """Claims (a container refers to the volume, running or not) and mounts (its data is visible for somebody)."""

    def __init__(self) -> None:
        self._claims: dict[str, set[str]] = {}
        self._mounts: dict[str, set[str]] = {}
        self._changed = asyncio.Condition()

    def claim(self, name: str, user: str) -> None:
        self._claims.setdefault(name, set()).add(user)

    def release(self, name: str, user: str) -> None:
        if users := self._claims.get(name):
            users.discard(user)
            if not users:
                del self._claims[name]

    def claims(self, name: str) -> set[str]:
        return self._claims.get(name, set())

    def mounting(self, name: str, user: str) -> None:
        """Said before it is tried: what comes of it may be unknown."""
        self._mounts.setdefault(name, set()).add(user)

    async def unmounted(self, name: str, user: str) -> None:
        if users := self._mounts.get(name):
            users.discard(user)
            if not users:
                del self._mounts[name]
        async with self._changed:
            self._changed.notify_all()

    def mounts(self, name: str) -> set[str]:
        return self._mounts.get(name, set())

    def renamed(self, name: str, new_name: str) -> None:
        for table in (self._claims, self._mounts):
            if users := table.pop(name, None):
                table[new_name] = users

    async def settled(self, name: str) -> None:
        """Wait until those whose claim has gone have unmounted it too, at most `SETTLE_LIMIT_S`. Raises `InUse`."""
        try:
            async with asyncio.timeout(SETTLE_LIMIT_S), self._changed:
                await self._changed.wait_for(lambda: self.mounts(name) <= self.claims(name))
        except TimeoutError:
            left = ", ".join(sorted(self.mounts(name) - self.claims(name)))
            raise InUse(f"remove {name}: volume is in use - [{left}]: it is still mounted for what has ended") from None
