"""Where what was fetched is kept: one folder a thing, complete or not there, with what people are told of it.

    DIRECTORY/<name>/about.json     kind, title, size
    DIRECTORY/<name>/...            the thing
    DIRECTORY/.new-<random>/        being made; removed by the next start

A folder that is held is not removed. `used_ns` is its time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import faults

_NEW = ".new-"
ABOUT = "about.json"


class About(msgspec.Struct):
    """`kind` as Docker's build cache has it: `source.git.checkout`, `regular`."""

    kind: str
    title: str
    size_bytes: int = 0
    created_ns: int = 0
    uses: int = 0


@dataclass(frozen=True)
class Kept:
    """One folder."""

    name: str
    about: About
    used_ns: int
    held: bool


class Shelf:
    """The folders of one directory. The methods block, but for `holding` and `lock`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._held: Counter[str] = Counter()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def clear(self) -> None:
        """At the start: what was being made goes."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in self.directory.iterdir():
            if entry.name.startswith(_NEW) or not (entry / ABOUT).is_file():
                shutil.rmtree(entry, ignore_errors=True)

    def path(self, name: str) -> Path:
        """The folder `name`, there or not."""
        return self.directory / name

    def has(self, name: str) -> bool:
        """Whether it is there; that is a use of it."""
        about = self.path(name) / ABOUT
        try:
            os.utime(about)
        except FileNotFoundError:
            return False
        return True

    def lock(self, name: str) -> asyncio.Lock:
        """For whoever makes or changes the folder."""
        return self._locks[name]

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """It is not removed meanwhile."""
        self._held[name] += 1
        try:
            yield
        finally:
            self._held[name] -= 1

    def make(self) -> Path:
        """A folder to make something in; `put` gives it its name, `discard` takes it away.

        What is in it may be mounted into steps, for any user of theirs; the directory above is shut to those of the host.
        """
        folder = self.directory / f"{_NEW}{secrets.token_hex(12)}"
        folder.mkdir(mode=0o755)
        return folder

    def discard(self, folder: Path) -> None:
        """Remove what `make` gave. One that has its name already is no error."""
        shutil.rmtree(folder, ignore_errors=True)

    def put(self, folder: Path, name: str, about: About) -> None:
        """`folder` becomes `name`."""
        about.created_ns = time.time_ns()
        self.describe(folder, about)
        _sync(folder)
        faults.point("build.source")
        os.rename(folder, self.path(name))

    def describe(self, folder: Path, about: About) -> None:
        """Write what is told of it; its size, where that is not known, is counted."""
        about.size_bytes = about.size_bytes or _size(folder)
        new = folder / f"{ABOUT}.new"
        new.write_bytes(msgspec.json.encode(about))
        os.replace(new, folder / ABOUT)

    def about(self, name: str) -> About:
        """What is told of it."""
        return msgspec.json.decode((self.path(name) / ABOUT).read_bytes(), type=About)

    def all(self) -> list[Kept]:
        """Every folder."""
        found = []
        for entry in sorted(self.directory.iterdir()) if self.directory.is_dir() else []:
            try:
                if not entry.name.startswith(_NEW):
                    used_ns = (entry / ABOUT).stat().st_mtime_ns
                    found.append(Kept(entry.name, self.about(entry.name), used_ns, self._held[entry.name] > 0))
            except (FileNotFoundError, msgspec.DecodeError):
                continue
        return found

    def remove(self, name: str) -> bool:
        """Remove a folder, unless it is held."""
        if self._held[name] > 0 or self._locks[name].locked():
            return False
        new = self.directory / f"{_NEW}{secrets.token_hex(12)}"
        try:
            os.rename(self.path(name), new)
        except FileNotFoundError:
            return False
        self.discard(new)
        return True


def _size(folder: Path) -> int:
    total = 0

    def walk(path: str) -> None:
        nonlocal total
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    walk(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512

    walk(str(folder))
    return total


def _sync(folder: Path) -> None:
    """What is renamed into place is on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
