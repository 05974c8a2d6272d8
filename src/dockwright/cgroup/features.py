"""What of `HostConfig` this host can honour: the booleans of `info`, and its warnings in Docker's words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dockwright.cgroup.hierarchy import Hierarchy
from dockwright.errors import Invalid

_CPU_LIMIT = 8192


@dataclass(frozen=True)
class Features:
    """Named as `info` names them; `cpus` and `memory_nodes` are lists as in cpuset.cpus."""

    version: int
    memory_limit: bool = False
    swap_limit: bool = False
    memory_reservation: bool = False
    memory_swappiness: bool = False
    oom_kill_disable: bool = False
    cpu_cfs_period: bool = False
    cpu_cfs_quota: bool = False
    cpu_shares: bool = False
    cpu_realtime: bool = False
    cpu_set: bool = False
    pids_limit: bool = False
    blkio_weight: bool = False
    blkio_weight_device: bool = False
    blkio_read_bps: bool = False
    blkio_write_bps: bool = False
    blkio_read_iops: bool = False
    blkio_write_iops: bool = False
    cpus: str = ""
    memory_nodes: str = ""

    def warnings(self) -> tuple[str, ...]:
        """What `docker info` prints."""
        v2 = self.version == 2
        missing = [
            (self.memory_limit, "No memory limit support"),
            (self.swap_limit, "No swap limit support"),
            (self.oom_kill_disable or v2, "No oom kill disable support"),
            (self.cpu_cfs_quota, "No cpu cfs quota support"),
            (self.cpu_cfs_period, "No cpu cfs period support"),
            (self.cpu_shares, "No cpu shares support"),
            (self.cpu_set, "No cpuset support"),
            (self.blkio_weight or not v2, "No io.weight support"),
            (self.blkio_weight_device or not v2, "No io.weight (per device) support"),
            (self.blkio_read_bps, f"No {'io.max (rbps)' if v2 else 'blkio throttle.read_bps_device'} support"),
            (self.blkio_write_bps, f"No {'io.max (wbps)' if v2 else 'blkio throttle.write_bps_device'} support"),
            (self.blkio_read_iops, f"No {'io.max (riops)' if v2 else 'blkio throttle.read_iops_device'} support"),
            (self.blkio_write_iops, f"No {'io.max (wiops)' if v2 else 'blkio throttle.write_iops_device'} support"),
        ]
        return tuple(f"WARNING: {text}" for there, text in missing if not there)


def features(hierarchy: Hierarchy) -> Features:
    """Look at the control files. Blocking, a dozen `stat` calls."""
    return _v2(hierarchy) if hierarchy.version == 2 else _v1(hierarchy)


def parse_cpu_list(text: str) -> set[int]:
    """`0,3-4,7` as numbers. Raises `Invalid`, in Docker's words, also for numbers no host has."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise Invalid(f"invalid format: {text}")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise Invalid(f"invalid format: {text}")
        if high > _CPU_LIMIT:
            raise Invalid(f"value of out range, maximum is {_CPU_LIMIT}")
        found.update(range(low, high + 1))
    return found


def _v1(hierarchy: Hierarchy) -> Features:
    def has(controller: str, name: str) -> bool:
        root = hierarchy.controllers.get(controller)
        return root is not None and (root / name).exists()

    return Features(
        version=1,
        memory_limit="memory" in hierarchy.controllers,
        swap_limit=has("memory", "memory.memsw.limit_in_bytes"),
        memory_reservation=has("memory", "memory.soft_limit_in_bytes"),
        memory_swappiness=has("memory", "memory.swappiness"),
        oom_kill_disable=has("memory", "memory.oom_control"),
        cpu_cfs_period=has("cpu", "cpu.cfs_quota_us"),
        cpu_cfs_quota=has("cpu", "cpu.cfs_quota_us"),
        cpu_shares=has("cpu", "cpu.shares"),
        cpu_realtime=has("cpu", "cpu.rt_period_us"),
        cpu_set="cpuset" in hierarchy.controllers,
        pids_limit="pids" in hierarchy.controllers,
        blkio_weight=has("blkio", "blkio.weight"),
        blkio_weight_device=has("blkio", "blkio.weight_device"),
        blkio_read_bps=has("blkio", "blkio.throttle.read_bps_device"),
        blkio_write_bps=has("blkio", "blkio.throttle.write_bps_device"),
        blkio_read_iops=has("blkio", "blkio.throttle.read_iops_device"),
        blkio_write_iops=has("blkio", "blkio.throttle.write_iops_device"),
        cpus=_text(hierarchy, "cpuset.cpus"),
        memory_nodes=_text(hierarchy, "cpuset.mems"),
    )


def _v2(hierarchy: Hierarchy) -> Features:
    has = hierarchy.controllers.__contains__
    # The root cgroup has no limits of its own: swap accounting shows in any other.
    example = _some_child(hierarchy.unified) if hierarchy.unified is not None else None
    return Features(
        version=2,
        memory_limit=has("memory"),
        swap_limit=has("memory") and example is not None and (example / "memory.swap.max").exists(),
        memory_reservation=has("memory"),
        memory_swappiness=False,
        oom_kill_disable=False,
        cpu_cfs_period=has("cpu"),
        cpu_cfs_quota=has("cpu"),
        cpu_shares=has("cpu"),
        cpu_set=has("cpuset"),
        pids_limit=has("pids"),
        blkio_weight=has("blkio"),
        blkio_weight_device=has("blkio"),
        blkio_read_bps=has("blkio"),
        blkio_write_bps=has("blkio"),
        blkio_read_iops=has("blkio"),
        blkio_write_iops=has("blkio"),
        cpus=_text(hierarchy, "cpuset.cpus.effective"),
        memory_nodes=_text(hierarchy, "cpuset.mems.effective"),
    )


def _text(hierarchy: Hierarchy, name: str) -> str:
    root = hierarchy.controllers.get("cpuset")
    try:
        return (root / name).read_text().strip() if root is not None else ""
    except OSError:
        return ""


def _some_child(root: Path) -> Path | None:
    for entry in os.scandir(root):
        if entry.is_dir(follow_symlinks=False) and Path(entry.path, "memory.max").exists():
            return Path(entry.path)
    return None
