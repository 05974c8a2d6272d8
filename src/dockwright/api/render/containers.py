"""Containers as list and inspect show them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from dockwright.container import Container
from dockwright.container.config import Config, EndpointSettings
from dockwright.container.creating import describe
from dockwright.container.links import shown as shown_links
from dockwright.container.mounts import MountPoint
from dockwright.container.ports import port_map
from dockwright.container.record import Health
from dockwright.container.state import Status
from dockwright.engine import Engine
from dockwright.errors import NotFound
from dockwright.network import Attachment, Place
from dockwright.units import ago, rfc3339

# What Docker leaves out where there is nothing to say (`omitempty` of its types); all else is null or empty there.
_CONFIG_SAID_ONLY = frozenset(
    "ArgsEscaped ExposedPorts Healthcheck MacAddress NetworkDisabled Shell StopSignal StopTimeout".split()
)
_HOST_SAID_ONLY = frozenset("Annotations Init KernelMemoryTCP Mounts Runtime StorageOpt Sysctls Tmpfs".split())
# Pointers in Docker's types: a zero says something.
_ZERO_COUNTS = frozenset(("Init", "StopTimeout"))


async def inspect_container(engine: Engine, container: Container, *, size: bool) -> dict[str, Any]:
    """`GET /containers/{id}/json`."""
    record, spec = container.record, container.record.spec
    path, arguments = describe(spec.config)
    home = engine.parts.paths.home(record.id)
    attachment = engine.networks.attachment(record.id)
    document: dict[str, Any] = {
        "Id": record.id,
        "Created": rfc3339(spec.created_ns),
        "Path": path,
        "Args": arguments,
        "State": _state(container),
        "Image": spec.image_id,
        "ResolvConfPath": str(home / "resolv.conf"),
        "HostnamePath": str(home / "hostname"),
        "HostsPath": str(home / "hosts"),
        "LogPath": container.log.path,
        "Name": "/" + record.name,
        "RestartCount": record.state.restart_count,
        "Driver": "overlayfs",
        "Platform": spec.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": container.execs.ids() or None,
        "HostConfig": _without_empty(msgspec.to_builtins(spec.host), _HOST_SAID_ONLY)
        | {"Links": _links(engine, container)},
        "GraphDriver": {"Name": "overlayfs", "Data": None},
        "Mounts": [mount_point(point) for point in spec.points if not point.unlisted],
        "Config": _config(spec.config),
        "NetworkSettings": _network_settings(engine, container, attachment),
    }
    descriptor = await engine.images.descriptor(spec.image_id)
    if descriptor is not None:
        document["ImageManifestDescriptor"] = msgspec.to_builtins(descriptor)
    if size:
        document |= await _sizes(engine, container)
    return document


def _config(config: Config) -> dict[str, Any]:
    shown = _without_empty(msgspec.to_builtins(config), _CONFIG_SAID_ONLY)
    if "Healthcheck" in shown:
        shown["Healthcheck"] = {name: value for name, value in shown["Healthcheck"].items() if value}
    return shown


def _without_empty(document: dict[str, Any], said_only: frozenset[str]) -> dict[str, Any]:
    return {
        name: value
        for name, value in document.items()
        if value or name not in said_only or (value is not None and name in _ZERO_COUNTS)
    }


async def summary(engine: Engine, container: Container, *, size: bool) -> dict[str, Any]:
    """One entry of `GET /containers/json`."""
    record, spec = container.record, container.record.spec
    path, arguments = describe(spec.config)
    attachment = engine.networks.attachment(record.id)
    entry: dict[str, Any] = {
        "Id": record.id,
        "Names": ["/" + record.name, *engine.containers.link_names(container)],
        "Image": spec.config.image,
        "ImageID": spec.image_id,
        "Command": " ".join([path, *(_quoted(argument) for argument in arguments)]),
        "Created": spec.created_ns // 1_000_000_000,
        "Ports": _ports(container, attachment),
        "Labels": spec.config.labels,
        "State": container.status.value,
        "Status": status_text(container),
        "HostConfig": {"NetworkMode": spec.host.network_mode, "Annotations": spec.host.annotations or {}},
        "NetworkSettings": {"Networks": _networks(engine, container, attachment)},
        "Mounts": [mount_point(point) for point in spec.points if not point.unlisted],
    }
    descriptor = await engine.images.descriptor(spec.image_id)
    if descriptor is not None:
        entry["ImageManifestDescriptor"] = msgspec.to_builtins(descriptor)
    if size:
        entry |= await _sizes(engine, container)
    return entry


def status_text(container: Container) -> str:
    """Docker's words for the state: `Up 2 minutes (healthy)`, `Exited (0) 3 hours ago`."""
    state = container.record.state
    now = time.time_ns()
    up = ago((now - state.started_ns) / 1e9) if state.started_ns else ""
    since = ago((now - state.finished_ns) / 1e9) if state.finished_ns else ""
    match container.status:
        case Status.PAUSED:
            return f"Up {up} (Paused)"
        case Status.RUNNING:
            if state.health is None:
                return f"Up {up}"
            words = "health: starting" if state.health.status == "starting" else state.health.status
            return f"Up {up} ({words})"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {since} ago"
        case Status.EXITED:
            return f"Exited ({state.exit_code}) {since} ago"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
    return "Created"


def mount_point(point: MountPoint) -> dict[str, Any]:
    """`MountPoint` of the specification."""
    shown: dict[str, Any] = {"Type": point.type}
    if point.type in ("volume", "image"):
        shown["Name"] = point.name
    shown["Source"] = point.source
    shown["Destination"] = point.destination
    if point.type == "volume":
        shown["Driver"] = point.driver
    return shown | {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def _state(container: Container) -> dict[str, Any]:
    state = container.record.state
    shown: dict[str, Any] = {
        "Status": state.status.value,
        "Running": container.alive or state.status is Status.RESTARTING,
        "Paused": state.status is Status.PAUSED,
        "Restarting": state.status is Status.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status is Status.DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started_ns),
        "FinishedAt": rfc3339(state.finished_ns),
    }
    if state.health is not None:
        shown["Health"] = _health(state.health)
    return shown


def _health(health: Health) -> dict[str, Any]:
    return {
        "Status": health.status,
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": rfc3339(probe.start_ns),
                "End": rfc3339(probe.end_ns),
                "ExitCode": probe.exit_code,
                "Output": probe.output,
            }
            for probe in health.log
        ],
    }


def _network_settings(engine: Engine, container: Container, attachment: Attachment | None) -> dict[str, Any]:
    networks = _networks(engine, container, attachment)
    first: dict[str, Any] = networks.get("bridge", {}) if attachment and attachment.place("bridge") else {}
    return {
        "Bridge": "",
        "SandboxID": attachment.sandbox_id if attachment else "",
        "SandboxKey": str(attachment.netns_path) if attachment else "",
        "Ports": port_map(container.record.spec.config, attachment) if container.alive else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": first.get("EndpointID", ""),
        "Gateway": first.get("Gateway", ""),
        "GlobalIPv6Address": first.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": first.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": first.get("IPAddress", ""),
        "IPPrefixLen": first.get("IPPrefixLen", 0),
        "IPv6Gateway": first.get("IPv6Gateway", ""),
        "MacAddress": first.get("MacAddress", ""),
        "Networks": networks,
    }


def _networks(engine: Engine, container: Container, attachment: Attachment | None) -> dict[str, Any]:
    spec = container.record.spec
    mode = spec.host.network_mode
    if mode.startswith("container:"):
        return {}
    asked = spec.endpoints or {"bridge" if mode == "default" else mode: EndpointSettings()}
    shown: dict[str, Any] = {name: msgspec.to_builtins(settings) for name, settings in asked.items()}
    for place in attachment.places if attachment is not None else ():
        shown[place.network_name] = shown.get(place.network_name, {}) | _place(place)
    for name, settings in shown.items():
        if not settings["NetworkID"]:
            settings["NetworkID"] = _network_id(engine, name)
    return shown


def _place(place: Place) -> dict[str, Any]:
    return {
        "NetworkID": place.network_id,
        "EndpointID": place.endpoint_id,
        "Gateway": place.gateway,
        "IPAddress": place.ip,
        "IPPrefixLen": place.prefix_len,
        "IPv6Gateway": place.gateway6,
        "GlobalIPv6Address": place.ip6,
        "GlobalIPv6PrefixLen": place.prefix_len6,
        "MacAddress": place.mac,
        "DNSNames": list(place.dns_names) or None,
    }


def _network_id(engine: Engine, name: str) -> str:
    try:
        return engine.networks.get(name).id
    except NotFound:
        return ""  # it has been removed since


def _links(engine: Engine, container: Container) -> list[str] | None:
    def name_of(reference: str) -> str:
        try:
            return engine.containers.get(reference).name
        except NotFound:
            return reference  # it has been removed since

    return shown_links(container.record, name_of)


def _ports(container: Container, attachment: Attachment | None) -> list[dict[str, Any]]:
    if not container.alive:
        return []
    found: list[dict[str, Any]] = []
    for text, bindings in port_map(container.record.spec.config, attachment).items():
        number, _, protocol = text.partition("/")
        if not bindings:
            found.append({"PrivatePort": int(number), "Type": protocol})
        for binding in bindings or ():
            if not binding["HostPort"]:
                found.append({"PrivatePort": int(number), "Type": protocol})
                continue
            port: dict[str, Any] = {
                "PrivatePort": int(number),
                "PublicPort": int(binding["HostPort"]),
                "Type": protocol,
            }
            found.append({"IP": binding["HostIp"], **port} if binding["HostIp"] else port)
    return found


async def _sizes(engine: Engine, container: Container) -> dict[str, int]:
    own = (await engine.snapshots.usage(container.id)).size_bytes
    image = await engine.images.unpacked_size(container.record.spec.image_id)
    return {"SizeRw": own, "SizeRootFs": own + image}


def _quoted(argument: str) -> str:
    """As Docker shows a command: an argument with a blank in it stands in single quotes."""
    return f"'{argument}'" if " " in argument else argument
