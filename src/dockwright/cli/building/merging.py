"""Putting a received tree over a directory: files replace those of the same name, what else is there stays. Blocking."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from dockwright.errors import HostFailure

_INDEX = "index.json"
_NAME = "org.opencontainers.image.ref.name"


def merge(source: Path, target: Path) -> None:
    """Move what is in `source` into `target`, both on one file system. Of image layouts the indexes are joined.

    Raises `HostFailure`.
    """
    try:
        if (target / _INDEX).is_file() and (source / "oci-layout").is_file():
            _join_indexes(source / _INDEX, target / _INDEX)
        _merge(source, target)
    except OSError as error:
        raise HostFailure(f"cannot write {error.filename or target}: {error.strerror}") from error


def empty(directory: Path) -> None:
    """Remove what is in `directory`, where it is there. Raises `HostFailure`."""
    try:
        for entry in list(os.scandir(directory)) if directory.exists() else ():
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    except OSError as error:
        raise HostFailure(f"cannot remove {error.filename or directory}: {error.strerror}") from error


def _merge(source: Path, target: Path) -> None:
    if not os.path.lexists(target):
        os.rename(source, target)
        return
    for entry in list(os.scandir(source)):
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            if place.is_dir():
                _merge(Path(entry.path), place)
                continue
            if os.path.lexists(place):
                place.unlink()
            os.rename(entry.path, place)
        else:
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            os.replace(entry.path, place)
    found = source.stat()
    if source.name != "fs":  # the target itself keeps its mode and times
        os.chmod(target, stat.S_IMODE(found.st_mode))
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _join_indexes(new: Path, old: Path) -> None:
    """The old index's images too, but for those whose names the new one takes."""
    ours, theirs = _read(new), _read(old)
    taken = {_name(one) for one in ours["manifests"]} | {one.get("digest") for one in ours["manifests"]}
    kept = [one for one in theirs["manifests"] if _name(one) not in taken and one.get("digest") not in taken]
    ours["manifests"] = [*kept, *ours["manifests"]]
    new.write_text(json.dumps(ours))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("manifests"), list):
        raise HostFailure(f"{path} is no index of an image layout")
    return found


def _name(one: dict[str, Any]) -> str | None:
    found = (one.get("annotations") or {}).get(_NAME)
    return found if isinstance(found, str) else None
