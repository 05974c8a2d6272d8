"""OCI `process`: what runs, as whom, with which environment, capabilities and limits."""

from __future__ import annotations

import resource
from typing import Any

from dockwright.container.config import Config, HostConfig, Ulimit
from dockwright.container.spec import capabilities
from dockwright.container.spec.users import User
from dockwright.errors import Invalid, Unsupported

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RLIMITS = {
    name: getattr(resource, "RLIMIT_" + name.upper())
    for name in ("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss")
    + ("rtprio", "rttime", "sigpending", "stack")
    if hasattr(resource, "RLIMIT_" + name.upper())
}
_RLIMITS["locks"] = 10


def build(
    config: Config,
    host: HostConfig,
    user: User,
    *,
    arguments: list[str],
    environment: list[str],
    no_new_privileges: bool,
    apparmor: str = "",
    default_ulimits: list[Ulimit] | None = None,
) -> dict[str, Any]:
    """The `process` object of a container's first process. Raises `Invalid` or `Unsupported` for what the host refuses."""
    process: dict[str, Any] = {
        "terminal": config.tty,
        "args": arguments,
        "env": environment,
        "cwd": config.working_dir or "/",
        "user": user_object(user),
        "noNewPrivileges": no_new_privileges,
        "capabilities": capability_sets(
            capabilities.effective(host.cap_add or [], host.cap_drop or [], host.privileged), user
        ),
    }
    if config.tty and host.console_size and any(host.console_size):
        process["consoleSize"] = {"height": host.console_size[0], "width": host.console_size[1]}
    if host.oom_score_adj:
        process["oomScoreAdj"] = host.oom_score_adj
    named = {limit.name for limit in host.ulimits or []}
    limits = [*(host.ulimits or []), *(limit for limit in default_ulimits or [] if limit.name not in named)]
    if limits:
        process["rlimits"] = [_rlimit(limit) for limit in limits]
    if apparmor:
        process["apparmorProfile"] = apparmor
    return process


def user_object(user: User) -> dict[str, Any]:
    """OCI `process.user`."""
    return {"uid": user.uid, "gid": user.gid, "additionalGids": user.groups or [user.gid]}


def capability_sets(names: list[str], user: User) -> dict[str, list[str]]:
    """OCI `process.capabilities`. A user other than root holds none at first, as after any execve; the bound stays."""
    held = names if user.uid == 0 else []
    return {"bounding": names, "effective": held, "permitted": held}


def environment(config: Config, user: User, hostname: str) -> list[str]:
    """Docker's defaults, then the container's own: the last word on a name wins, and a bare name removes it."""
    found = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if config.tty:
        found["TERM"] = "xterm"
    for entry in config.env or []:
        name, given, value = entry.partition("=")
        if given:
            found[name] = value
        else:
            found.pop(name, None)
    found.setdefault("HOME", user.home)
    return [f"{name}={value}" for name, value in found.items()]


def merge_environment(base: list[str], extra: list[str]) -> list[str]:
    """`base` with the entries of `extra` replacing those of the same name."""
    merged = {entry.partition("=")[0]: entry for entry in base}
    merged.update({entry.partition("=")[0]: entry for entry in extra})
    return [entry for entry in merged.values() if "=" in entry]


def validate(host: HostConfig) -> None:
    """Raises `Invalid` for unknown ulimits, `Unsupported` for what this host withholds from the engine."""
    for limit in host.ulimits or []:
        _rlimit(limit)
    if not -1000 <= host.oom_score_adj <= 1000:
        raise Invalid(f"invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host.oom_score_adj < _own_oom_score() and "CAP_SYS_RESOURCE" not in capabilities.available():
        raise Unsupported(
            f"an oom score of {host.oom_score_adj} is below the engine's own, and this host withholds CAP_SYS_RESOURCE from it"
        )


def _own_oom_score() -> int:
    with open("/proc/self/oom_score_adj") as file:
        return int(file.read())


def _rlimit(limit: Ulimit) -> dict[str, Any]:
    number = _RLIMITS.get(limit.name)
    if number is None:
        raise Invalid(f"invalid ulimit type: {limit.name}")
    soft, hard = _infinite(limit.soft), _infinite(limit.hard)
    if soft > hard:
        raise Invalid(f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}")
    own = resource.getrlimit(number)[1]
    if own != resource.RLIM_INFINITY and hard > own and "CAP_SYS_RESOURCE" not in capabilities.available():
        raise Unsupported(
            f"ulimit {limit.name}: {limit.hard} is above the engine's own hard limit of {own}, "
            "and this host withholds CAP_SYS_RESOURCE from it"
        )
    return {"type": "RLIMIT_" + limit.name.upper(), "soft": soft, "hard": hard}


def _infinite(value: int) -> int:
    return 2**64 - 1 if value < 0 else value
