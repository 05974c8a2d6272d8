"""The init layer: mount targets that every container needs, in a layer of their own between image and container.

Without it the runtime would make them in the container's writable layer, where `diff` and `commit` would find them. One
per image, shared by its containers, made when the first is created, collected with the image's other unused layers.
"""

from __future__ import annotations

import asyncio
import os
import secrets

from dockwright import rooted, workers
from dockwright.container.parts import Parts
from dockwright.errors import NotFound
from dockwright.undo import UndoStack

_DIRECTORIES = ("/dev/pts", "/dev/shm", "/proc", "/sys", "/etc")
_FILES = {
    "/dev/console": 0o644,
    "/etc/hosts": 0o644,
    "/etc/hostname": 0o644,
    "/etc/resolv.conf": 0o644,
    "/.dockerenv": 0o755,
}
_making = asyncio.Lock()


async def on_top_of(parts: Parts, parent: str | None) -> str:
    """The key of the init layer on the snapshot `parent` (None: on nothing), made when there is none yet."""
    key = f"init:{parent or 'empty'}"
    if _exists(parts, key):
        return key
    async with _making:
        if not _exists(parts, key):
            await _make(parts, key, parent)
    return key


def _exists(parts: Parts, key: str) -> bool:
    try:
        parts.snapshots.stat(key)
    except NotFound:
        return False
    return True


async def _make(parts: Parts, key: str, parent: str | None) -> None:
    draft = f"{key}:{secrets.token_hex(4)}"
    target = parts.paths.exec / f".init-{secrets.token_hex(4)}"
    async with UndoStack() as undo:
        undo.push_undo(workers.quick, os.rmdir, target)
        await workers.quick(target.mkdir, parents=True)
        await parts.snapshots.prepare(draft, parent)
        undo.push_undo(_discard, parts, draft)
        undo.push_undo(parts.snapshots.unmount, target)
        await parts.snapshots.mount(draft, target)
        await workers.quick(_fill, os.fspath(target))
        await parts.snapshots.unmount(target)
        await parts.snapshots.commit(key, draft)


async def _discard(parts: Parts, draft: str) -> None:
    try:
        await parts.snapshots.remove(draft)
    except NotFound:
        pass  # it was committed


def _fill(root: str) -> None:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        for directory in _DIRECTORIES:
            try:
                os.close(rooted.make_directories(root_fd, directory))
            except OSError:
                continue  # the image has something else there: the runtime will say so
        for path, mode in _FILES.items():
            _touch(root_fd, path, mode)
    finally:
        os.close(root_fd)


def _touch(root_fd: int, path: str, mode: int) -> None:
    folder, _, name = path.rpartition("/")
    try:
        folder_fd = rooted.open_in_root(root_fd, folder or "/", os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return  # as above
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode, dir_fd=folder_fd))
    except FileExistsError:
        pass  # the image's own
    finally:
        os.close(folder_fd)
