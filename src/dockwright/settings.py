"""What an engine may be told when it is opened; the daemon's flags and daemon.json end here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.container.config import LogConfig, Ulimit
from dockwright.network import NetworkOptions


@dataclass(frozen=True)
class RuntimeEntry:
    """A further OCI runtime (`--add-runtime NAME=PATH`): program and global arguments."""

    path: Path
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Settings of one engine. Paths are absolute; `exec_root` is best on a tmpfs.

    `runtimes` adds to crun and runc, which are found by themselves; `default_runtime` "" takes crun, else runc.
    """

    data_root: Path
    exec_root: Path
    network: NetworkOptions = field(default_factory=NetworkOptions)
    runtimes: dict[str, RuntimeEntry] = field(default_factory=dict)
    default_runtime: str = ""
    cgroup_parent: str = "/dockwright"
    systemd_cgroup: bool = False
    cgroupns_mode: str = ""
    ipc_mode: str = "private"
    log: LogConfig = field(default_factory=lambda: LogConfig(type="json-file"))
    shm_size: int = 64 << 20
    init: bool = False
    init_path: str = ""
    ulimits: list[Ulimit] = field(default_factory=list)
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    dns: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    dns_options: list[str] = field(default_factory=list)
    host_gateway_ips: list[str] = field(default_factory=list)
    shutdown_timeout_s: int = 15
    live_restore: bool = True
    labels: list[str] = field(default_factory=list)

    @classmethod
    def under(cls, root: Path) -> Settings:
        """Everything below one directory: for an embedded engine and for tests."""
        root = Path(os.path.abspath(root))
        return cls(data_root=root / "data", exec_root=root / "exec")
