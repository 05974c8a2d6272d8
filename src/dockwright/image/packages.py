"""Which packages a tree has, by what its package manager wrote down: dpkg (Debian, Ubuntu, distroless) and apk (Alpine)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dockwright import archive
from dockwright.rooted import read_file

# Debian's largest status files are about 10 MB.
_LIMIT_BYTES = 64 << 20
_MANY = 20_000

_DPKG = "var/lib/dpkg/status"
# Distroless images: one file for each package.
_DPKG_PARTS = "var/lib/dpkg/status.d"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")


class PackageName(NamedTuple):
    """A package by name and architecture: a host may have libc6 for two of them."""

    name: str
    architecture: str


def installed(root: Path) -> dict[PackageName, str]:
    """The version of every package that the tree at `root` has. Blocking; what is malformed is passed over."""
    found: dict[PackageName, str] = {}
    for fields in _dpkg(root):
        if fields.get("Status", "install ok installed").endswith(" installed"):
            _add(found, fields.get("Package"), fields.get("Architecture"), fields.get("Version"))
    for path in _APK:
        for fields in _paragraphs(read_file(root, path, _LIMIT_BYTES), ":"):
            _add(found, fields.get("P"), fields.get("A"), fields.get("V"))
    return found


def _dpkg(root: Path) -> Iterator[dict[str, str]]:
    yield from _paragraphs(read_file(root, _DPKG, _LIMIT_BYTES), ": ")
    for name in _names(root, _DPKG_PARTS)[:_MANY]:
        if not name.endswith(".md5sums"):
            yield from _paragraphs(read_file(root, f"{_DPKG_PARTS}/{name}"), ": ")


def _names(root: Path, folder: str) -> list[str]:
    with archive.Root(root) as confined:
        try:
            return sorted(os.listdir(confined.directory(folder.encode())))
        except OSError:
            return []  # no such directory: no such packages


def _paragraphs(content: bytes, colon: str) -> Iterator[dict[str, str]]:
    """Fields by name; lines that begin with a space go on with a text nobody here asks for."""
    fields: dict[str, str] = {}
    for line in content.decode(errors="replace").splitlines():
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif not line[0].isspace():
            name, found, value = line.partition(colon)
            if found:
                fields[name] = value.strip()
    if fields:
        yield fields


def _add(found: dict[PackageName, str], name: str | None, architecture: str | None, version: str | None) -> None:
    if name and version:
        found[PackageName(name, architecture or "")] = version
