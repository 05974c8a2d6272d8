"""Builds over `POST /build`: for engines without BuildKit's protocol, and for what only that call has (`--squash`)."""

from __future__ import annotations

import json
import os
from typing import Any

from dockwright import errors
from dockwright.cli import build_context
from dockwright.cli.building import attributes
from dockwright.cli.building.entries import caches
from dockwright.cli.building.inputs import is_remote
from dockwright.cli.display.progress import show
from dockwright.cli.flags import Options
from dockwright.cli.registry_auth import all_as_header
from dockwright.cli.session import Session
from dockwright.client.calls import builds

# What this call has no words for.
_BUILDKIT_ONLY = (
    "allow",
    "annotation",
    "attest",
    "build-context",
    "cache-to",
    "call",
    "check",
    "explain",
    "metadata-file",
    "no-cache-filter",
    "on-fail",
    "output",
    "print",
    "provenance",
    "push",
    "sbom",
    "secret",
    "ssh",
)


def run(session: Session, options: Options, source: str, why: str) -> None:
    """Build. `why` says why it is done this way, for options that it has no words for: they are refused by name."""
    for name in _BUILDKIT_ONLY:
        if options.given(name) and options.value(name) not in (False, "", []):
            raise errors.Unsupported(f"--{name} needs BuildKit's protocol: {why}")
    body, place = _context(source, options.text("file"))
    parameters = _parameters(session, options)
    call = builds.build(body, auth=all_as_header(session), **place, **parameters)
    results = show(session, session.client.send(call).values(), quiet=options.on("quiet"))
    image = next((found["ID"] for found in reversed(results) if "ID" in found), "")
    if options.on("quiet"):
        session.line(image)
    if path := options.text("iidfile"):
        with open(path, "w", encoding="ascii") as file:
            file.write(image)


def _context(source: str, dockerfile: str) -> tuple[Any, dict[str, Any]]:
    """The body to send, and where the engine finds the Dockerfile."""
    if is_remote(source) and not os.path.exists(source):
        return None, {"remote": source, "dockerfile": dockerfile}
    if source == "-" and dockerfile == "-":
        raise errors.Invalid("invalid argument: can't use stdin for both build context and dockerfile")
    found = build_context.of_stdin(dockerfile) if source == "-" else build_context.of_directory(source, dockerfile)
    return found.body, {"dockerfile": found.dockerfile}


def _parameters(session: Session, options: Options) -> dict[str, Any]:
    platform = ",".join(options.many("platform")) or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    return {
        "t": options.many("tag"),
        "q": options.on("quiet"),
        "nocache": options.on("no-cache"),
        "pull": options.on("pull"),
        "rm": options.on("rm"),
        "forcerm": options.on("force-rm"),
        "buildargs": _arguments(session, options),
        "labels": dict(text.partition("=")[::2] for text in options.many("label")),
        "cachefrom": _as_json(_cache_images(options)),
        "extrahosts": ",".join(options.many("add-host")),
        "networkmode": "" if options.text("network") == "default" else options.text("network"),
        "platform": platform,
        "target": options.text("target"),
        "memory": options.number("memory"),
        "memswap": options.number("memory-swap"),
        "shmsize": options.number("shm-size"),
        "cpuperiod": options.number("cpu-period"),
        "cpuquota": options.number("cpu-quota"),
        "cpushares": options.number("cpu-shares"),
        "cpusetcpus": options.text("cpuset-cpus"),
        "cpusetmems": options.text("cpuset-mems"),
        "cgroupparent": options.text("cgroup-parent"),
        "ulimits": _as_json(options.many("ulimit")),
        "securityopt": _as_json(options.many("security-opt")),
        "squash": options.on("squash"),
        "dockwright-keep-times": options.on("keep-times"),
    }


def _cache_images(options: Options) -> list[str]:
    found = caches(options.many("cache-from"))
    for one in found:
        if one.kind != "registry" or "ref" not in one.attributes:
            raise errors.Unsupported("--cache-from of another type than registry needs BuildKit's protocol")
    return [one.attributes["ref"] for one in found]


def _arguments(session: Session, options: Options) -> dict[str, str | None]:
    """Those of the build; a `NAME` alone of one that is not set here is sent as such."""
    unset = [text for text in options.many("build-arg") if "=" not in text and text not in os.environ]
    return {**attributes.arguments(session, options), **dict.fromkeys(unset)}


def _as_json(values: list[Any]) -> str:
    return json.dumps(values) if values else ""
