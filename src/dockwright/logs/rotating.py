"""An append-only file that is rotated: `path`, `path.1` (the newest of the old), … `path.N`, the old ones perhaps gzipped.

One writer, any number of readers in other threads. A file is rotated only when everything in it is marked (see `LogDriver`),
so after a crash at most the newest file holds bytes past the last mark.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip

from dockwright.logs.record import Mark

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """`size_bytes` a file, `files` of them in all, the newest included."""

    size_bytes: int
    files: int
    compress: bool = False


class RotatingFile:
    """The writer's side. Blocking; safe to read from other threads by `segment`."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        #: The number of the newest file; each rotation adds one. Old ones count down from it.
        self.newest = 0
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        self._size = os.fstat(self._file.fileno()).st_size

    def append(self, data: bytes) -> None:
        """Write all of `data`, or nothing: what got through before an error is cut off again."""
        rest = memoryview(data)
        try:
            while rest:  # a disk that fills up takes a part first, and refuses only the next write
                rest = rest[os.write(self._file.fileno(), rest) :]
        except OSError:
            os.ftruncate(self._file.fileno(), self._size)
            raise
        self._size += len(data)

    def mark(self) -> Mark:
        """The end of the newest file."""
        return Mark(os.fstat(self._file.fileno()).st_ino, self._size)

    def rotate_if_full(self) -> bool:
        """Begin a new file when the newest has its size; whether it did."""
        if self._size < self.limits.size_bytes:
            return False
        self.rotate()
        return True

    def rewind(self, mark: Mark) -> None:
        """Cut off what came after `mark`; a newest file the mark does not know began after it."""
        size = mark.size if os.fstat(self._file.fileno()).st_ino == mark.inode else 0
        if size < self._size:
            os.ftruncate(self._file.fileno(), size)
            self._size = size

    def cut(self, size: int) -> None:
        """Shorten the newest file to `size`: a torn end after a power cut."""
        os.ftruncate(self._file.fileno(), size)
        self._size = size

    def oldest(self) -> int:
        """The number of the oldest file there is."""
        with self._lock:
            age = 0
            while age + 1 < self.limits.files and (self._name(age + 1).exists() or self._zipped(age + 1).exists()):
                age += 1
            return self.newest - age

    def segment(self, number: int) -> BinaryIO | None:
        """File `number` opened for reading (an old one perhaps through gzip), None when it is gone."""
        with self._lock:
            age = self.newest - number
            for path, zipped in ((self._name(age), False), (self._zipped(age), True)):
                try:
                    return _open_zipped(path, "rb") if zipped else path.open("rb")
                except FileNotFoundError:
                    continue
        return None

    def close(self) -> None:
        """Safe to call twice."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete every file."""
        self.close()
        for age in range(self.limits.files + 1):
            self._name(age).unlink(missing_ok=True)
            self._zipped(age).unlink(missing_ok=True)

    def rotate(self) -> None:
        """Begin a new file."""
        with self._lock:
            last = self.limits.files - 1
            if last > 0:
                self._name(last).unlink(missing_ok=True)
                self._zipped(last).unlink(missing_ok=True)
            for age in range(last - 1, 0, -1):
                for name in (self._name, self._zipped):
                    if name(age).exists():
                        name(age).rename(name(age + 1))
            if last > 0:
                self.path.rename(self._name(1))
            else:
                self.path.unlink()
            self._file.close()
            self._file = self._open()
            self._size = 0
            self.newest += 1
        if self.limits.compress and last > 0:
            self._compress()

    def _compress(self) -> None:
        source, target = self._name(1), self._zipped(1)
        temporary = target.with_suffix(".tmp")
        with source.open("rb") as plain, _open_zipped(temporary, "wb") as packed:
            while chunk := plain.read(_COPY_BYTES):
                packed.write(chunk)
        with self._lock:
            temporary.rename(target)
            source.unlink()

    def _open(self) -> BinaryIO:
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        return cast(BinaryIO, os.fdopen(fd, "ab", buffering=0))

    def _name(self, age: int) -> Path:
        return self.path if age == 0 else self.path.with_name(f"{self.path.name}.{age}")

    def _zipped(self, age: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{age}.gz")


def _open_zipped(path: Path, mode: str) -> BinaryIO:
    return cast(BinaryIO, igzip.open(path, mode, compresslevel=1))  # type: ignore[no-untyped-call]
