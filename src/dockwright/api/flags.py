"""The daemon's flags and `daemon.json` keys, each declared once: name, kind, meaning.

dockerd's names where dockerd has them. A flag and its key in the file may not both be given (as dockerd has it); lists
from the file are named in the plural.
`RELOADED` is what a SIGHUP takes over from the file while the daemon runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dockwright.errors import Invalid

# An object is in the file alone: no flag says it.
Kind = Literal["text", "flag", "number", "list", "object"]


@dataclass(frozen=True)
class Flag:
    """One setting. `key` is its name in daemon.json; `default` is what holds when neither says anything."""

    name: str
    kind: Kind
    help: str
    default: Any = None
    short: str = ""
    key: str = ""

    @property
    def file_key(self) -> str:
        return self.key or self.name


FLAGS: tuple[Flag, ...] = (
    Flag("add-runtime", "list", "Register a further OCI runtime: NAME=PATH", key="runtimes"),
    Flag("allow-direct-routing", "flag", "Let published ports be reached at the containers' own addresses, too", False),
    Flag("bip", "text", "Address and prefix of the default bridge, as 172.17.0.1/16"),
    Flag("bip6", "text", "IPv6 address and prefix of the default bridge, as fd00::1/64"),
    Flag("bridge", "text", "Name of the default bridge; none to have no default bridge", "dockwright0", "b"),
    Flag(
        "bridge-accept-fwmark", "text", "What carries this firewall mark enters every bridge network: MARK or MARK/MASK"
    ),
    Flag("builder", "object", "Bounds of the build cache and what builds may ask for, as dockerd has them", {}),
    Flag("cgroup-parent", "text", "Parent cgroup of all containers", "/dockwright"),
    Flag("config-file", "text", "The daemon's configuration file", "/etc/dockwright/daemon.json"),
    Flag("data-root", "text", "Root directory of persistent state", "/var/lib/dockwright", "g"),
    Flag("debug", "flag", "Log everything", False, "D"),
    Flag("default-address-pool", "list", "Pool for networks: base=10.10.0.0/16,size=24", key="default-address-pools"),
    Flag("default-cgroupns-mode", "text", "Cgroup namespace of containers: host or private"),
    Flag("default-gateway", "text", "Default gateway of containers on the default bridge"),
    Flag("default-gateway-v6", "text", "Default IPv6 gateway of containers on the default bridge"),
    Flag("default-init", "flag", "Run an init in every container", False, key="init"),
    Flag("default-ipc-mode", "text", "IPC mode of containers: private or shareable", "private"),
    Flag(
        "default-network-opt",
        "list",
        "Option of new networks that do not say otherwise: DRIVER=OPTION=VALUE",
        key="default-network-opts",
    ),
    Flag("default-runtime", "text", "The OCI runtime for containers that name none"),
    Flag("default-shm-size", "text", "Size of /dev/shm in containers", "64m"),
    Flag("default-ulimit", "list", "Ulimit of containers: NAME=SOFT[:HARD]", key="default-ulimits"),
    Flag("dns", "list", "DNS server for containers"),
    Flag("dns-opt", "list", "DNS option for containers", key="dns-opts"),
    Flag("dns-search", "list", "DNS search domain for containers"),
    Flag("exec-opt", "list", "Runtime option: native.cgroupdriver=cgroupfs|systemd", key="exec-opts"),
    Flag("exec-root", "text", "Root directory of what is lost at a reboot", "/run/dockwright"),
    Flag("firewall-backend", "text", "Who makes the firewall rules; only nftables", "nftables"),
    Flag(
        "expedite-starts",
        "flag",
        "Hurry the kernel's RCU grace periods while a container starts: faster, and a moment's interruption of every CPU",
        False,
    ),
    Flag("feature", "list", "Feature of the daemon: NAME or NAME=true|false", key="features"),
    Flag("fixed-cidr", "text", "Part of the default bridge's subnet to take addresses from"),
    Flag("fixed-cidr-v6", "text", "IPv6 subnet of the default bridge, or the part of it to take addresses from"),
    Flag(
        "gc",
        "list",
        "Bounds of the images: max-size=50g, keep-for=720h, drop-unpacked=true; the least recently used go first",
    ),
    Flag("group", "text", "Group that owns the unix socket", "docker", "G"),
    Flag("host", "list", "Socket to listen on: unix://PATH, tcp://ADDRESS:PORT or fd://", short="H", key="hosts"),
    Flag("host-gateway-ip", "list", "Address that host-gateway stands for", key="host-gateway-ips"),
    Flag("icc", "flag", "Let containers of the default bridge reach each other", True),
    Flag("init-path", "text", "The init program for --init"),
    Flag(
        "insecure-registry",
        "list",
        "Registry that may lack TLS or a known certificate: HOST, HOST:PORT or a network as 10.0.0.0/8",
        key="insecure-registries",
    ),
    Flag("ip", "text", "Address that ports are published on where none is named", "0.0.0.0"),
    Flag("ip-forward", "flag", "Switch on IP forwarding", True),
    Flag("ip-forward-no-drop", "flag", "Set no FORWARD policy when IP forwarding is switched on; none ever is", True),
    Flag("ip-masq", "flag", "Masquerade what leaves the default bridge", True),
    Flag("ip6tables", "flag", "Make the firewall rules of IPv6 too; goes with iptables, for one table has both", True),
    Flag("iptables", "flag", "Make firewall rules (nftables, in a table of our own)", True),
    Flag("ipv6", "flag", "Give the default bridge IPv6", False),
    Flag("label", "list", "Label of this daemon: key=value", key="labels"),
    Flag("live-restore", "flag", "Leave containers running when the daemon ends", True),
    Flag("log-driver", "text", "Log driver of containers", "json-file"),
    Flag("log-level", "text", "debug, info, warn, error or fatal", "info", "l"),
    Flag("log-opt", "list", "Option of the log driver: key=value", key="log-opts"),
    Flag("max-concurrent-downloads", "number", "How many layers are fetched at the same time", 3),
    Flag("max-concurrent-uploads", "number", "How many layers are sent at the same time", 5),
    Flag("max-download-attempts", "number", "How often one request to a registry is tried", 5),
    Flag("mtu", "number", "MTU of the default bridge"),
    Flag("no-new-privileges", "flag", "Set no-new-privileges on every container", False),
    Flag("pidfile", "text", "File to write the daemon's pid to", "", "p"),
    Flag("publish-from", "list", "Source that may use published ports, as 10.0.0.0/8; everybody when none is named"),
    Flag(
        "plugin-directory", "list", "Directory to look for plugins in, in place of Docker's", key="plugin-directories"
    ),
    Flag(
        "registry-certs-dir",
        "list",
        "Directory with a directory of certificates for each registry; /etc/docker/certs.d without one",
        key="registry-certs-dirs",
    ),
    Flag(
        "registry-mirror",
        "list",
        "Asked before the registry it mirrors: URL for docker.io, REGISTRY=URL for another, *=URL for any",
        key="registry-mirrors",
    ),
    Flag("seccomp-profile", "text", "Seccomp profile of containers: a file, builtin or unconfined"),
    Flag("shutdown-timeout", "number", "Seconds for containers to stop in when the daemon ends", 15),
    Flag("storage-driver", "text", "Storage driver; overlay2 and overlayfs mean the same here", "overlayfs", "s"),
    Flag("tls", "flag", "Use TLS (implied by --tlsverify)", False),
    Flag("tlscacert", "text", "Trust only client certificates of this CA"),
    Flag("tlscert", "text", "The daemon's certificate"),
    Flag("tlskey", "text", "The daemon's key"),
    Flag("tlsverify", "flag", "Use TLS and demand client certificates", False),
    Flag("insecure-tcp", "flag", "Serve tcp:// without TLS: whoever reaches the port is root here", False),
    Flag("userland-proxy", "flag", "Relay what the kernel cannot translate", True),
    Flag("validate", "flag", "Check the configuration and end", False),
    Flag("version", "flag", "Print the version and end", False, "v"),
    Flag("help", "flag", "Print this help and end", False, "h"),
)
#: dockerd's flags of networks and volumes that make no sense here, and why. As keys of daemon.json they are refused too.
REFUSED = {
    "network-control-plane-mtu": "there is no cluster whose control plane it would be of",
    "network-diagnostic-port": "networks are looked into with `network inspect` and `system reconcile`",
    "selinux-enabled": "containers are not labelled; z and Z at a mount are accepted and relabel nothing",
    "userland-proxy-path": "what the kernel cannot translate is relayed by the daemon itself, not by a program",
}
_BY_NAME = {flag.name: flag for flag in FLAGS}
_BY_SHORT = {flag.short: flag for flag in FLAGS if flag.short}
RELOADED = frozenset(
    """
    add-runtime debug default-runtime feature insecure-registry label live-restore max-concurrent-downloads
    max-concurrent-uploads max-download-attempts registry-mirror shutdown-timeout
    """.split()
)
_COMMAND_LINE_ONLY = frozenset(("config-file", "validate", "version", "help"))


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """The flags given, by name. Raises `Invalid` for what is unknown or malformed."""
    given: dict[str, Any] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        flag, value = _split(word)
        if flag.kind == "flag":
            given[flag.name] = True if value is None else _boolean(flag, value)
            continue
        if value is None:
            if not words:
                raise Invalid(f"flag needs an argument: {word}")
            value = words.pop(0)
        if flag.kind == "list":
            given.setdefault(flag.name, []).append(value)
        else:
            given[flag.name] = _number(flag, value) if flag.kind == "number" else value
    return given


def load_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """`daemon.json`, by flag name. Raises `Invalid` for unknown keys, wrong types and bad JSON."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        if must_exist:
            raise Invalid(f"{path}: no such configuration file") from None
        return {}
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}") from error
    try:
        document = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise Invalid(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise Invalid(f"{path}: an object is expected")
    keys = {flag.file_key: flag for flag in FLAGS if flag.name not in _COMMAND_LINE_ONLY}
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key not in keys:
            _refuse(key, f"{path}: {key}")
            raise Invalid(f"{path}: the following directives don't match any configuration option: {key}")
        values[keys[key].name] = _from_file(path, keys[key], value)
    return values


def merge(given: dict[str, Any], from_file: dict[str, Any]) -> dict[str, Any]:
    """Flags, file and defaults as one. Raises `Invalid` for what both flags and file say."""
    both = sorted(given.keys() & from_file.keys() - {"debug"})
    if both:
        raise Invalid(
            "the following directives are specified both as a flag and in the configuration file: " + ", ".join(both)
        )
    defaults = {flag.name: ([] if flag.kind == "list" else flag.default) for flag in FLAGS}
    return defaults | from_file | given


def usage() -> str:
    """The help text."""
    lines = ["Usage:  dockwrightd [OPTIONS]", "", "The Dockwright engine behind the Docker Engine API.", "", "Options:"]
    for flag in FLAGS:
        if flag.kind == "object":
            continue
        head = f"  -{flag.short}, " if flag.short else "      "
        head += f"--{flag.name}" + ("" if flag.kind == "flag" else f" {flag.kind}")
        default = f" (default {json.dumps(flag.default)})" if flag.default not in (None, "", False) else ""
        lines.append(f"{head:<38}{flag.help}{default}")
    return "\n".join(lines)


def _split(word: str) -> tuple[Flag, str | None]:
    if word.startswith("--") and len(word) > 2:
        name, found, value = word[2:].partition("=")
        flag = _BY_NAME.get(name)
    elif word.startswith("-") and len(word) > 1:
        flag, value = _BY_SHORT.get(word[1]), word[2:].removeprefix("=")
        found = value
    else:
        raise Invalid(f"dockwrightd takes no arguments, only flags: {word}")
    if flag is None or flag.kind == "object":
        name = word.partition("=")[0]
        _refuse(name.lstrip("-"), name)
        raise Invalid(f"unknown flag: {name}")
    return flag, value if found else None


def _refuse(name: str, shown: str) -> None:
    if name in REFUSED:
        raise Invalid(f"{shown} is not supported: {REFUSED[name]}")


def _boolean(flag: Flag, text: str) -> bool:
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise Invalid(f'invalid argument "{text}" for "--{flag.name}": true or false is expected')


def _number(flag: Flag, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(f'invalid argument "{text}" for "--{flag.name}": a number is expected') from None


def _from_file(path: Path, flag: Flag, value: Any) -> Any:
    if flag.name == "default-network-opt" and isinstance(value, dict):
        if not all(isinstance(options, dict) for options in value.values()):
            raise Invalid(f"{path}: {flag.file_key}: an object of options by driver is expected")
        return [f"{driver}={name}={text}" for driver, options in value.items() for name, text in options.items()]
    if flag.kind == "list" and isinstance(value, dict):
        return [
            _pair(flag, key, one) for key, item in value.items() for one in (item if isinstance(item, list) else [item])
        ]
    if flag.kind == "list" and isinstance(value, list):
        return [
            ",".join(f"{k}={v}" for k, v in item.items()) if isinstance(item, dict) else str(item) for item in value
        ]
    kinds: dict[str, type] = {"text": str, "flag": bool, "number": int, "object": dict}
    expected = kinds.get(flag.kind)
    if expected is None or not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise Invalid(f"{path}: {flag.file_key}: a {flag.kind} is expected")
    return value


def _pair(flag: Flag, key: str, item: Any) -> str:
    """One entry of an object as the flag spells it."""
    if flag.name == "add-runtime" and isinstance(item, dict):
        return f"{key}={item.get('path', '')}"
    if flag.name == "default-ulimit" and isinstance(item, dict):
        return f"{key}={item.get('Soft', 0)}:{item.get('Hard', 0)}"
    if isinstance(item, bool):
        return f"{key}={str(item).lower()}"
    return f"{key}={item}"


def parse_default(name: str) -> Any:
    """The default of one flag."""
    return _BY_NAME[name].default
