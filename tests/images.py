"""Root file systems for tests, made on the spot from Debian's static busybox: no hub, no network."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")

_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUP = """\
root:x:0:
daemon:x:1:
audio:x:29:app
staff:x:50:app,root
app:x:1000:
nogroup:x:65534:
"""
_FILES = {
    "etc/passwd": (_PASSWD, 0o644),
    "etc/group": (_GROUP, 0o644),
    "etc/shadow": ("root:*:19000:0:99999:7:::\napp:!:19000:0:99999:7:::\n", 0o600),
    "etc/nsswitch.conf": ("passwd: files\ngroup: files\nhosts: files dns\n", 0o644),
    "etc/os-release": ('ID=busybox\nNAME="BusyBox"\nPRETTY_NAME="BusyBox"\n', 0o644),
    "home/app/.profile": ("export FROM_PROFILE=1\n", 0o644),
}
_DIRECTORIES = {
    **dict.fromkeys(("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "usr/sbin", "sbin"), 0o755),
    **dict.fromkeys(("var", "var/log", "var/spool", "run", "mnt", "opt"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
    "home/app": 0o755,
}
MTIME_S = 1_700_000_000


def busybox_tar(path: Path) -> Path:
    """Write the root file system to `path`, an uncompressed tar, and return `path`; the bytes are always the same."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in sorted(_DIRECTORIES.items()):
            tar.addfile(_member(name, mode, kind=tarfile.DIRTYPE))
        content = BUSYBOX.read_bytes()
        tar.addfile(_member("bin/busybox", 0o755, size=len(content)), io.BytesIO(content))
        for applet in applets():
            tar.addfile(_member(f"bin/{applet}", 0o777, kind=tarfile.SYMTYPE, target="busybox"))
        for name, (text, mode) in sorted(_FILES.items()):
            tar.addfile(_member(name, mode, size=len(text)), io.BytesIO(text.encode()))
    return path


def applets() -> list[str]:
    """The commands that this busybox has, `busybox` itself not counted."""
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return sorted(set(listed) - {"busybox"})


def _member(name: str, mode: int, *, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname, member.mtime = kind, mode, size, target, MTIME_S
    if name.startswith("home/app"):
        member.uid = member.gid = 1000
    elif name == "etc/shadow":
        member.gid = 42
    return member
