"""`--security-opt`, parsed: one value per concern."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.errors import Invalid, Unsupported


@dataclass
class SecurityOptions:
    """`seccomp` is "" for the default profile, "unconfined", or a profile's JSON."""

    seccomp: str = ""
    apparmor: str = ""
    labels: list[str] = field(default_factory=list)
    no_new_privileges: bool = False
    unconfined_system_paths: bool = False
    writable_cgroups: bool = False


def parse(options: list[str], *, no_new_privileges: bool = False) -> SecurityOptions:
    """Parse `key=value` (or the older `key:value`) options. Raises `Invalid` with Docker's wording, `Unsupported` for an
    AppArmor profile on a host without AppArmor.

    `no_new_privileges` is the daemon's default. `label` is accepted where the host has no SELinux, and has no effect there.
    """
    parsed = SecurityOptions(no_new_privileges=no_new_privileges)
    for option in options:
        if option == "no-new-privileges":
            parsed.no_new_privileges = True
            continue
        key, found, value = option.partition("=")
        if not found:
            key, found, value = option.partition(":")
        if not found:
            raise Invalid(f'invalid --security-opt: "{option}"')
        _set(parsed, option, key, value)
    return parsed


def apparmor_enabled() -> bool:
    """Whether the kernel enforces AppArmor."""
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y")
    except OSError:
        return False


def selinux_enabled() -> bool:
    """Whether the kernel enforces SELinux."""
    return os.path.exists("/sys/fs/selinux/enforce")


def _set(parsed: SecurityOptions, option: str, key: str, value: str) -> None:
    match key:
        case "seccomp":
            parsed.seccomp = "" if value == "builtin" else value
        case "apparmor":
            if value not in ("unconfined", "docker-default", "") and not apparmor_enabled():
                raise Unsupported(f"apparmor profile {value!r} was asked for, but this host has no AppArmor")
            parsed.apparmor = value
        case "label":
            parsed.labels.append(value)
        case "no-new-privileges":
            parsed.no_new_privileges = _boolean(option, value)
        case "systempaths":
            if value != "unconfined":
                raise Invalid(f'invalid --security-opt: "{option}"')
            parsed.unconfined_system_paths = True
        case "writable-cgroups":
            parsed.writable_cgroups = _boolean(option, value)
        case _:
            raise Invalid(f'invalid --security-opt 2: "{option}"')


def _boolean(option: str, value: str) -> bool:
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise Invalid(f'invalid --security-opt: "{option}"')
