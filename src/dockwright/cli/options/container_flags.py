"""Every option of `run` and `create`, once."""

from __future__ import annotations

from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _by(module: str, function: str) -> Callable[[str], Any]:
    """A converter in a file of this package, imported when the option is used."""

    def convert(text: str) -> Any:
        home = __import__(f"dockwright.cli.options.{module}", fromlist=[function])
        return getattr(home, function)(text)

    return convert


def _stream(text: str) -> str:
    name = text.lower()
    if name not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return name


def _memory_swap(text: str) -> int:
    from dockwright.cli.values import memory_swap_bytes

    return memory_swap_bytes(text)


def _list(name: str, help: str, module: str = "", function: str = "", **more: Any) -> Flag:
    convert = _by(module, function) if module else None
    return Flag(name, help, kind="list", convert=convert, **more)


RESOURCES = (
    Flag("blkio-weight", "Share of block I/O, 10 to 1000; 0 leaves it to the engine", kind="uint16", default=0),
    Flag("cpu-period", "Length of a CPU quota's period in microseconds", kind="int64", default=0),
    Flag("cpu-quota", "CPU time in each period, in microseconds", kind="int64", default=0),
    Flag("cpu-rt-period", "Length of a real-time CPU period in microseconds", kind="int64", default=0),
    Flag("cpu-rt-runtime", "Real-time CPU time in each period, in microseconds", kind="int64", default=0),
    Flag("cpu-shares", "Share of the CPUs when they are busy", short="c", kind="int64", default=0),
    Flag("cpus", "Number of CPUs, e.g. 1.5", kind="decimal"),
    Flag("cpuset-cpus", "CPUs that may be used, e.g. 0-3 or 0,1"),
    Flag("cpuset-mems", "Memory nodes that may be used, e.g. 0-3 or 0,1"),
    Flag("memory", "Memory limit, e.g. 512m", short="m", kind="bytes", default=0),
    Flag("memory-reservation", "Memory that should be left when the host runs short", kind="bytes", default=0),
    Flag(
        "memory-swap",
        "Limit of memory and swap together; -1 for no limit",
        kind="bytes",
        default=0,
        convert=_memory_swap,
    ),
    Flag("pids-limit", "Number of processes at most; -1 for no limit", kind="int64", default=0),
)
"""What `update` may change later as well."""

_ISOLATION = (
    Flag("cap-add", "Add a Linux capability", kind="list"),
    Flag("cap-drop", "Take a Linux capability away", kind="list"),
    Flag("cgroup-parent", "Cgroup to put the container's cgroup in"),
    Flag("cgroupns", "Cgroup namespace: 'host' or 'private'; the engine's setting when not given", since="1.41"),
    Flag("group-add", "Add a group to the user's", kind="list"),
    Flag("ipc", "IPC namespace: 'host', 'private', 'shareable', 'none' or 'container:NAME'"),
    Flag("isolation", "Isolation technology, on Windows"),
    Flag("pid", "PID namespace: 'host' or 'container:NAME'"),
    Flag("privileged", "Every capability and device, and no confinement", kind="bool"),
    Flag("read-only", "The root file system cannot be written", kind="bool"),
    Flag("runtime", "OCI runtime to run the container with"),
    Flag("security-opt", "A security option: seccomp=FILE, no-new-privileges, apparmor=…, label=…", kind="list"),
    Flag("user", "User to run as, NAME or UID, and :GROUP or :GID", short="u"),
    Flag("userns", "User namespace: 'host' switches remapping off"),
    Flag("uts", "UTS namespace: 'host'"),
)

_DEVICES = (
    _list("blkio-weight-device", "Share of one device's block I/O, PATH:WEIGHT", "devices", "weight"),
    _list("device", "A device of the host, PATH[:PATH_INSIDE][:rwm], or the name of a CDI device"),
    _list("device-cgroup-rule", "Allow devices by rule, e.g. 'c 13:* rwm'", "devices", "cgroup_rule"),
    _list("device-read-bps", "Limit reads from a device, PATH:BYTES a second", "devices", "bytes_rate"),
    _list("device-read-iops", "Limit reads from a device, PATH:NUMBER a second", "devices", "operations_rate"),
    _list("device-write-bps", "Limit writes to a device, PATH:BYTES a second", "devices", "bytes_rate"),
    _list("device-write-iops", "Limit writes to a device, PATH:NUMBER a second", "devices", "operations_rate"),
    Flag(
        "gpus", "GPUs: 'all', a number, or device=…", kind="gpu-request", convert=_by("devices", "gpus"), repeats=True
    ),
)

_NETWORK = (
    _list("add-host", "A line of /etc/hosts, NAME:IP; the IP may be host-gateway", "networks", "extra_host"),
    _list("dns", "Address of a name server", "networks", "dns_address"),
    Flag("dns-option", "An option of the resolver", kind="list"),
    _list("dns-search", "Domain to look names up in; '.' for none", "networks", "dns_search"),
    Flag("domainname", "NIS domain name"),
    Flag("expose", "A port or range of ports the container listens on", kind="list"),
    Flag("hostname", "Host name inside", short="h"),
    Flag("ip", "IPv4 address, e.g. 172.30.100.104", kind="ip", convert=_by("networks", "ip_address")),
    Flag("ip6", "IPv6 address, e.g. 2001:db8::33", kind="ip", convert=_by("networks", "ip_address")),
    _list("link", "Make another container known by name, NAME[:ALIAS]", "networks", "link", complete="containers"),
    _list("link-local-ip", "A link-local address", "networks", "ip_address"),
    Flag("mac-address", "MAC address, e.g. 92:d0:c6:0a:29:33"),
    Flag(
        "network",
        "Network to join: bridge, host, none, container:NAME, or a network's name; with options as name=…,alias=…,ip=…",
        kind="network",
        convert=_by("networks", "network"),
        repeats=True,
    ),
    Flag("network-alias", "Another name for the container in its network", kind="list"),
    Flag("publish", "Publish a port, [[IP:]HOST_PORT:]PORT[/PROTO]", short="p", kind="list"),
    Flag("publish-all", "Publish every exposed port on a free port of the host", short="P", kind="bool"),
)

