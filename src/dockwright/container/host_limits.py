"""Limits against what this host's cgroups can hold to: unknown processors are refused, missing controls discarded and told.

Docker discards these few, and says so, for the sake of the many compositions written for other kernels.
"""

from __future__ import annotations

from dockwright.cgroup import Hierarchy, features, parse_cpu_list
from dockwright.container.config import Resources
from dockwright.errors import Invalid


def check_cpuset(limits: Resources, hierarchy: Hierarchy) -> None:
    """Raises `Invalid`, in Docker's words, for processors or memory nodes that are no list or not there. Blocking."""
    if not (limits.cpuset_cpus or limits.cpuset_mems):
        return
    host = features(hierarchy)
    _check_list("cpus", "CPUs", limits.cpuset_cpus, host.cpus)
    _check_list("mems", "memory nodes", limits.cpuset_mems, host.memory_nodes)


def discard_unsupported(limits: Resources, hierarchy: Hierarchy) -> list[str]:
    """Unset limits that this kernel has no control for, and return a warning for each. Blocking."""
    swappiness = limits.memory_swappiness is not None and limits.memory_swappiness >= 0
    weighted = limits.blkio_weight or limits.blkio_weight_device
    if not (weighted or swappiness or limits.oom_kill_disable):
        return []
    host = features(hierarchy)
    warnings = []
    if limits.blkio_weight and not host.blkio_weight:
        limits.blkio_weight = 0
        warnings.append(f"{_NO_KERNEL} Block I/O weight or the cgroup is not mounted. Weight discarded.")
    if limits.blkio_weight_device and not host.blkio_weight_device:
        limits.blkio_weight_device = None
        warnings.append(f"{_NO_KERNEL} Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.")
    if swappiness and not host.memory_swappiness:
        limits.memory_swappiness = None
        warnings.append(
            f"{_NO_KERNEL} memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded."
        )
    if limits.oom_kill_disable and not host.oom_kill_disable:
        limits.oom_kill_disable = None
        warnings.append(f"{_NO_KERNEL} OomKillDisable. OomKillDisable discarded.")
    return warnings


_NO_KERNEL = "Your kernel does not support"


def _check_list(name: str, what: str, asked: str, available: str) -> None:
    try:
        wanted = parse_cpu_list(asked)
    except Invalid as error:
        raise Invalid(f"Invalid value {asked} for cpuset {name}: {error}") from None
    if wanted - parse_cpu_list(available):
        raise Invalid(f"Requested {what} are not available - requested {asked}, available: {available}")
