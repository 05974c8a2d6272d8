"""Device nodes and the device cgroup of a container."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from dockwright.container.config import DeviceMapping, HostConfig
from dockwright.errors import Invalid

# major:minor of null, zero, full, random, urandom, tty, console, ptmx and the pts range, as Docker allows them.
_DEFAULT_NODES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
_RULE = re.compile(r"^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$")
_SKIPPED = frozenset(("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"))


def nodes(host: HostConfig) -> list[dict[str, Any]]:
    """OCI `linux.devices`. Raises `Invalid` for a path that is no device here."""
    if host.privileged:
        return [node for path in _host_devices("/dev") if (node := _node(path, path))]
    found = []
    for mapping in host.devices or []:
        found += _mapped(mapping)
    return found


def rules(host: HostConfig, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """OCI `linux.resources.devices`: deny all, then Docker's defaults, the mapped devices and the rules asked for."""
    if host.privileged:
        return [{"allow": True, "access": "rwm"}]
    allowed: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    allowed += [{"allow": True, "type": kind, "access": "m"} for kind in "cb"]
    for major, minor in _DEFAULT_NODES:
        entry: dict[str, Any] = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        allowed.append(entry if minor is None else entry | {"minor": minor})
    permissions = {m.path_in_container or m.path_on_host: m.cgroup_permissions or "rwm" for m in host.devices or []}
    for node in made:
        access = next((value for path, value in permissions.items() if node["path"].startswith(path)), "rwm")
        allowed.append(
            {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}
        )
    return allowed + [_parse_rule(text) for text in host.device_cgroup_rules or []]


def validate(host: HostConfig) -> None:
    """Raises `Invalid` for a rule or permission that does not parse."""
    for text in host.device_cgroup_rules or []:
        _parse_rule(text)
    for mapping in host.devices or []:
        if not mapping.path_on_host.startswith("/"):
            raise Invalid(f"invalid device path: {mapping.path_on_host!r} is not absolute")
        if set(mapping.cgroup_permissions or "rwm") - set("rwm"):
            raise Invalid(f"invalid device mode: {mapping.cgroup_permissions}")


def number(path: str) -> tuple[int, int]:
    """major and minor of a device, for block I/O limits. Raises `Invalid` when it is none."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise Invalid(f"stat {path}: {(error.strerror or 'unknown').lower()}") from error
    if not stat.S_ISBLK(status.st_mode) and not stat.S_ISCHR(status.st_mode):
        raise Invalid(f"{path} is not a device")
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _parse_rule(text: str) -> dict[str, Any]:
    match = _RULE.match(text)
    if not match:
        raise Invalid(f"invalid device cgroup rule format: '{text}'")
    rule: dict[str, Any] = {"allow": True, "type": match[1], "access": match[4]}
    if match[2] != "*":
        rule["major"] = int(match[2])
    if match[3] != "*":
        rule["minor"] = int(match[3])
    return rule


def _mapped(mapping: DeviceMapping) -> list[dict[str, Any]]:
    source = os.path.realpath(mapping.path_on_host)
    target = mapping.path_in_container or mapping.path_on_host
    if node := _node(source, target):
        return [node]
    if os.path.isdir(source):  # a directory stands for every device below it
        below = ((path, target + path[len(source) :]) for path in _host_devices(source))
        return [node for path, inside in below if (node := _node(path, inside))]
    raise Invalid(
        f'error gathering device information while adding custom device "{mapping.path_on_host}": '
        + ("not a device node" if os.path.exists(source) else "no such file or directory")
    )


def _host_devices(directory: str) -> list[str]:
    found = []
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name in _SKIPPED or entry.is_symlink():
            continue
        if entry.is_dir():
            found += _host_devices(entry.path)
        else:
            found.append(entry.path)
    return found


def _node(path: str, inside: str) -> dict[str, Any] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""
    if not kind:
        return None
    return {
        "path": inside,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }
