"""File modes as Go writes them (`os.FileMode`): permissions below, kinds above."""

from __future__ import annotations

import stat

DIRECTORY, SYMLINK, DEVICE, PIPE, SOCKET = 1 << 31, 1 << 27, 1 << 26, 1 << 25, 1 << 24
SETUID, SETGID, CHARACTER_DEVICE, STICKY, IRREGULAR = 1 << 23, 1 << 22, 1 << 21, 1 << 20, 1 << 19
_KIND = DIRECTORY | SYMLINK | DEVICE | PIPE | SOCKET | CHARACTER_DEVICE | IRREGULAR

_KINDS = {
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFBLK: DEVICE,
    stat.S_IFCHR: DEVICE | CHARACTER_DEVICE,
    stat.S_IFIFO: PIPE,
    stat.S_IFSOCK: SOCKET,
    stat.S_IFREG: 0,
}
_BITS = ((stat.S_ISUID, SETUID), (stat.S_ISGID, SETGID), (stat.S_ISVTX, STICKY))


def to_go(mode: int) -> int:
    """The `st_mode` of stat(2) as Go has it."""
    special = sum(go for unix, go in _BITS if mode & unix)
    return (mode & 0o777) | special | _KINDS.get(stat.S_IFMT(mode), IRREGULAR)


def permissions(mode: int) -> int:
    """The permission bits, with those of chmod(2) above them."""
    return (mode & 0o777) | sum(unix for unix, go in _BITS if mode & go)


def is_directory(mode: int) -> bool:
    """Whether it is a directory."""
    return bool(mode & DIRECTORY)


def is_symlink(mode: int) -> bool:
    """Whether it is a symbolic link."""
    return bool(mode & SYMLINK)


def is_regular(mode: int) -> bool:
    """Whether it has content that can be asked for."""
    return not mode & _KIND


def kind(mode: int) -> int:
    """Which kind of file it is, as stat(2) says it; 0 for one that stat(2) does not know."""
    return next((unix for unix, go in _KINDS.items() if mode & _KIND == go), 0)
