"""What the build cache takes, and what of it may go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dockwright.build.cache.records import Cache
from dockwright.build.policy import Rule, Space, free_bytes
from dockwright.build.sources.shelf import Shelf
from dockwright.build.steps.mounting import Mounter
from dockwright.errors import Invalid
from dockwright.oci import Digest
from dockwright.units import parse_time

FILTERS = ("until", "id", "type", "description", "inuse", "shared", "private")


@dataclass(frozen=True)
class CacheUse:
    """One thing that is kept. `kind` is `regular` (a layer, a download), `source.local` (a copy of a client's directory),
    `source.git.checkout` or `exec.cachemount`.

    `folder` is where it lies when it is no layer; `in_use` tells that a step or a build has it now, `shared` that it is a layer
    of an image, too: without it here, nothing comes free.
    """

    id: str
    kind: str
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    folder: Path | None = None
    in_use: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Pruned:
    """What went, and how many bytes came free with it."""

    ids: list[str]
    freed_bytes: int


@dataclass(frozen=True)
class Holdings:
    """Everything that builds keep: rows and their layers, cache mounts, sources. The methods block."""

    cache: Cache
    mounter: Mounter
    shelf: Shelf
    data: Path

    def usage(self, of_images: Set[Digest]) -> list[CacheUse]:
        """All of it, the least recently used first; `of_images` are the snapshots that images are made of."""
        found = [
            CacheUse(
                row.key,
                row.kind,
                row.title,
                row.size_bytes,
                row.created_ns,
                row.used_ns,
                row.uses,
                shared=row.tree.chain in of_images,
            )
            for row in self.cache.all()
        ]
        found += [_of_folder(folder, self.mounter.used[folder.name] > 0) for folder in self.mounter.folders()]
        for kept in self.shelf.all():
            about, folder = kept.about, self.shelf.path(kept.name)
            found.append(
                CacheUse(
                    kept.name,
                    about.kind,
                    about.title,
                    about.size_bytes,
                    about.created_ns,
                    kept.used_ns,
                    0,
                    folder,
                    kept.held,
                )
            )
        return sorted(found, key=lambda use: use.used_ns)

    def choose(
        self, rule: Rule, of_images: Set[Digest], wanted: Callable[[CacheUse], bool] | None = None
    ) -> list[CacheUse]:
        """What `rule` lets go of what is `wanted`: the least recently used first. Raises `Invalid` for an unknown filter.

        What is an image's too takes no room of its own.
        """
        unknown = set(rule.filters) - set(FILTERS)
        if unknown:
            raise Invalid(f"invalid filter '{min(unknown)}': the build cache is chosen by {', '.join(FILTERS)}")
        now = time.time_ns()
        until = min((parse_time(text, now) for text in rule.filters.get("until", ())), default=now)
        until = min(until, now - int(rule.unused_s * 1e9))
        all_ = self.usage(of_images)
        left = sum(_own_bytes(use) for use in all_)
        kept, bounded = rule.space.kept(left, free_bytes(self.data)), rule.space != Space()
        chosen = []
        for use in all_:
            if bounded and left <= kept:
                break
            may = (rule.everything or not use.shared) and (wanted is None or wanted(use))
            if may and not use.in_use and use.used_ns <= until and _matches(use, rule.filters):
                chosen.append(use)
                left -= _own_bytes(use)
        return chosen

    def remove_folders(self, chosen: Sequence[CacheUse]) -> list[CacheUse]:
        """Delete what is no layer; what of `chosen` is gone now. What somebody has begun to use meanwhile stays."""
        gone = []
        for use in chosen:
            if use.folder is not None and use.folder.parent == self.shelf.directory:
                if not self.shelf.remove(use.id):
                    continue
            elif use.folder is not None and not self.mounter.remove(use.folder):
                continue
            gone.append(use)
        return gone


def freed_bytes(gone: Sequence[CacheUse]) -> int:
    """What comes free with them."""
    return sum(_own_bytes(use) for use in gone)


def _own_bytes(use: CacheUse) -> int:
    return 0 if use.shared else use.size_bytes


def empty(directory: Path) -> None:
    """Remove what a former daemon left in `directory`, which is made when it is not there. Blocking."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)


def _of_folder(folder: Path, in_use: bool) -> CacheUse:
    seen = folder.stat()
    size = sum(one.lstat().st_blocks * 512 for one in folder.rglob("*"))
    title = "cache mount"
    return CacheUse(folder.name, "exec.cachemount", title, size, seen.st_ctime_ns, seen.st_mtime_ns, 0, folder, in_use)


def _matches(use: CacheUse, filters: Mapping[str, Sequence[str]]) -> bool:
    if (ids := filters.get("id")) and not any(use.id.startswith(one) for one in ids):
        return False
    if (kinds := filters.get("type")) and use.kind not in kinds:
        return False
    for name, held in (("inuse", use.in_use), ("shared", use.shared), ("private", not use.shared)):
        if (wanted := filters.get(name)) and held not in [text.lower() in ("1", "true", "") for text in wanted]:
            return False
    return not (texts := filters.get("description")) or any(text in use.description for text in texts)
