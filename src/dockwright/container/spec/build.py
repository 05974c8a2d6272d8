"""The whole OCI runtime specification of a container."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from dockwright.container.config import Config, HostConfig, Ulimit
from dockwright.container.mounts import MountPoint
from dockwright.container.spec import (
    capabilities,
    devices,
    mounts,
    namespaces,
    process,
    resources,
    seccomp,
    security,
    users,
)

INIT_PATH = "/sbin/docker-init"


@dataclass(frozen=True)
class Surroundings:
    """What the engine prepared for this start. `network` as in `namespaces.build`; `init` is the host's init program."""

    rootfs: Path
    hostname: str
    cgroup_path: str
    network: str | None
    points: list[MountPoint]
    host_files: dict[str, str]
    process_of: namespaces.ProcessOf
    shm_source: str = ""
    init: str = ""
    default_ulimits: list[Ulimit] = field(default_factory=list)
    no_new_privileges: bool = False
    seccomp_profile: str = ""


def build(config: Config, host: HostConfig, around: Surroundings) -> dict[str, Any]:
    """The specification. Reads users and groups below the mounted root; raises `Invalid` and `Unsupported`."""
    secured = security.parse(host.security_opt or [], no_new_privileges=around.no_new_privileges)
    user = users.resolve(around.rootfs, config.user, host.group_add or [])
    held = capabilities.effective(host.cap_add or [], host.cap_drop or [], host.privileged)
    made = devices.nodes(host)
    limits = resources.build(host)
    limits["devices"] = devices.rules(host, made)
    arguments = [*(config.entrypoint or []), *(config.cmd or [])]
    specification: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "root": {"path": str(around.rootfs), "readonly": host.readonly_rootfs},
        "process": process.build(
            config,
            host,
            user,
            arguments=[INIT_PATH, "--", *arguments] if around.init else arguments,
            environment=process.environment(config, user, around.hostname),
            no_new_privileges=secured.no_new_privileges,
            apparmor=secured.apparmor if security.apparmor_enabled() else "",
            default_ulimits=around.default_ulimits,
        ),
        "mounts": mounts.build(
            host,
            around.points,
            around.host_files,
            shm_source=around.shm_source,
            init=around.init,
            writable_cgroups=secured.writable_cgroups,
        ),
        "linux": {
            "cgroupsPath": around.cgroup_path,
            "namespaces": namespaces.build(host, network=around.network, process_of=around.process_of),
            "devices": made,
            "resources": limits,
            "sysctl": host.sysctls or {},
            "maskedPaths": mounts.masked_paths(host, secured.unconfined_system_paths),
            "readonlyPaths": mounts.readonly_paths(host, secured.unconfined_system_paths),
            "rootfsPropagation": _propagation(around.points),
        },
    }
    if host.uts_mode != "host":
        specification["hostname"] = around.hostname
        if config.domainname:
            specification["linux"]["sysctl"] = {"kernel.domainname": config.domainname} | specification["linux"][
                "sysctl"
            ]
    filters = _seccomp(secured.seccomp or around.seccomp_profile, host.privileged, held)
    if filters is not None:
        specification["linux"]["seccomp"] = filters
    if host.annotations:
        specification["annotations"] = host.annotations
    return specification


def _seccomp(profile: str, privileged: bool, held: list[str]) -> dict[str, Any] | msgspec.Raw | None:
    if profile == "unconfined" or (privileged and not profile):
        return None
    if profile:
        return seccomp.from_json(profile, held)
    return seccomp.default(frozenset(held))


def _propagation(points: list[MountPoint]) -> str:
    """A shared or slave mount inside needs the root to let it through."""
    wanted = {point.propagation.removeprefix("r") for point in points}
    return "shared" if "shared" in wanted else "rslave" if "slave" in wanted else "rprivate"
