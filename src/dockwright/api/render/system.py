"""The engine as `version`, `info` and `system df` show it."""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dockwright
from dockwright import cgroup, workers
from dockwright.api import versions
from dockwright.api.render import volumes
from dockwright.api.render.builds import cache_use
from dockwright.api.render.containers import summary
from dockwright.api.render.registries import registry_config
from dockwright.container.spec import security
from dockwright.container.state import Status
from dockwright.engine import Engine
from dockwright.runtime import OciRuntime
from dockwright.runtime.programs import run
from dockwright.units import rfc3339

if TYPE_CHECKING:
    from dockwright.api.server import Daemon

_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


async def version(engine: Engine) -> dict[str, Any]:
    """`GET /version`."""
    kernel = os.uname()
    own = {
        "ApiVersion": versions.text(versions.NEWEST),
        "MinAPIVersion": versions.text(versions.OLDEST),
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "Os": "linux",
        "Arch": _ARCH.get(kernel.machine, kernel.machine),
        "KernelVersion": kernel.release,
        "BuildTime": "",
    }
    components = [{"Name": "Engine", "Version": dockwright.__version__, "Details": own | {"Experimental": "false"}}]
    for name, runtime in engine.parts.runtimes.items():
        if isinstance(runtime, OciRuntime):
            components.append({"Name": name, "Version": await _runtime_version(runtime), "Details": {}})
    components.append({"Name": "conmon", "Version": await _conmon_version(engine), "Details": {}})
    return {
        "Platform": {"Name": "Dockwright"},
        "Components": components,
        "Version": dockwright.__version__,
        **own,
        "Experimental": False,
    }


async def info(daemon: Daemon) -> dict[str, Any]:
    """`GET /info`."""
    engine = daemon.engine
    containers = engine.containers.all()
    states = [container.status for container in containers]
    host = await workers.quick(cgroup.features, engine.parts.cgroups)
    kernel = os.uname()
    release = await workers.quick(_os_release)
    running = sum(state in (Status.RUNNING, Status.RESTARTING) for state in states)
    paused = states.count(Status.PAUSED)
    settings = engine.settings
    warnings = [*engine.warnings, *await engine.networks.warnings(), *host.warnings()]
    return {
        "ID": engine.id,
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(containers) - running - paused,
        "Images": await engine.images.count(),
        "Driver": "overlayfs",
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "DockerRootDir": str(settings.data_root),
        "Plugins": {
            "Volume": ["local", *await engine.volumes.plugins.names()],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": ["journald", "json-file", "local", "none", "syslog"],
        },
        "MemoryLimit": host.memory_limit,
        "SwapLimit": host.swap_limit,
        "CpuCfsPeriod": host.cpu_cfs_period,
        "CpuCfsQuota": host.cpu_cfs_quota,
        "CPUShares": host.cpu_shares,
        "CPUSet": host.cpu_set,
        "PidsLimit": host.pids_limit,
        "OomKillDisable": host.oom_kill_disable,
        "IPv4Forwarding": await workers.quick(_forwarding),
        "Debug": daemon.debug,
        "NFd": await workers.quick(lambda: len(os.listdir("/proc/self/fd"))),
        "NGoroutines": 0,
        "SystemTime": rfc3339(time.time_ns()),
        "LoggingDriver": engine.parts.defaults.log.type,
        "CgroupDriver": "systemd" if settings.systemd_cgroup else "cgroupfs",
        "CgroupVersion": str(engine.parts.cgroups.version),
        "NEventsListener": engine.events.followers,
        "KernelVersion": kernel.release,
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": kernel.machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": registry_config(engine.registries.options),
        "GenericResources": None,
        "HttpProxy": os.environ.get("HTTP_PROXY", ""),
        "HttpsProxy": os.environ.get("HTTPS_PROXY", ""),
        "NoProxy": os.environ.get("NO_PROXY", ""),
        "Name": kernel.nodename,
        "Labels": settings.labels,
        "ExperimentalBuild": False,
        "ServerVersion": dockwright.__version__,
        "Runtimes": {name: {"path": str(runtime.path)} for name, runtime in engine.parts.runtimes.items()},
        "DefaultRuntime": engine.parts.defaults.runtime,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": settings.live_restore,
        "Isolation": "",
        "InitBinary": os.path.basename(engine.parts.defaults.init_path),
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": _security(engine.parts.defaults.seccomp_profile, engine.parts.cgroups.version),
        "ProductLicense": "Apache-2.0",
        "DefaultAddressPools": [{"Base": str(pool.base), "Size": pool.size} for pool in settings.network.address_pools],
        "FirewallBackend": {"Driver": "nftables" if settings.network.firewall else "none", "Info": None},
        "DiscoveredDevices": [],
        "CDISpecDirs": [],
        "Warnings": warnings,
    }


async def disk_usage(engine: Engine, kinds: set[str]) -> dict[str, Any]:
    """`GET /system/df`."""
    answer: dict[str, Any] = {}
    if "image" in kinds:
        usage = await engine.images.disk_usage()
        answer["LayersSize"] = usage.layers_size
        answer["Images"] = usage.images
    if "container" in kinds:
        answer["Containers"] = [await summary(engine, container, size=True) for container in engine.containers.all()]
    if "volume" in kinds:
        answer["Volumes"] = await volumes.usage(engine)
    if "build-cache" in kinds:
        answer["BuildCache"] = [cache_use(use) for use in await engine.builder.usage()]
    return answer


def _security(seccomp_profile: str, cgroup_version: int) -> list[str]:
    found = []
    if security.apparmor_enabled():
        found.append("name=apparmor")
    if seccomp_profile != "unconfined":
        found.append(f"name=seccomp,profile={seccomp_profile or 'builtin'}" if not seccomp_profile else "name=seccomp")
    return [*found, "name=cgroupns"] if cgroup_version == 2 else found


def _forwarding() -> bool:
    return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"


@cache
def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines) if value}


_versions: dict[str, str] = {}


async def _runtime_version(runtime: OciRuntime) -> str:
    key = str(runtime.path)
    if key not in _versions:
        _versions[key] = await runtime.version()
    return _versions[key]


async def _conmon_version(engine: Engine) -> str:
    if "conmon" not in _versions:
        done = await run([str(engine.parts.conmon.program), "--version"], limit_s=10)
        words = done.output.decode(errors="replace").split()
        _versions["conmon"] = words[2] if len(words) > 2 else ""
    return _versions["conmon"]
