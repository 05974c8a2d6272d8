"""OCI `mounts`: Docker's default file systems, then the container's own mount points."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from dockwright import kernel
from dockwright.container.config import HostConfig
from dockwright.container.mounts import MountPoint
from dockwright.errors import Invalid, Unsupported

DEFAULT_SHM_BYTES = 64 << 20

MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def build(
    host: HostConfig,
    points: list[MountPoint],
    host_files: dict[str, str],
    *,
    shm_source: str = "",
    init: str = "",
    writable_cgroups: bool = False,
) -> list[dict[str, Any]]:
    """All OCI mounts, in mounting order.

    `host_files` maps paths in the container (/etc/hosts, …) to files of the engine; `shm_source` is a directory to bind at
    /dev/shm in place of a tmpfs of its own; `init` is the host's path of the program for --init.
    """
    taken = {point.destination for point in points}
    mounts = [mount for mount in _defaults(host, shm_source, writable_cgroups) if mount["destination"] not in taken]
    own = [_point(point) for point in points]
    for inside, source in host_files.items():
        if inside not in taken:
            mode = "ro" if host.readonly_rootfs else "rw"
            own.append(_bind(inside, source, ["rbind", "rprivate", mode]))
    if init:
        own.append(_bind("/sbin/docker-init", init, ["bind", "ro"]))
    # What is mounted over a directory must not hide what belongs below it: a volume at /etc, and /etc/hosts.
    return mounts + sorted(own, key=lambda mount: mount["destination"].rstrip("/").count("/"))


def masked_paths(host: HostConfig, unconfined: bool) -> list[str]:
    """OCI `linux.maskedPaths`: Docker's, the ones asked for (an empty list is none), none when privileged."""
    if host.masked_paths is not None:
        return host.masked_paths
    return [] if host.privileged or unconfined else MASKED


def readonly_paths(host: HostConfig, unconfined: bool) -> list[str]:
    """OCI `linux.readonlyPaths`: Docker's, the ones asked for (an empty list is none), none when privileged."""
    if host.readonly_paths is not None:
        return host.readonly_paths
    return [] if host.privileged or unconfined else READ_ONLY


def _defaults(host: HostConfig, shm_source: str, writable_cgroups: bool) -> list[dict[str, Any]]:
    sys_mode = "rw" if host.privileged else "ro"
    cgroup_mode = "rw" if host.privileged or writable_cgroups else "ro"
    shm_size = host.shm_size or DEFAULT_SHM_BYTES
    shm: dict[str, Any] = {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}"],
    }
    if shm_source:
        shm = _bind("/dev/shm", shm_source, ["rbind", "rprivate", "rw"])
    mounts = [
        _special("/proc", "proc", ["nosuid", "noexec", "nodev"]),
        _special("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _special("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        _special("/sys", "sysfs", ["nosuid", "noexec", "nodev", sys_mode]),
        _special("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", cgroup_mode]),
        # Whatever IPC namespace the container is in, the host's included, this shows its queues.
        _special("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
    ]
    return mounts if host.ipc_mode == "none" else [*mounts, shm]


def _point(point: MountPoint) -> dict[str, Any]:
    if point.type == "tmpfs":
        options = [*point.options, *([] if point.rw or "ro" in point.options else ["ro"])]
        return {"destination": point.destination, "type": "tmpfs", "source": "tmpfs", "options": options}
    if not point.source:
        raise Invalid(f"mount {point.destination} has no source")
    source = point.pinned or point.source
    propagation = point.propagation or "rprivate"
    # crun takes any r- option for "recursive", the bind included.
    options = ["bind", propagation.removeprefix("r")] if point.non_recursive else ["rbind", propagation]
    kept = _flags_of(source)
    if not point.rw:
        # Nothing is mounted below a file, and crun 1.8 takes the option for directories alone.
        recursive = point.recursive_read_only and not point.non_recursive and os.path.isdir(source)
        if point.force_recursive_read_only and not _has_recursive_read_only():
            raise Unsupported(f"mount {point.destination}: recursive read-only mounts need Linux 5.12")
        kept = ["rro" if recursive and _has_recursive_read_only() else "ro", *(flag for flag in kept if flag != "ro")]
    options += kept
    return _bind(point.destination, source, options)


def _flags_of(source: str) -> list[str]:
    """What the mount that holds `source` does not allow: crun sets the flags of a bind anew, and would allow it."""
    try:
        flags = os.statvfs(source).f_flag
    except OSError:
        return []  # the runtime says what is wrong with it
    named = ((os.ST_RDONLY, "ro"), (os.ST_NOSUID, "nosuid"), (os.ST_NODEV, "nodev"), (os.ST_NOEXEC, "noexec"))
    return [name for flag, name in named if flags & flag]


@cache
def _has_recursive_read_only() -> bool:
    return kernel.version(os.uname().release) >= (5, 12)  # mount_setattr(2)


def _special(destination: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": kind, "options": options}


def _bind(destination: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": "bind", "source": source, "options": options}