_STORAGE = (
    Flag(
        "mount",
        "Mount something, e.g. type=bind,src=/srv,dst=/data,readonly",
        kind="mount",
        convert=_by("mounts", "mount"),
        repeats=True,
    ),
    Flag("shm-size", "Size of /dev/shm", kind="bytes", default=0),
    Flag("storage-opt", "An option of the storage driver, NAME=VALUE", kind="list"),
    Flag("tmpfs", "Mount a file system in memory, PATH[:OPTIONS]", kind="list"),
    Flag("volume", "Bind a directory or volume, [SOURCE:]PATH[:OPTIONS]", short="v", kind="list"),
    Flag("volume-driver", "Driver for volumes that are made"),
    Flag("volumes-from", "Mount what another container mounts, NAME[:ro]", kind="list", complete="containers"),
)

_HEALTH = (
    Flag("health-cmd", "Command that tells whether the container is healthy"),
    Flag("health-interval", "Time from one check to the next", kind="duration", default=0),
    Flag("health-retries", "Failures in a row that make the container unhealthy", kind="int", default=0),
    Flag(
        "health-start-interval",
        "Time between checks while the container starts",
        kind="duration",
        default=0,
        since="1.44",
    ),
    Flag("health-start-period", "Time to start in before failures count", kind="duration", default=0),
    Flag("health-timeout", "Time a check may take", kind="duration", default=0),
    Flag("no-healthcheck", "Switch the image's health check off", kind="bool"),
)

_PROCESS = (
    Flag("annotation", "An annotation for the OCI runtime, NAME=VALUE", kind="map", default="map[]", since="1.43"),
    Flag("attach", "Attach to STDIN, STDOUT or STDERR alone", short="a", kind="list", convert=_stream),
    Flag("cidfile", "Write the container's id to this file", complete="files"),
    Flag("entrypoint", "Program to run instead of the image's entry point"),
    _list("env", "Set a variable, NAME=VALUE, or NAME to take over ours", "environment", "entry", short="e"),
    Flag("env-file", "Set the variables listed in this file", kind="list", complete="files"),
    Flag("init", "Run an init as first process, which forwards signals and reaps processes", kind="bool"),
    Flag("interactive", "Keep standard input open", short="i", kind="bool"),
    _list("label", "A label, NAME=VALUE", "environment", "label", short="l"),
    Flag("label-file", "The labels listed in this file", kind="list", complete="files"),
    Flag("log-driver", "Log driver"),
    Flag("log-opt", "An option of the log driver, NAME=VALUE", kind="list"),
    Flag("memory-swappiness", "How readily memory is swapped, 0 to 100", kind="int64", default=-1),
    Flag("name", "Name of the container"),
    Flag("oom-kill-disable", "Do not kill processes when memory runs out", kind="bool"),
    Flag(
        "oom-score-adj", "How likely the host kills it first when memory runs out, -1000 to 1000", kind="int", default=0
    ),
    Flag("platform", "Platform of the image, e.g. linux/arm64", since="1.41"),
    Flag("pull", "When to get the image: 'always', 'missing' or 'never'", default="missing"),
    Flag("quiet", "Do not show how the image is got", short="q", kind="bool"),
    Flag("restart", "When to start again after an exit: no, on-failure[:MAX], always, unless-stopped", default="no"),
    Flag("rm", "Remove the container and its anonymous volumes when it exits", kind="bool"),
    Flag("stop-signal", "Signal that asks the container to stop"),
    Flag("stop-timeout", "Seconds it has then before it is killed", kind="int", default=0),
    Flag("sysctl", "A kernel setting, NAME=VALUE", kind="map", default="map[]", convert=_by("limits", "sysctl")),
    Flag("tty", "Give the container a terminal", short="t", kind="bool"),
    Flag(
        "ulimit",
        "A limit of the processes, NAME=SOFT[:HARD]",
        kind="ulimit",
        convert=_by("limits", "ulimit"),
        repeats=True,
    ),
    Flag("use-api-socket", "Let the container drive this engine: its socket, and our registry logins", kind="bool"),
    Flag("workdir", "Directory to run in", short="w"),
)

_WINDOWS = (
    Flag("cpu-count", "Number of CPUs, on Windows", kind="int64", default=0, hidden=True),
    Flag("cpu-percent", "Share of the CPUs in percent, on Windows", kind="int64", default=0, hidden=True),
    Flag("io-maxbandwidth", "I/O bytes a second of the system drive, on Windows", kind="bytes", default=0, hidden=True),
    Flag(
        "io-maxiops", "I/O operations a second of the system drive, on Windows", kind="uint64", default=0, hidden=True
    ),
)

FLAGS = tuple(
    sorted(
        (*RESOURCES, *_ISOLATION, *_DEVICES, *_NETWORK, *_STORAGE, *_HEALTH, *_PROCESS, *_WINDOWS),
        key=lambda flag: flag.name,
    )
)
