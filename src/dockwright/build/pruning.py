"""What the build cache takes, and what of it may go."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from dockwright.build.cache import Cache
from dockwright.errors import Invalid
from dockwright.units import parse_time

FILTERS = ("until", "id", "type", "description")


@dataclass(frozen=True)
class CacheUse:
    """One thing that is kept. `kind` is `regular` (a layer) or `exec.cachemount`."""

    id: str
    kind: str
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int


@dataclass(frozen=True)
class Pruned:
    """What went, and how many bytes came free with it."""

    ids: list[str]
    freed_bytes: int


def usage(cache: Cache, caches: Path) -> list[CacheUse]:
    """Everything that is kept, the least recently used first. Blocking."""
    found = [
        CacheUse(row.key, row.kind, row.title, row.size_bytes, row.created_ns, row.used_ns, row.uses)
        for row in cache.all()
    ]
    for folder in sorted(caches.iterdir()) if caches.is_dir() else []:
        seen = folder.stat()
        size = sum(one.lstat().st_blocks * 512 for one in folder.rglob("*"))
        found.append(
            CacheUse(folder.name, "exec.cachemount", "cache mount", size, seen.st_ctime_ns, seen.st_mtime_ns, 0)
        )
    return sorted(found, key=lambda use: use.used_ns)


def choose(
    cache: Cache, caches: Path, filters: dict[str, list[str]], everything: bool, keep_bytes: int
) -> list[CacheUse]:
    """What a prune deletes: what matches the filters, until no more than `keep_bytes` are left.

    Without `everything`, cache mounts stay. Blocking. Raises `Invalid` for an unknown filter.
    """
    unknown = set(filters) - set(FILTERS)
    if unknown:
        raise Invalid(f"invalid filter '{min(unknown)}': the build cache is chosen by {', '.join(FILTERS)}")
    now = time.time_ns()
    until = min((parse_time(text, now) for text in filters.get("until", [])), default=now)
    all_ = usage(cache, caches)
    left = sum(use.size_bytes for use in all_)
    chosen = []
    for use in all_:
        if keep_bytes and left <= keep_bytes:
            break
        if use.used_ns <= until and _matches(use, filters) and (everything or use.kind == "regular"):
            chosen.append(use)
            left -= use.size_bytes
    return chosen


def remove_caches(caches: Path, chosen: list[CacheUse]) -> None:
    """Delete the directories of cache mounts. Blocking."""
    for use in chosen:
        if use.kind == "exec.cachemount":
            shutil.rmtree(caches / use.id, ignore_errors=True)


def empty(directory: Path) -> None:
    """Remove what a former daemon left in `directory`, which is made when it is not there. Blocking."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)


def _matches(use: CacheUse, filters: dict[str, list[str]]) -> bool:
    if (ids := filters.get("id")) and not any(use.id.startswith(one) for one in ids):
        return False
    if (kinds := filters.get("type")) and use.kind not in kinds:
        return False
    return not (texts := filters.get("description")) or any(text in use.description for text in texts)
