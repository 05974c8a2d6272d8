"""What builds may do and how much their cache may take: an engine's settings for its builder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NETWORK_HOST, SECURITY_INSECURE = "network.host", "security.insecure"
ENTITLEMENTS = (NETWORK_HOST, SECURITY_INSECURE)
# What is easily made again: after two days, beyond so much of it.
_TEMPORARY = ("source.local", "exec.cachemount", "source.git.checkout")
_TEMPORARY_BYTES = 512_000_000
_TEMPORARY_SHARE = 0.138
# Shares of the disk.
_RESERVED, _MAX_USED, _MIN_FREE = 0.10, 0.80, 0.20


@dataclass(frozen=True)
class Space:
    """How much room there is for a cache; 0 is no bound.

    `reserved_bytes` are its own in any case; `max_used_bytes` it never exceeds; it makes room until `min_free_bytes` of the
    disk are free, as far as its own reserve allows.
    """

    reserved_bytes: int = 0
    max_used_bytes: int = 0
    min_free_bytes: int = 0

    def kept(self, total_bytes: int, free_bytes: int) -> int:
        """How much of `total_bytes` may stay when `free_bytes` of the disk are free. Without any bound, nothing."""
        if not (self.reserved_bytes or self.max_used_bytes or self.min_free_bytes):
            return 0
        kept = self.max_used_bytes
        if self.min_free_bytes:
            missing = max(0, self.min_free_bytes - free_bytes)
            kept = min(kept or total_bytes, total_bytes - missing)
        return max(kept, self.reserved_bytes)


@dataclass(frozen=True)
class Rule:
    """One rule of the cache's upkeep: of what matches `filters` and was not used for `unused_s`, the least recently used goes
    until the rest has room. `everything` takes what images are made of along."""

    space: Space
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unused_s: float = 0.0
    everything: bool = False


@dataclass(frozen=True)
class BuilderOptions:
    """`entitlements` are what a build may ask for. Without `rules` there are those of dockerd, made of `space` or, where that
    has no bound, of the size of the disk. `repositories_of_host` takes file:// for the address of a repository."""

    entitlements: frozenset[str] = frozenset((NETWORK_HOST,))
    upkeep: bool = True
    space: Space = field(default_factory=Space)
    rules: tuple[Rule, ...] = ()
    repositories_of_host: bool = False

    def upkeep_rules(self, data: Path) -> tuple[Rule, ...]:
        """The rules to follow, one after the other; `data` is on the disk whose size counts. Blocking."""
        if not self.upkeep:
            return ()
        return self.rules or _default_rules(self.space if self.space != Space() else _of_disk(data))


def _of_disk(data: Path) -> Space:
    disk = os.statvfs(data)
    total = disk.f_blocks * disk.f_frsize
    return Space(int(total * _RESERVED), int(total * _MAX_USED), int(total * _MIN_FREE))


def _default_rules(space: Space) -> tuple[Rule, ...]:
    temporary = Space(max_used_bytes=max(_TEMPORARY_BYTES, int(space.reserved_bytes * _TEMPORARY_SHARE)))
    return (
        Rule(temporary, {"type": _TEMPORARY}, unused_s=48 * 3600, everything=True),
        Rule(space, unused_s=60 * 24 * 3600),
        Rule(space),
        Rule(space, everything=True),
    )


def free_bytes(data: Path) -> int:
    """How much of the disk is free. Blocking."""
    disk = os.statvfs(data)
    return disk.f_bavail * disk.f_frsize
