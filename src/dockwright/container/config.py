"""What a container is asked to be: `Config` (portable) and `HostConfig` (of this host), each option declared once.

The structs carry the Engine API's wire names (`CpuShares`, `Binds`, …): the same declaration reads a create request, is
stored with the container, and is shown by inspect. Units are the API's: bytes, nanoseconds (`*_ns` in no name because
the wire's names are kept), seconds for `stop_timeout`.

Source: Engine API v1.51, definitions ContainerConfig, HostConfig, Resources, Mount, HealthConfig, EndpointSettings.
"""

from __future__ import annotations

from typing import Any

import msgspec

_SPELLED = {
    "container_id_file": "ContainerIDFile",
    "uts_mode": "UTSMode",
    "device_ids": "DeviceIDs",
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "kernel_memory_tcp": "KernelMemoryTCP",
    "ipam_config": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "link_local_ips": "LinkLocalIPs",
    "network_id": "NetworkID",
    "endpoint_id": "EndpointID",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipv6_gateway": "IPv6Gateway",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "dns_names": "DNSNames",
    "ipam": "IPAM",
    "ip_range": "IPRange",
    "enable_ipv4": "EnableIPv4",
    "enable_ipv6": "EnableIPv6",
    "oom_killed": "OOMKilled",
}


def wire_name(name: str) -> str:
    """`cpu_shares` to `CpuShares`, as the Engine API spells it."""
    return _SPELLED.get(name) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


class Wire(msgspec.Struct, kw_only=True, rename=wire_name):
    """Base of structs that use the Engine API's names."""


class HealthConfig(Wire):
    """`Test` is [] to inherit, ["NONE"], ["CMD", …] or ["CMD-SHELL", command]; times in nanoseconds, 0 to inherit."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0


class Config(Wire):
    """The portable half: what an image may also say."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool | None = None
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool | None = None
    mac_address: str | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    stop_signal: str | None = None
    stop_timeout: int | None = None
    shell: list[str] | None = None


class LogConfig(Wire):
    type: str = ""
    config: dict[str, str] = msgspec.field(default_factory=dict)


class RestartPolicy(Wire):
    name: str = ""
    maximum_retry_count: int = 0


class PortBinding(Wire):
    host_ip: str = ""
    host_port: str = ""


class DeviceMapping(Wire):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Wire):
    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = None
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class Ulimit(Wire):
    name: str
    soft: int = 0
    hard: int = 0


class WeightDevice(Wire):
    path: str
    weight: int = 0


class ThrottleDevice(Wire):
    path: str
    rate: int = 0


class BindOptions(Wire):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriverConfig(Wire):
    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Wire):
    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: VolumeDriverConfig | None = None
    subpath: str = ""


class ImageOptions(Wire):
    subpath: str = ""


class TmpfsOptions(Wire):
    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(Wire, omit_defaults=True):
    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class Resources(Wire):
    """Limits; also the body of update. 0 and None mean: no limit asked for."""

    cpu_shares: int = 0
    memory: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = None
    blkio_device_write_iops: list[ThrottleDevice] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    kernel_memory_tcp: int = 0
    nano_cpus: int = 0
    oom_kill_disable: bool | None = None
    init: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0


class HostConfig(Resources):
    """The half that is about this host."""

    binds: list[str] | None = None
    container_id_file: str = ""
    log_config: LogConfig = msgspec.field(default_factory=LogConfig)
    network_mode: str = "default"
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    mounts: list[Mount] | None = None
    console_size: list[int] | None = None
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str | None = None
    isolation: str = ""
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None


class EndpointIPAMConfig(Wire):
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] | None = None


class EndpointSettings(Wire):
    """One container's place on one network: what was asked for, and what it got."""

    ipam_config: EndpointIPAMConfig | None = None
    links: list[str] | None = None
    mac_address: str = ""
    aliases: list[str] | None = None
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = None
