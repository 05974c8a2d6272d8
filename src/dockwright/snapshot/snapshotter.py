"""The seam `Snapshotter`: file system trees that build on each other.

A snapshot is *active* (writable), a *view* (read-only) or *committed* (immutable, may be a parent). Its life:

    await snapshots.prepare("container-1", parent="sha256:...")     # active, on top of a committed one
    await snapshots.mount("container-1", Path("/run/x/rootfs"))
    ...
    changed = await snapshots.changes("container-1")
    await snapshots.unmount(Path("/run/x/rootfs"))
    await snapshots.commit("sha256:...new", "container-1")           # or: await snapshots.remove("container-1")

Keys are any text, unique over all kinds. The conformance suite is `tests/engine/snapshot/conformance.py`.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

Kind = Literal["active", "view", "committed"]


class ChangeKind(IntEnum):
    """The numbers of the Engine API's `ChangeType`."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One path of a snapshot that differs from its parent; `path` is absolute, as seen inside."""

    kind: ChangeKind
    path: str


class Usage(NamedTuple):
    """What a snapshot holds by itself, parents not counted: bytes allocated on disk (`du`) and inodes."""

    size_bytes: int
    inodes: int


class SnapshotInfo(NamedTuple):
    """`created_ns` is nanoseconds since 1970."""

    key: str
    kind: Kind
    parent: str | None
    created_ns: int


class Snapshotter(Protocol):
    """File system trees. Every method may be called from several tasks at once, for different keys."""

    async def prepare(self, key: str, parent: str | None = None) -> None:
        """Make an active snapshot, empty or on top of the committed `parent`.

        Raises `Conflict` when `key` exists, `NotFound` when `parent` does not, `Invalid` when it is not committed.
        """
        ...

    async def view(self, key: str, parent: str | None = None) -> None:
        """Make a view of the committed `parent`. Raises as `prepare` does."""
        ...

    async def mount(self, key: str, target: Path, *, readonly: bool = False) -> None:
        """Mount an active snapshot or a view (always read-only) at the directory `target`.

        One mount per active snapshot at a time. Raises `NotFound`; `Invalid` for a committed snapshot.
        """
        ...

    async def unmount(self, target: Path) -> None:
        """Take the mount at `target` away; what still uses it keeps it until it ends. Safe when nothing is mounted there."""
        ...

    async def commit(self, name: str, key: str) -> None:
        """Turn the active snapshot `key`, no longer mounted, into the committed snapshot `name`; durable on return.

        Raises `NotFound`, `Invalid` when `key` is not active, `Conflict` when `name` exists.
        """
        ...

    async def remove(self, key: str) -> bool:
        """Remove a snapshot; whether its data goes too: equal data may serve others.

        Raises `NotFound`; `InUse` while another builds on it.
        """
        ...

    def stat(self, key: str) -> SnapshotInfo:
        """Raises `NotFound`."""
        ...

    def walk(self) -> list[SnapshotInfo]:
        """Every snapshot, parents before children."""
        ...

    async def usage(self, key: str) -> Usage:
        """Raises `NotFound`."""
        ...

    async def changes(self, key: str) -> list[Change]:
        """How an active snapshot differs from its parent, sorted by path. Raises `NotFound`."""
        ...
