"""Copies of volumes: snapshots kept beside them, clones, archives, and the first filling from an image.

    root/<volume>/<tag>/       a snapshot's content
    root/.<anything>           on its way in or out

A volume is copied under its lock: it is not mounted for anybody new meanwhile. Who has it mounted already goes on writing,
unless the caller has it stand `still` (`container.quiet`): as long as the copy is made or put in place, and no longer.
"""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from pathlib import Path

import msgspec
from msgspec.structs import replace

from dockwright import archive, faults, workers
from dockwright.errors import Conflict, Invalid, NotFound
from dockwright.events import Events
from dockwright.snapshot.mountapi import sync_file_system
from dockwright.store import Database
from dockwright.undo import UndoStack, shielded
from dockwright.volume import copying
from dockwright.volume.locks import NamedLocks
from dockwright.volume.manager import Volumes
from dockwright.volume.volume import Volume, check_name

Still = AbstractAsyncContextManager[object]
"""While it lasts, who has the volume mounted does not write; entered for the moment of the copy or the exchange."""
_AS_IT_IS: Still = nullcontext()


class Snapshot(msgspec.Struct, frozen=True):
    """The content of a volume at one moment. Times are nanoseconds since 1970, sizes bytes on disk (reflinks not known)."""

    volume: str
    tag: str
    created_ns: int
    size_bytes: int


