"""Archives made on the spot: a root file system of Debian's static busybox, and files to carry about. No hub."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
_DIRECTORIES = ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var")
_MIB = 1 << 20


def busybox_tar(path: Path) -> Path:
    """Write the root file system of a busybox image to `path`, and return it."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in _DIRECTORIES:
            tar.addfile(_member(name, tarfile.DIRTYPE))
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for name in sorted(set(applets) - {"busybox"}):
            member = _member(f"bin/{name}", tarfile.SYMTYPE)
            member.linkname = "busybox"
            tar.addfile(member)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        _add(tar, "etc/group", b"root:x:0:\n", 0o644)
    return path


def files_tar(path: Path, size_mib: int) -> Path:
    """Write an archive of `size_mib` MiB in files of 64 KiB and 4 MiB that do not compress, and return `path`."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_member("data", tarfile.DIRTYPE))
        for number in range(size_mib // 8):
            tar.addfile(_member(f"data/{number}", tarfile.DIRTYPE))
            for part in range(64):
                _add(tar, f"data/{number}/small-{part}", os.urandom(_MIB // 16), 0o644)
            _add(tar, f"data/{number}/big", os.urandom(4 * _MIB), 0o644)
    return path


def big_file(path: Path, size_mib: int) -> Path:
    """Write one file of `size_mib` MiB that does not compress."""
    with path.open("wb") as out:
        for _ in range(size_mib):
            out.write(os.urandom(_MIB))
    return path


def many_files(folder: Path, count: int) -> Path:
    """Write `count` files of 2 KiB, a hundred in each directory."""
    content = os.urandom(2048)
    for number in range(count):
        directory = folder / str(number // 100)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / str(number)).write_bytes(content)
    return folder


def _member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, 0o755, 1_700_000_000
    return member


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = _member(name)
    member.mode, member.size = mode, len(content)
    tar.addfile(member, io.BytesIO(content))
