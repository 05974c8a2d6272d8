"""What a container stands on: the managers, programs and defaults that its owner object calls, put together by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.cgroup import Hierarchy
from dockwright.container.config import LogConfig, Ulimit
from dockwright.container.expediting import Expediting
from dockwright.container.record import ContainerTable
from dockwright.errors import Invalid
from dockwright.events import Events
from dockwright.image import Images
from dockwright.logs import Logs
from dockwright.network import Networks
from dockwright.runtime import Conmon, Runtime
from dockwright.snapshot import Snapshotter
from dockwright.tasks import Background
from dockwright.volume import Copies, Volumes


@dataclass(frozen=True)
class ContainerPaths:
    """Where containers live on disk.

    data/<id>/            log, hostname, hosts, resolv.conf
    exec/<id>/            the OCI bundle: config.json, rootfs/, conmon's files, shm/, execs/
    """

    data: Path
    exec: Path

    def home(self, container_id: str) -> Path:
        return self.data / container_id

    def bundle(self, container_id: str) -> Path:
        return self.exec / container_id

    def rootfs(self, container_id: str) -> Path:
        return self.exec / container_id / "rootfs"


@dataclass(frozen=True)
class Defaults:
    """What the daemon's configuration says where a container says nothing."""

    runtime: str = ""
    cgroup_parent: str = "/dockwright"
    cgroupns_mode: str = ""
    log: LogConfig = field(default_factory=lambda: LogConfig(type="json-file"))
    shm_size: int = 64 << 20
    ipc_mode: str = "private"
    init: bool = False
    init_path: str = ""
    ulimits: list[Ulimit] = field(default_factory=list)
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    dns: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    dns_options: list[str] = field(default_factory=list)
    host_gateway_ips: list[str] = field(default_factory=list)
    stop_timeout_s: int = 10


@dataclass(eq=False)
class Parts:
    """Everything at hand; the engine owns each of these, and changes `defaults` and `runtimes` when it is reloaded."""

    paths: ContainerPaths
    defaults: Defaults
    table: ContainerTable
    events: Events
    images: Images
    snapshots: Snapshotter
    networks: Networks
    logs: Logs
    cgroups: Hierarchy
    volumes: Volumes
    copies: Copies
    runtimes: Mapping[str, Runtime]
    conmon: Conmon
    background: Background
    expediting: Expediting

    def runtime(self, name: str | None) -> Runtime:
        """The runtime a container names, or the default one. Raises `Invalid` for an unknown name."""
        wanted = name or self.defaults.runtime
        try:
            return self.runtimes[wanted]
        except KeyError:
            raise Invalid(f"unknown or invalid runtime name: {wanted}") from None
