"""The options of `run` and `create` as the body of the API's create request."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.options import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options

# Options that are one field of HostConfig, as they are.
HOST_FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cap-add": "CapAdd",
    "cap-drop": "CapDrop",
    "cgroup-parent": "CgroupParent",
    "cgroupns": "CgroupnsMode",
    "cpu-count": "CpuCount",
    "cpu-percent": "CpuPercent",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "device-cgroup-rule": "DeviceCgroupRules",
    "dns": "Dns",
    "dns-option": "DnsOptions",
    "dns-search": "DnsSearch",
    "group-add": "GroupAdd",
    "io-maxbandwidth": "IOMaximumBandwidth",
    "io-maxiops": "IOMaximumIOps",
    "ipc": "IpcMode",
    "isolation": "Isolation",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "mount": "Mounts",
    "oom-kill-disable": "OomKillDisable",
    "oom-score-adj": "OomScoreAdj",
    "pid": "PidMode",
    "pids-limit": "PidsLimit",
    "privileged": "Privileged",
    "publish-all": "PublishAllPorts",
    "read-only": "ReadonlyRootfs",
    "rm": "AutoRemove",
    "runtime": "Runtime",
    "shm-size": "ShmSize",
    "ulimit": "Ulimits",
    "userns": "UsernsMode",
    "uts": "UTSMode",
    "volume-driver": "VolumeDriver",
    "volumes-from": "VolumesFrom",
    "add-host": "ExtraHosts",
    "blkio-weight-device": "BlkioWeightDevice",
    "device-read-bps": "BlkioDeviceReadBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-write-iops": "BlkioDeviceWriteIOps",
}
_CONFIG_FIELDS = {
    "hostname": "Hostname",
    "domainname": "Domainname",
    "user": "User",
    "workdir": "WorkingDir",
    "stop-signal": "StopSignal",
}
_MODES = {
    "pid": ("PID", ("host",), True),
    "uts": ("UTS", ("host",), False),
    "userns": ("USER", ("host",), False),
    "cgroupns": ("CGROUP", ("host", "private"), False),
}


def request(options: Options, image: str, command: list[str]) -> dict[str, Any]:
    """The create request: `Config`'s fields, `HostConfig` and `NetworkingConfig`. Raises `errors.Invalid`."""
    _check(options)
    config = _config(options, image, command)
    host = _host_config(options)
    _add_storage(options, config, host)
    _add_ports(options, config, host)
    host["NetworkMode"], endpoints, links = networks.endpoints(options)
    if links:
        host["Links"] = links
    config["HostConfig"] = host
    config["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    if options.given("mac-address"):
        config["MacAddress"] = options.text("mac-address")
    return config


def _check(options: Options) -> None:
    for name, (kind, allowed, joins) in _MODES.items():
        mode = options.text(name)
        joined = joins and mode.startswith("container:") and len(mode) > len("container:")
        if mode and mode not in allowed and not joined:
            raise errors.Invalid(f"--{name}: invalid {kind} mode")
    swappiness = options.number("memory-swappiness")
    if not -1 <= swappiness <= 100:
        raise errors.Invalid(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    if options.given("mac-address"):
        try:
            networks.mac_address(options.text("mac-address"))
        except ValueError as error:
            raise errors.Invalid(str(error)) from error
    if options.on("rm") and options.text("restart") not in ("", "no"):
        raise errors.Invalid("conflicting options: cannot specify both --restart and --rm")


def _config(options: Options, image: str, command: list[str]) -> dict[str, Any]:
    from dockwright.cli.options import environment, health

    attach = options.many("attach")
    stdin = options.on("interactive") or "stdin" in attach
    config: dict[str, Any] = {
        "Image": image,
        "Env": environment.read_files(options.many("env-file")) + options.many("env"),
        "Labels": environment.labels(options.many("label-file"), options.many("label")),
        "Tty": options.on("tty"),
        "OpenStdin": options.on("interactive"),
        "AttachStdin": stdin,
        "AttachStdout": not attach or "stdout" in attach,
        "AttachStderr": not attach or "stderr" in attach,
        "StdinOnce": options.on("interactive") and stdin,
    }
    config.update({key: options.text(name) for name, key in _CONFIG_FIELDS.items() if options.text(name)})
    if command:
        config["Cmd"] = command
    if options.given("entrypoint"):
        config["Entrypoint"] = [options.text("entrypoint")]
    if options.given("stop-timeout"):
        config["StopTimeout"] = options.number("stop-timeout")
    check = health.healthcheck(options)
    if check is not None:
        config["Healthcheck"] = check
    return config


def _host_config(options: Options) -> dict[str, Any]:
    from dockwright.cli.options import devices, limits, security

    host: dict[str, Any] = {key: options.value(name) for name, key in HOST_FIELDS.items() if options.value(name)}
    host["RestartPolicy"] = limits.restart_policy(options.text("restart"))
    if options.given("init"):
        host["Init"] = options.on("init")
    if options.number("memory-swappiness") != -1:
        host["MemorySwappiness"] = options.number("memory-swappiness")
    if options.many("sysctl"):
        host["Sysctls"] = dict(options.many("sysctl"))
    if options.many("annotation"):
        host["Annotations"] = dict(options.many("annotation"))
    mapped, requests = devices.devices(options.many("device"))
    host.update({"Devices": mapped} if mapped else {})
    requests += options.many("gpus")
    host.update({"DeviceRequests": requests} if requests else {})
    host["SecurityOpt"], all_paths = security.security_options(options.many("security-opt"))
    if all_paths:
        host["MaskedPaths"], host["ReadonlyPaths"] = [], []
    host["LogConfig"] = _log_config(options)
    return host


def _log_config(options: Options) -> dict[str, Any]:
    driver, given = options.text("log-driver"), options.many("log-opt")
    if driver == "none" and given:
        raise errors.Invalid(f"invalid logging opts for driver {driver}")
    pairs = [text.partition("=") for text in given]
    return {"Type": driver, "Config": {name: value for name, _, value in pairs}}


def _add_storage(options: Options, config: dict[str, Any], host: dict[str, Any]) -> None:
    from dockwright.cli.options import mounts

    binds, anonymous = mounts.volumes(options.many("volume"))
    if binds:
        host["Binds"] = binds
    if anonymous:
        config["Volumes"] = anonymous
    if options.many("tmpfs"):
        host["Tmpfs"] = mounts.tmpfs(options.many("tmpfs"))
    if options.many("storage-opt"):
        pairs = [text.partition("=") for text in options.many("storage-opt")]
        if not all(equals for _, equals, _ in pairs):
            raise errors.Invalid("invalid storage option")
        host["StorageOpt"] = {name: value for name, _, value in pairs}


def _add_ports(options: Options, config: dict[str, Any], host: dict[str, Any]) -> None:
    if not options.any_given("publish", "expose"):
        return
    from dockwright.cli.options import ports

    bindings = ports.bindings(options.many("publish"))
    exposed = {**{port: {} for port in bindings}, **ports.exposed(options.many("expose"))}
    if bindings:
        host["PortBindings"] = bindings
    if exposed:
        config["ExposedPorts"] = exposed
