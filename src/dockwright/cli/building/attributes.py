"""A build's options as attributes of the Dockerfile frontend."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.building.fields import variables
from dockwright.cli.flags import Options
from dockwright.cli.options.environment import proxies
from dockwright.cli.session import Session
from dockwright.oci import platform as platforms

EPOCH = "SOURCE_DATE_EPOCH"
GATEWAY_IP = "host-gateway"
# Limits of the steps: our option, the frontend's attribute.
_NUMBERS = {
    "memory": "memory",
    "memory-swap": "memswap",
    "cpu-shares": "cpushares",
    "cpu-period": "cpuperiod",
    "cpu-quota": "cpuquota",
    "shm-size": "shm-size",
}
_TEXTS = {
    "target": "target",
    "cgroup-parent": "cgroup-parent",
    "cpuset-cpus": "cpusetcpus",
    "cpuset-mems": "cpusetmems",
}


def attributes(session: Session, options: Options) -> dict[str, str]:
    """What the options say about the Dockerfile and its steps. Raises `errors.Invalid`."""
    found = {f"build-arg:{name}": value for name, value in arguments(session, options).items()}
    labels = variables(options.many("label"), inherit=False)
    found |= {f"label:{name}": value for name, value in labels.items()}
    found |= {key: str(options.number(name)) for name, key in _NUMBERS.items() if options.number(name)}
    found |= {key: options.text(name) for name, key in _TEXTS.items() if options.text(name)}
    found["image-resolve-mode"] = "pull" if options.on("pull") else "local"
    if filters := [part for text in options.many("no-cache-filter") for part in text.split(",") if part]:
        found["no-cache"] = ",".join(filters)
    if options.on("no-cache"):
        found["no-cache"] = ""
    if platform := platform_list(options):
        found["platform"] = platform
    if (mode := network(options)) != "default":
        found["force-network-mode"] = mode
    if hosts := options.many("add-host"):
        found["add-hosts"] = ",".join(_host(text) for text in hosts)
    if limits := options.many("ulimit"):
        found["ulimit"] = ",".join(f"{one['Name']}={one['Soft']}:{one['Hard']}" for one in limits)
    for name in ("explain", "keep-times"):
        if options.on(name):
            found[f"dockwright:{name}"] = "1"
    if options.text("on-fail"):
        found["dockwright:keep-failed"] = "1"
    return found


def arguments(session: Session, options: Options) -> dict[str, str]:
    """`--build-arg`, the configured proxies, and SOURCE_DATE_EPOCH of our own environment."""
    found = variables(options.many("build-arg"), inherit=True)
    if EPOCH not in found and os.environ.get(EPOCH):
        found[EPOCH] = os.environ[EPOCH]
    given = {name.lower() for name in found}
    for text in proxies(session.config, session.endpoint().url, ()):
        name, _, value = text.partition("=")
        if name.lower() not in given:
            found[name] = value
    return found


def platform_list(options: Options) -> str:
    """The platforms in their full form, by commas. Raises `errors.Invalid`."""
    texts = options.many("platform") or [os.environ.get("DOCKER_DEFAULT_PLATFORM", "")]
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    return ",".join(str(platforms.parse(name)) for name in names)


def network(options: Options) -> str:
    """The steps' network: default, none or host. Raises `errors.Invalid`."""
    mode = options.text("network") or "default"
    if mode not in ("default", "none", "host"):
        raise errors.Invalid(f'network mode "{mode}" not supported by builds: default, none or host')
    return mode


def entitlements(options: Options) -> list[str]:
    """What the build is allowed beyond the usual. Raises `errors.Invalid`."""
    found = [part for text in options.many("allow") for part in text.split(",") if part]
    found = [one for one in found if one != "buildx.local.delete"]  # our own matter
    for one in found:
        if one not in ("network.host", "security.insecure"):
            raise errors.Invalid(f"unknown entitlement {one}: network.host, security.insecure or buildx.local.delete")
    if network(options) == "host" and "network.host" not in found:
        found.append("network.host")
    return found


def _host(text: str) -> str:
    name, equals, address = text.partition("=")
    if not equals:
        name, equals, address = text.partition(":")
    if not (name and equals and address):
        raise errors.Invalid(f"invalid host {text}")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return f"{name}={address}"
