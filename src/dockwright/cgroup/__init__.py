"""Cgroups, read only but for mounting and removing: which trees the host has, what a container used, what can be limited.

What does not belong here: creating cgroups and setting limits, which the OCI runtime does.
"""

from dockwright.cgroup import oom
from dockwright.cgroup.features import Features, features, parse_cpu_list
from dockwright.cgroup.hierarchy import Cgroup, Hierarchy, detect, kill, mount_missing, named, of_process, remove
from dockwright.cgroup.stats import Stats, read

__all__ = [
    "Cgroup",
    "Features",
    "Hierarchy",
    "Stats",
    "detect",
    "features",
    "kill",
    "mount_missing",
    "named",
    "of_process",
    "oom",
    "parse_cpu_list",
    "read",
    "remove",
]
