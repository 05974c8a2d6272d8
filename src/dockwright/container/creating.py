"""From a create request and an image to a record: merging, defaults, validation. Nothing of the host is changed here."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass

from dockwright.container import health, host_limits, links, ports, restart
from dockwright.container.config import Config, EndpointSettings, HealthConfig, HostConfig
from dockwright.container.logging import validate_log
from dockwright.container.parts import Parts
from dockwright.container.signals import parse_signal
from dockwright.container.spec import capabilities, devices, mounts, namespaces, process, seccomp, security
from dockwright.errors import Conflict, Invalid, Unsupported
from dockwright.network.files import check_extra_host
from dockwright.oci import RunConfig

LEAST_MEMORY_BYTES = 6 << 20
_HOSTNAME = re.compile(r"^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?$")
_NET_SYSCTL = "net."
_IPC_SYSCTLS = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")


@dataclass
class Request:
    """What a client asks for. `endpoints` is `NetworkingConfig.EndpointsConfig`."""

    config: Config
    host: HostConfig
    endpoints: dict[str, EndpointSettings]
    name: str = ""
    platform: str = ""


def check_request(request: Request) -> None:
    """Raises `Invalid` for what only a request, not an image, may not say."""
    if request.host.network_mode.startswith("container:") and request.config.exposed_ports:
        raise Invalid("conflicting options: port exposing and the container type network mode")


def merge_image(config: Config, image: RunConfig) -> None:
    """Fill in from the image what the request leaves open, by Docker's rules."""
    config.user = config.user or image.user
    if image.exposed_ports:
        config.exposed_ports = {**image.exposed_ports, **(config.exposed_ports or {})}
    if image.volumes:
        config.volumes = {**image.volumes, **(config.volumes or {})}
    named = {entry.partition("=")[0] for entry in config.env or []}
    config.env = [*(config.env or []), *(entry for entry in image.env or () if entry.partition("=")[0] not in named)]
    config.labels = {**(image.labels or {}), **config.labels}
    if not config.entrypoint:
        if not config.cmd:
            config.cmd = list(image.cmd) if image.cmd is not None else config.cmd
        if config.entrypoint is None:
            config.entrypoint = list(image.entrypoint) if image.entrypoint is not None else None
    elif config.entrypoint == [""]:
        config.entrypoint = None
    if image.healthcheck:
        _merge_health(config, image)
    config.working_dir = config.working_dir or image.working_dir
    config.stop_signal = config.stop_signal or image.stop_signal or None
    if config.stop_timeout is None:
        config.stop_timeout = image.stop_timeout
    config.shell = config.shell or (list(image.shell) if image.shell else None)
    config.on_build = config.on_build or (list(image.on_build) if image.on_build else None)


def apply_defaults(parts: Parts, config: Config, host: HostConfig) -> None:
    """What the daemon fills in before it stores a container, so that inspect shows what is in force."""
    defaults = parts.defaults
    host.network_mode = host.network_mode or "default"
    host.runtime = host.runtime or defaults.runtime
    host.ipc_mode = host.ipc_mode or defaults.ipc_mode
    host.cgroupns_mode = host.cgroupns_mode or ("host" if host.privileged else defaults.cgroupns_mode)
    host.shm_size = host.shm_size or defaults.shm_size
    host.restart_policy.name = host.restart_policy.name or "no"
    if not host.log_config.type:
        host.log_config.type = defaults.log.type
        host.log_config.config = {**defaults.log.config, **host.log_config.config}
    if host.memory and not host.memory_swap:
        host.memory_swap = host.memory * 2
    if host.masked_paths is None and not host.privileged and "systempaths=unconfined" not in (host.security_opt or []):
        host.masked_paths, host.readonly_paths = list(mounts.MASKED), host.readonly_paths or list(mounts.READ_ONLY)
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    if host.memory_swappiness == -1:
        host.memory_swappiness = None
    if config.working_dir:
        config.working_dir = posixpath.normpath(config.working_dir)


def validate(parts: Parts, config: Config, host: HostConfig) -> list[str]:
    """Raises `Invalid`, `Conflict` or `Unsupported` with Docker's wording; returns warnings."""
    if not config.entrypoint and not config.cmd:
        raise Invalid("no command specified")
    _check_config(config)
    _check_modes(config, host)
    check_limits(host)
    warnings = host_limits.discard_unsupported(host, parts.cgroups)
    host_limits.check_cpuset(host, parts.cgroups)
    restart.validate(host.restart_policy, host.auto_remove)
    health.validate(config.healthcheck)
    namespaces.validate(host)
    process.validate(host)
    devices.validate(host)
    _check_security(host)
    ports.expand(config.exposed_ports or {})
    ports.requests(config, host)
    for entry in host.extra_hosts or []:
        check_extra_host(entry)
    parts.runtime(host.runtime)
    validate_log(host.log_config)
    return [*warnings, *_warnings(host)]


def _merge_health(config: Config, image: RunConfig) -> None:
    own, inherited = config.healthcheck or HealthConfig(), image.healthcheck
    if inherited is None:
        return
    own.test = own.test or (list(inherited.test) if inherited.test else None)
    own.interval = own.interval or inherited.interval
    own.timeout = own.timeout or inherited.timeout
    own.start_period = own.start_period or inherited.start_period
    own.start_interval = own.start_interval or inherited.start_interval
    own.retries = own.retries or inherited.retries
    config.healthcheck = own


