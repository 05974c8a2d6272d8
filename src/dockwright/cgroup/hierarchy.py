"""Where the host keeps its cgroups: v1, v2, or hybrid (v1 controllers, and an empty v2 tree beside them).

cgroups(7); the kernel's admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dockwright.errors import HostFailure, InUse, Unsupported

log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
#: What OCI runtimes use; other controllers are mounted only where the v2 tree would hold them otherwise.
WANTED = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
#: Options of a v1 mount that name no controller.
_NO_CONTROLLERS = frozenset({"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode"})
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_RELATIME = 2, 4, 8, 1 << 21
_FLAGS = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RELATIME
_ESCAPED = re.compile(r"\\(\d{3})")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Hierarchy:
    """`controllers` maps each controller to the root of the tree it lives in; `unified` is the v2 tree, if mounted."""

    controllers: Mapping[str, Path]
    unified: Path | None

    @property
    def version(self) -> int:
        """2 when the v2 tree holds the controllers, else 1 (hybrid too): `CgroupVersion` of `info`."""
        return 2 if self.unified is not None and self.controllers.get("memory", self.unified) == self.unified else 1

    @property
    def mode(self) -> str:
        """v1, v2 or hybrid."""
        if self.version == 2:
            return "v2"
        return "v1" if self.unified is None else "hybrid"

    def roots(self) -> list[Path]:
        """The root of every tree."""
        trees = dict.fromkeys(self.controllers.values())
        if self.unified is not None:
            trees[self.unified] = None
        return list(trees)


@dataclass(frozen=True)
class Cgroup:
    """One container's cgroup: the directory in the tree of each controller."""

    version: int
    directories: Mapping[str, Path]

    def file(self, controller: str, name: str) -> Path | None:
        """A control file, None where the host has no such controller."""
        directory = self.directories.get(controller)
        return directory / name if directory is not None else None

    def read(self, controller: str, name: str) -> str:
        """A control file's text, empty when it is not there (the container may have ended meanwhile)."""
        path = self.file(controller, name)
        try:
            return path.read_text() if path is not None else ""
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                return ""
            raise


def parse(mountinfo: str, unified_controllers: str = "") -> Hierarchy:
    """The trees in a `/proc/self/mountinfo`; `unified_controllers` is the v2 root's `cgroup.controllers`."""
    controllers: dict[str, Path] = {}
    unified: Path | None = None
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if not dash or len(fields) < 5 or len(kind) < 3 or fields[3] != "/":
            continue  # a part of a tree mounted elsewhere is not the tree
        path = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if kind[0] == "cgroup2" and unified is None:
            unified = path
        elif kind[0] == "cgroup":
            for option in kind[2].split(","):
                controllers.setdefault(option, path)
    known = {name: path for name, path in controllers.items() if name not in _NO_CONTROLLERS and "=" not in name}
    if unified is not None:
        for name in unified_controllers.split():
            known.setdefault("blkio" if name == "io" else name, unified)
    return Hierarchy(known, unified)


def detect() -> Hierarchy:
    """This host's trees. Raises `Unsupported` when there are none."""
    mountinfo = Path("/proc/self/mountinfo").read_text()
    first = parse(mountinfo)
    held = ""
    if first.unified is not None:
        held = (first.unified / "cgroup.controllers").read_text()
    found = parse(mountinfo, held)
    if not found.controllers and found.unified is None:
        raise Unsupported("no cgroup file system is mounted (cgroups(7)); nothing limits or counts containers without")
    return found


def mount_missing() -> list[str]:
    """Mount what a host without systemd left out, as cgroupfs-mount does; returns what was mounted.

    On a host with v1 controllers: those that runtimes use, and those the v2 tree still holds (crun refuses to start on a
    hybrid host then). On a host with nothing at all: the v2 tree. On a v2 host nothing. Failures are logged: a runtime
    may do without. Needs CAP_SYS_ADMIN.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text()
    found = parse(mountinfo)
    if found.unified is None and not found.controllers:
        return ["cgroup2"] if _mount(ROOT, "cgroup2", "") else []
    if found.unified == ROOT:
        return []
    held = (found.unified / "cgroup.controllers").read_text().split() if found.unified is not None else []
    names = {"io": "blkio"}
    wanted = [*WANTED, *(names.get(name, name) for name in held)]
    mounted = []
    for name in _missing(wanted, found, Path("/proc/cgroups").read_text()):
        folder = ROOT / name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            log.warning("%s: %s", folder, error.strerror)
            continue
        if _mount(folder, "cgroup", name):
            mounted.append(name)
    return mounted


def _missing(wanted: Iterable[str], found: Hierarchy, table: str) -> list[str]:
    """The wanted controllers that the kernel has (`/proc/cgroups`) and no v1 tree holds."""
    enabled = {line.split()[0] for line in table.splitlines() if not line.startswith("#") and line.split()[-1] == "1"}
    return [name for name in dict.fromkeys(wanted) if name in enabled and name not in found.controllers]


def _mount(folder: Path, kind: str, options: str) -> bool:
    result = _libc.mount(kind.encode(), os.fsencode(folder), kind.encode(), ctypes.c_ulong(_FLAGS), options.encode())
    if result != 0:
        log.warning("cgroup %s: mount on %s: %s", options or kind, folder, os.strerror(ctypes.get_errno()).lower())
    return bool(result == 0)


def named(hierarchy: Hierarchy, path: str) -> Cgroup:
    """The cgroup at `path` (as in the OCI `cgroupsPath`) in every tree."""
    inside = path.strip("/")
    directories = {name: root / inside for name, root in hierarchy.controllers.items()}
    if hierarchy.unified is not None:
        directories[""] = hierarchy.unified / inside
    return Cgroup(hierarchy.version, directories)


def of_process(hierarchy: Hierarchy, pid: int) -> Cgroup:
    """The cgroup a process is in. Raises `ProcessLookupError` when it has ended."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text()
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    places: dict[str, str] = {}
    for line in text.splitlines():
        _, names, inside = line.split(":", 2)
        for name in names.split(","):
            places[name] = inside.strip("/")
    directories = {
        name: root / places.get(name if root != hierarchy.unified else "", "")
        for name, root in hierarchy.controllers.items()
    }
    if hierarchy.unified is not None:
        directories[""] = hierarchy.unified / places.get("", "")
    return Cgroup(hierarchy.version, directories)


def remove(hierarchy: Hierarchy, path: str) -> None:
    """Remove the cgroup at `path` and what is below it, in every tree; one that is gone is no error. Blocking.

    Raises `InUse` when processes are in it.
    """
    inside = path.strip("/")
    if not inside or ".." in inside.split("/"):
        raise HostFailure(f"not a container's cgroup: {path!r}")
    for root in hierarchy.roots():
        _remove_tree(root / inside)


def kill(hierarchy: Hierarchy, path: str) -> None:
    """Kill what is in the cgroup at `path` and below it, in every tree; one that is gone is no error. Blocking."""
    inside = path.strip("/")
    if not inside or ".." in inside.split("/"):
        raise HostFailure(f"not a container's cgroup: {path!r}")
    for root in hierarchy.roots():
        for listed in (root / inside).glob("**/cgroup.procs"):
            try:
                for pid in listed.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it went by itself


def _remove_tree(directory: Path) -> None:
    try:
        children = [Path(entry.path) for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for child in children:
        _remove_tree(child)
    try:
        directory.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise InUse(f"cgroup {directory} still has processes") from error
        raise HostFailure(f"cgroup {directory}: {os.strerror(error.errno or 0).lower()}") from error