class Copies:
    """Makes copies of the volumes of `volumes`; snapshots are below `root`."""

    def __init__(self, volumes: Volumes, database: Database, events: Events, root: Path) -> None:
        self._volumes = volumes
        self._database = database
        self._events = events
        self._root = root
        self._snapshots: dict[tuple[str, str], Snapshot] = {}
        self._locks = NamedLocks()
        volumes.tags_of = lambda name: [snapshot.tag for snapshot in self.snapshots(name)]

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshots(self, name: str = "") -> list[Snapshot]:
        """The snapshots of one volume, or of all, oldest first."""
        found = [snapshot for (volume, _), snapshot in self._snapshots.items() if not name or volume == name]
        return sorted(found, key=lambda snapshot: (snapshot.volume, snapshot.created_ns))

    def get(self, name: str, tag: str) -> Snapshot:
        """Raises `NotFound`."""
        try:
            return self._snapshots[name, tag]
        except KeyError:
            raise NotFound(f"no such snapshot: {name}@{tag}") from None

    async def snapshot(self, name: str, tag: str, still: Still = _AS_IT_IS) -> Snapshot:
        """Keep the content of a volume as it is now. Raises `NotFound`, `Conflict` when the tag is taken, `Invalid`.

        A failed or cancelled call leaves nothing.
        """
        check_name(tag)
        self._check_free(name, tag)
        async with self._draft(name, still=still) as draft, self._locks.holding(name), UndoStack() as undo:
            self._check_free(name, tag)
            place = self._place(name, tag)
            undo.push_undo(workers.bulk, _discard, place)
            faults.point("volume.snapshot")
            size = await workers.bulk(_keep, draft, place)
            faults.point("volume.snapshot.persist")
            found = Snapshot(name, tag, time.time_ns(), size)
            await self._save(found)
            await self._volumes.keep([name])  # whoever wants a snapshot wants the volume
            undo.release()
            self._snapshots[name, tag] = found
        await self._events.publish("volume", "snapshot", name, driver=self._volumes.get(name).driver, tag=tag)
        return found

    async def restore(self, name: str, tag: str, still: Still = _AS_IT_IS) -> None:
        """Give a volume the content of a snapshot, whole or not at all: what a kill interrupts, the next start ends."""
        async with self._draft(name, tag=tag) as draft, still, self._held(name) as (volume, path):
            await self._replace(volume, path, copying.putting(draft, f"restoring {name}@{tag}", move=True))
        await self._events.publish("volume", "restore", name, driver=volume.driver, tag=tag)

    async def remove(self, name: str, tag: str) -> None:
        """Forget a snapshot. Raises `NotFound`."""
        self.get(name, tag)
        await self._delete(name, tag)
        self._snapshots.pop((name, tag), None)
        faults.point("volume.snapshot.remove")
        await workers.bulk(_discard, self._place(name, tag))

    async def renamed(self, name: str, new_name: str) -> None:
        """The volume has another name, and its rows tell so. May be repeated."""
        await workers.quick(_move, self._root / name, self._root / new_name)
        for key in [key for key in self._snapshots if key[0] == name]:
            moved = replace(self._snapshots.pop(key), volume=new_name)
            self._snapshots[new_name, moved.tag] = moved
            await self._save(moved)

    # -- other copies ----------------------------------------------------------------------------------------------

    async def clone(self, name: str, new_name: str, *, tag: str = "", still: Still = _AS_IT_IS) -> Volume:
        """A new volume with the content, the driver, the options and the labels of another, or of its snapshot `tag`.

        Raises `NotFound`, `Conflict` when `new_name` is taken, `Invalid`. A failed or cancelled call leaves nothing.
        """
        check_name(new_name)
        volume = self._volumes.get(name)
        fresh = Volume(new_name, volume.driver, time.time_ns(), labels=volume.labels, options=volume.options)
        async with self._draft(name, tag=tag, still=still) as draft, self._volumes.locked(new_name):
            return await self._fresh(fresh, lambda inside: workers.bulk(copying.move_or_copy, draft, inside))

    @asynccontextmanager
    async def unpacked(self, stream: AsyncIterable[bytes]) -> AsyncIterator[Path]:
        """A directory with what a tar archive (plain or compressed) holds, for `put`. Raises `Invalid`, `Corrupt`."""
        async with self._empty() as draft:
            await archive.write(draft, "/", stream)
            await workers.bulk(sync_file_system, draft)
            yield draft

    async def put(self, name: str, draft: Path, *, replace_content: bool = False, still: Still = _AS_IT_IS) -> Volume:
        """Give a volume the content of the directory `draft`; it is made, or else must be empty or to be replaced.

        Raises `Conflict`. Whole or not at all, as `restore`.
        """
        check_name(name)
        async with self._volumes.locked(name):
            if not self._volumes.exists(name):
                fresh = Volume(name, "local", time.time_ns())
                return await self._fresh(fresh, lambda inside: workers.bulk(copying.move_or_copy, draft, inside))
        async with still, self._held(name) as (volume, path):
            if not replace_content and not await workers.bulk(copying.is_empty, path):
                raise Conflict(f"import {name}: the volume holds something: say that it is to be replaced")
            await self._replace(volume, path, copying.putting(draft, f"importing {name}", move=True))
        return volume

    @asynccontextmanager
    async def exporting(
        self, name: str, *, tag: str = "", still: Still | None = None
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """A tar of a volume's or of a snapshot's content.

        With `still` it is of a copy that is made meanwhile: what is written from then on is not seen.
        """
        if tag:
            self.get(name, tag)
            async with aclosing(archive.export(self._place(name, tag))) as stream:
                yield stream
            return
        if still is not None:
            async with (
                self._draft(name, still=still, durable=False) as draft,
                aclosing(archive.export(draft)) as stream,
            ):
                yield stream
            return
        user = f"export-{secrets.token_hex(8)}"
        async with UndoStack() as undo:
            self._volumes.claim(name, user)
            undo.callback(self._volumes.release, name, user)
            undo.push_undo(self._volumes.unmount, name, user)
            async with aclosing(archive.export(await self._volumes.mount(name, user))) as stream:
                yield stream

    async def fill(self, name: str, user: str, source: Callable[[], Awaitable[Path | None]]) -> None:
        """Give an empty volume the content of the directory that `source` names; it is asked only where that is needed.

        `user` mounts it meanwhile. Cut short, it leaves the volume empty; an anonymous one goes with its container then.
        """
        async with self._volumes.locked(name):
            volume = self._volumes.get(name)
            try:
                path = await self._volumes.mount_held(volume, user)
                if not await workers.quick(copying.is_empty, path) or (found := await source()) is None:
                    return
                faults.point("volume.fill")
                if volume.belongs_to:
                    await workers.bulk(copying.copy_tree, found, path, f"filling volume {name}")
                else:
                    await self._replace(volume, path, copying.putting(found, f"filling volume {name}"))
            finally:
                await shielded(self._volumes.unmount_held(name, user))

    # -- the daemon's life -----------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what is kept, end renames that were begun, and remove what is no snapshot."""
        rows = await self._database.read(lambda db: db.execute("SELECT volume, body FROM volume_snapshot").fetchall())
        for volume, body in rows:
            found = replace(msgspec.json.decode(body, type=Snapshot), volume=volume)
            self._snapshots[volume, found.tag] = found
        for old, new in self._volumes.renames().items():
            await workers.quick(_move, self._root / old, self._root / new)
        await workers.bulk(self._sweep)

    def _sweep(self) -> None:
        if not self._root.is_dir():
            return
        for home in self._root.iterdir():
            if home.name.startswith("."):
                _discard(home)
                continue
            for place in home.iterdir():
                if (home.name, place.name) not in self._snapshots:
                    _discard(place)

    # -- steps -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _draft(
        self, name: str, *, tag: str = "", still: Still = _AS_IT_IS, durable: bool = True
    ) -> AsyncIterator[Path]:
        """A copy of a volume, made while it stands `still`, or of a snapshot; the caller may move it elsewhere.

        It is on the disk before the context begins, where it is to last.
        """
        async with self._empty() as draft:
            if tag:
                self.get(name, tag)
                await workers.bulk(copying.copy_tree, self._place(name, tag), draft, f"copying {name}@{tag}")
            else:
                async with still, self._held(name) as (_, path):
                    await workers.bulk(copying.copy_tree, path, draft, f"copying volume {name}")
            if durable:
                await workers.bulk(sync_file_system, self._root)
            yield draft

    @asynccontextmanager
    async def _empty(self) -> AsyncIterator[Path]:
        """A directory beside the snapshots, with what it is filled with, for as long as the context lasts."""
        draft = self._root / f".{secrets.token_hex(8)}"
        async with UndoStack() as undo:
            undo.push_undo(workers.bulk, _discard, draft)
            await workers.quick(_make, draft)
            yield draft / "in"

    def _check_free(self, name: str, tag: str) -> None:
        if (name, tag) in self._snapshots:
            raise Conflict(f"a snapshot {name}@{tag} exists")

    @asynccontextmanager
    async def _held(self, name: str, *more: str) -> AsyncIterator[tuple[Volume, Path]]:
        """A volume, locked and mounted while the context lasts."""
        user = f"copy-{secrets.token_hex(8)}"
        async with self._volumes.locked(name, *more), UndoStack() as undo:
            volume = self._volumes.get(name)
            undo.push_undo(self._volumes.unmount_held, name, user)
            yield volume, await self._volumes.mount_held(volume, user)

    async def _replace(self, volume: Volume, path: Path, put: copying.Put) -> None:
        """Exchange what the volume holds for what `put` gives; a kill is put right by the next mount."""
        token = secrets.token_hex(8)
        await self._volumes.complete(replace(volume, exchange=token))
        try:
            await shielded(workers.bulk(copying.exchange, path, token, put), limit_s=None)
        finally:
            await shielded(self._settle(volume, path, token), limit_s=None)

    async def _settle(self, volume: Volume, path: Path, token: str) -> None:
        """An exchange that was begun is ended whatever happens; one that was not is forgotten."""
        await workers.bulk(copying.finish, path, token)
        await self._volumes.complete(volume)

    async def _fresh(self, volume: Volume, put: Callable[[Path], Awaitable[None]]) -> Volume:
        """A new volume, seen by nobody before `put` has filled it. Its lock is held."""
        user = f"copy-{secrets.token_hex(8)}"
        async with UndoStack() as undo:
            undo.push_undo(self._volumes.abandon, volume)
            await self._volumes.begin(volume)
            undo.push_undo(self._volumes.unmount_fresh, volume, user)
            path = await self._volumes.mount_held(volume, user)
            faults.point("volume.copy")
            await put(path)
            await self._volumes.unmount_fresh(volume, user)
            await self._volumes.complete(volume)
            undo.release()
        await self._events.publish("volume", "create", volume.name, driver=volume.driver)
        return volume

    def _place(self, name: str, tag: str) -> Path:
        return self._root / name / tag

    async def _save(self, snapshot: Snapshot) -> None:
        values = (snapshot.volume, snapshot.tag, msgspec.json.encode(snapshot))
        await self._database.write(
            lambda db: db.execute("INSERT OR REPLACE INTO volume_snapshot VALUES (?, ?, ?)", values) and None
        )

    async def _delete(self, name: str, tag: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM volume_snapshot WHERE volume = ? AND tag = ?", (name, tag))

        await self._database.write(work)


def split(reference: str) -> tuple[str, str]:
    """`NAME@TAG` as its parts; the tag is "" where there is none. Raises `Invalid`."""
    name, at, tag = reference.partition("@")
    if at and not tag:
        raise Invalid(f"{reference}: the tag after @ is missing")
    return name, tag


def _make(draft: Path) -> None:
    draft.mkdir(mode=0o700, parents=True)
    (draft / "in").mkdir(mode=0o755)


def _keep(draft: Path, place: Path) -> int:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.rename(place)
    return copying.tree_size(place)


def _move(old: Path, new: Path) -> None:
    """Every snapshot from one directory to another; fine where some, or all, have been moved."""
    if old.is_dir():
        new.mkdir(mode=0o700, exist_ok=True)
        for place in old.iterdir():
            place.rename(new / place.name)
        old.rmdir()


def _discard(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