def _check_config(config: Config) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise Invalid(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path")
    if config.hostname and (len(config.hostname) > 63 or not _HOSTNAME.match(config.hostname)):
        raise Invalid(f"invalid hostname format: {config.hostname[:80]}")
    for entry in config.env or []:
        if not entry or entry.startswith("="):
            raise Invalid(f"invalid environment variable: {entry[:80]}")
        if "\0" in entry:
            raise Invalid("invalid environment variable: it contains a null byte")
    for part in (*(config.entrypoint or []), *(config.cmd or [])):
        if "\0" in part:
            raise Invalid("invalid command: it contains a null byte")
    if config.stop_signal:
        parse_signal(config.stop_signal)


def _check_modes(config: Config, host: HostConfig) -> None:
    mode = host.network_mode
    shared = mode.startswith("container:")
    if mode == "container:":
        raise Invalid("invalid network mode: invalid container format container:<name|id>")
    if shared or mode == "host":
        if config.hostname and shared:
            raise Invalid("conflicting options: hostname and the network mode")
        if host.port_bindings and shared:
            raise Invalid("conflicting options: port publishing and the container type network mode")
        if host.dns and shared:
            raise Invalid("conflicting options: dns and the network mode")
        if host.extra_hosts and shared:
            raise Invalid("conflicting options: custom host-to-IP mapping and the network mode")
    if config.mac_address and (shared or mode == "host"):
        raise Invalid("conflicting options: mac-address and the network mode")
    if host.uts_mode == "host" and config.hostname:
        raise Invalid("conflicting options: hostname and the UTS mode")
    if host.cgroup:
        raise Invalid(f"invalid cgroup mode: {host.cgroup}")
    for name in host.sysctls or {}:
        _check_sysctl(name, host)
    if host.links and (shared or mode == "host"):
        raise Invalid("conflicting options: links and the network mode")
    for text in host.links or []:
        links.parse(text)
    if host.storage_opt:
        raise Unsupported("--storage-opt is not supported: overlay needs a file system with project quotas for it")
    if host.isolation not in ("", "default"):
        raise Invalid(f"invalid isolation '{host.isolation}': only default is supported on Linux")
    if host.device_requests:
        raise Unsupported("device requests (--gpus) need a device driver, and none is known on this host")
    for name, value in (
        ("CpuCount", host.cpu_count),
        ("CpuPercent", host.cpu_percent),
        ("IOMaximumIOps", host.io_maximum_iops),
        ("IOMaximumBandwidth", host.io_maximum_bandwidth),
    ):
        if value:
            raise Invalid(f"{name} is a setting of Windows containers")


def _check_sysctl(name: str, host: HostConfig) -> None:
    if name.startswith(_NET_SYSCTL):
        if host.network_mode == "host":
            raise Invalid(f"sysctl '{name}' not allowed in host network namespace")
    elif name.startswith(_IPC_SYSCTLS):
        if host.ipc_mode == "host":
            raise Invalid(f"sysctl '{name}' not allowed in host ipc namespace")
    elif name not in ("kernel.domainname", "kernel.hostname") or host.uts_mode == "host":
        raise Invalid(f"sysctl '{name}' is not whitelisted")


def check_limits(host: HostConfig) -> None:
    """Raises `Invalid` for limits that are out of range or contradict each other, with Docker's wording."""
    if host.memory and host.memory < LEAST_MEMORY_BYTES:
        raise Invalid("Minimum memory limit allowed is 6MB")
    if host.memory < 0:
        raise Invalid("invalid memory limit: it must not be negative")
    if host.memory_swap > 0 and not host.memory:
        raise Invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
    if host.memory and 0 < host.memory_swap < host.memory:
        raise Invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
    if host.memory_reservation and host.memory_reservation < LEAST_MEMORY_BYTES:
        raise Invalid("Minimum memory reservation allowed is 6MB")
    if host.memory and host.memory_reservation > host.memory:
        raise Invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
    if host.memory_swappiness is not None and not -1 <= host.memory_swappiness <= 100:
        raise Invalid(f"Invalid value: {host.memory_swappiness}, valid memory swappiness range is 0-100")
    if host.nano_cpus and (host.cpu_period or host.cpu_quota):
        which = "CPU Period" if host.cpu_period else "CPU Quota"
        raise Invalid(f"Conflicting options: Nano CPUs and {which} cannot both be set")
    cpus = os.cpu_count() or 1
    if not 0 <= host.nano_cpus <= cpus * 1_000_000_000:
        raise Invalid(f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise Invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < host.cpu_quota < 1000:
        raise Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.cpu_shares < 0:
        raise Invalid(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise Invalid("Range of blkio weight is from 10 to 1000")
    if host.shm_size < 0:
        raise Invalid("SHM size can not be less than 0")
    if host.console_size is not None and len(host.console_size) != 2:
        raise Invalid("ConsoleSize must be a height and a width")


def _check_security(host: HostConfig) -> None:
    held = capabilities.effective(host.cap_add or [], host.cap_drop or [], host.privileged)
    secured = security.parse(host.security_opt or [])
    if secured.seccomp and secured.seccomp != "unconfined":
        seccomp.from_json(secured.seccomp, held)
    if host.cgroup_parent and ".." in host.cgroup_parent.split("/"):
        raise Invalid(f"invalid cgroup-parent: {host.cgroup_parent}")
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise Conflict("can't create 'AutoRemove' container with restart policy")


def _warnings(host: HostConfig) -> list[str]:
    found = []
    if host.network_mode == "host" and host.port_bindings:
        found.append("Published ports are discarded when using host network mode")
    if host.oom_kill_disable and not host.memory:
        found.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    return found


def describe(config: Config) -> tuple[str, list[str]]:
    """`Path` and `Args` of inspect."""
    words = [*(config.entrypoint or []), *(config.cmd or [])]
    return (words[0] if words else ""), words[1:]
