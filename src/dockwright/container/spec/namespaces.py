"""OCI `linux.namespaces`: which are the container's own, which are the host's, and which another container's."""

from __future__ import annotations

from collections.abc import Callable

from dockwright.container.config import HostConfig
from dockwright.errors import Invalid

ProcessOf = Callable[[str], int]


def build(host: HostConfig, *, network: str | None, process_of: ProcessOf) -> list[dict[str, str]]:
    """The namespaces to make or join; one that is absent is the host's.

    `network` is the path of the namespace to join, "" for a new one, None for the host's. `process_of(container)` gives the
    pid of a running container to share with (raises `Conflict` when it does not run).
    """
    found: list[dict[str, str]] = [{"type": "mount"}]
    if network is not None:
        found.append({"type": "network", "path": network} if network else {"type": "network"})
    for kind, mode, name in (
        ("pid", host.pid_mode, "pid"),
        ("ipc", host.ipc_mode, "ipc"),
        ("uts", host.uts_mode, "uts"),
    ):
        if mode == "host":
            continue
        if mode.startswith("container:"):
            found.append({"type": kind, "path": f"/proc/{process_of(mode.partition(':')[2])}/ns/{name}"})
        else:
            found.append({"type": kind})
    if host.cgroupns_mode == "private":
        found.append({"type": "cgroup"})
    return found


def validate(host: HostConfig) -> None:
    """Raises `Invalid` for modes that do not exist or cannot be combined, with Docker's wording."""
    for name, mode, allowed in (
        ("pid mode", host.pid_mode, ("", "host", "private")),
        ("IPC mode", host.ipc_mode, ("", "none", "private", "shareable", "host")),
        ("UTS mode", host.uts_mode, ("", "host")),
        ("cgroup namespace mode", host.cgroupns_mode, ("", "host", "private")),
        ("user namespace mode", host.userns_mode, ("", "host")),
    ):
        shared = name in ("pid mode", "IPC mode") and mode.startswith("container:") and mode != "container:"
        if mode not in allowed and not shared:
            raise Invalid(f"invalid {name}: {mode}")
    if host.privileged and host.userns_mode not in ("", "host"):
        raise Invalid(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace"
        )
