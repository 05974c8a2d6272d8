"""Seccomp: a profile in Docker's format, for one set of capabilities, as OCI `linux.seccomp`.

The default profile is the distribution's (`containers/common`), tightened to what Docker allows: system calls that Docker
ties to a capability are tied here too, and what it leaves out is left out.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from dockwright import kernel
from dockwright.errors import Invalid, Unsupported

DEFAULT_PROFILE = Path("/usr/share/containers/seccomp.json")

_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "x86"}
_SCMP_ARCH = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "armv7l": "SCMP_ARCH_ARM",
    "i686": "SCMP_ARCH_X86",
}

# Allowed by the distribution's profile to everybody, by Docker only with this capability.
_TIED = {
    "CAP_SYS_ADMIN": frozenset(
        "bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree "
        "perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare".split()
    ),
    "CAP_SYS_CHROOT": frozenset(["chroot", "pivot_root"]),
    "CAP_SYS_BOOT": frozenset(["reboot"]),
    "CAP_SYSLOG": frozenset(["syslog"]),
    "CAP_PERFMON": frozenset(["perf_event_open"]),
    "CAP_BPF": frozenset(["bpf"]),
}
_LEFT_OUT = frozenset(
    "add_key keyctl request_key userfaultfd io_uring_setup io_uring_enter io_uring_register kexec_load kexec_file_load "
    "create_module nfsservctl vm86 vm86old".split()
)
# clone(2) may not make namespaces without CAP_SYS_ADMIN: CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET.
_CLONE_NAMESPACES = 0x7E020000
_ENOSYS = 38
_EPERM = 1


def from_json(text: str, capabilities: Iterable[str]) -> dict[str, Any]:
    """The OCI form of a profile a user gave. Raises `Invalid` when it is none."""
    try:
        profile = msgspec.json.decode(text)
        return _resolve(profile, frozenset(capabilities))
    except (msgspec.DecodeError, UnicodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Invalid(f"decoding seccomp profile failed: {error}") from error


@lru_cache(maxsize=32)
def default(capabilities: frozenset[str]) -> msgspec.Raw:
    """The default profile for these capabilities, already encoded: it is the bulk of every container's specification.

    Raises `Unsupported` when the distribution's profile is not installed.
    """
    try:
        profile = msgspec.json.decode(DEFAULT_PROFILE.read_bytes())
    except FileNotFoundError as error:
        raise Unsupported(
            f"{DEFAULT_PROFILE} is missing: install golang-github-containers-common, "
            "or run with --security-opt seccomp=unconfined"
        ) from error
    resolved = _resolve(profile, capabilities)
    resolved["syscalls"] = _tighten(resolved["syscalls"], capabilities)
    return msgspec.Raw(msgspec.json.encode(resolved))


def _resolve(profile: dict[str, Any], capabilities: frozenset[str]) -> dict[str, Any]:
    resolved: dict[str, Any] = {
        "defaultAction": _action(profile["defaultAction"]),
        "architectures": _architectures(profile),
        "syscalls": [_rule(rule) for rule in profile.get("syscalls") or [] if _applies(rule, capabilities)],
    }
    if profile.get("defaultErrnoRet") is not None:
        resolved["defaultErrnoRet"] = profile["defaultErrnoRet"]
    for key in ("flags", "listenerPath", "listenerMetadata"):
        if profile.get(key):
            resolved[key] = profile[key]
    return resolved


def _action(name: Any) -> str:
    if not isinstance(name, str) or not name.startswith("SCMP_ACT_"):
        raise ValueError(f"{name!r} is no action")
    return name


def _architectures(profile: dict[str, Any]) -> list[str]:
    if profile.get("architectures"):
        return list(profile["architectures"])
    own = _SCMP_ARCH.get(platform.machine(), "")
    for entry in profile.get("archMap") or []:
        if entry["architecture"] == own:
            return [own, *(entry.get("subArchitectures") or [])]
    return [own] if own else []


def _applies(rule: dict[str, Any], capabilities: frozenset[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    arch = _ARCH.get(platform.machine(), platform.machine())
    if includes.get("arches") and arch not in includes["arches"]:
        return False
    if excludes.get("arches") and arch in excludes["arches"]:
        return False
    if includes.get("caps") and not capabilities.issuperset(includes["caps"]):
        return False
    if excludes.get("caps") and not capabilities.isdisjoint(excludes["caps"]):
        return False
    if includes.get("minKernel") and _kernel() < kernel.version(includes["minKernel"]):
        return False
    return not (excludes.get("minKernel") and _kernel() >= kernel.version(excludes["minKernel"]))


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"names": rule.get("names") or [rule["name"]], "action": _action(rule["action"])}
    if rule.get("args"):
        kept["args"] = [
            {key: value for key, value in argument.items() if key in ("index", "value", "valueTwo", "op")}
            for argument in rule["args"]
        ]
    if rule.get("errnoRet") is not None:
        kept["errnoRet"] = rule["errnoRet"]
    return kept


def _tighten(rules: list[dict[str, Any]], capabilities: frozenset[str]) -> list[dict[str, Any]]:
    tied = frozenset().union(*_TIED.values())
    held = frozenset().union(*(names for capability, names in _TIED.items() if capability in capabilities))
    admin = "CAP_SYS_ADMIN" in capabilities
    denied = (tied - held) | _LEFT_OUT | (frozenset() if admin else frozenset(["clone", "clone3"]))
    kept = []
    for rule in rules:
        names = [name for name in rule["names"] if name not in denied]
        if names:
            kept.append(rule | {"names": names})
    if not admin:
        masked = {"index": 0, "value": _CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
        kept.append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [masked]})
        # ENOSYS makes the C library fall back to clone(2), whose flags can be looked at.
        kept.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    kept.append({"names": sorted(denied - {"clone", "clone3"}), "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM})
    return kept


def _kernel() -> tuple[int, int]:
    return kernel.version(os.uname().release)
