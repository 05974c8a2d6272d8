"""What an engine may be told when it is opened; the daemon's flags and daemon.json end here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.build.policy import BuilderOptions
from dockwright.container.parts import Defaults
from dockwright.distribution import RegistryOptions
from dockwright.image import Retention, TransferLimits
from dockwright.network import NetworkOptions
from dockwright.volume.plugins import DIRECTORIES


@dataclass(frozen=True)
class RuntimeEntry:
    """A further OCI runtime (`--add-runtime NAME=PATH`): program and global arguments."""

    path: Path
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Settings of one engine. Paths are absolute; `exec_root` is best on a tmpfs.

    `runtimes` adds to crun and runc, which are found by themselves. In `containers`, an empty runtime, cgroup namespace mode
    or init path is chosen by what the host has.
    """

    data_root: Path
    exec_root: Path
    network: NetworkOptions = field(default_factory=NetworkOptions)
    containers: Defaults = field(default_factory=Defaults)
    registry: RegistryOptions = field(default_factory=RegistryOptions)
    transfers: TransferLimits = field(default_factory=TransferLimits)
    runtimes: dict[str, RuntimeEntry] = field(default_factory=dict)
    systemd_cgroup: bool = False
    shutdown_timeout_s: int = 15
    live_restore: bool = True
    labels: list[str] = field(default_factory=list)
    plugin_directories: tuple[Path, ...] = DIRECTORIES
    #: Hurry the kernel's RCU grace periods while containers start.
    expedite_starts: bool = False
    gc: Retention = field(default_factory=Retention)
    builder: BuilderOptions = field(default_factory=BuilderOptions)

    @classmethod
    def under(cls, root: Path) -> Settings:
        """Everything below one directory: for an embedded engine and for tests."""
        root = Path(os.path.abspath(root))
        return cls(data_root=root / "data", exec_root=root / "exec")
