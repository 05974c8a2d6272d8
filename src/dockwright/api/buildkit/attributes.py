"""Frontend attributes, BuildKit's names for what a build is asked for, as the builder's. Each is honoured or refused."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dockwright.build import Limits, Options, attestations
from dockwright.build.attestations import Attestations
from dockwright.container.config import Ulimit
from dockwright.engine import Pull
from dockwright.errors import Invalid, Unsupported
from dockwright.oci import Platform
from dockwright.oci import platform as platforms

_TRUE, _FALSE = ("1", "t", "true"), ("", "0", "f", "false")
_PULLS: Mapping[str, Pull] = {"": "missing", "default": "missing", "local": "missing", "pull": "always"}
# Read elsewhere, or told to people and programs that come later.
_OTHER = frozenset(
    (
        "filename context contextkey contextsubdir dockerfilekey requestid frontend.caps cmdline source cache-from "
        "cache-imports multi-platform vcs:source vcs:revision vcs:localdir:context vcs:localdir:dockerfile"
    ).split()
)
_PREFIXES = (
    "build-arg:",
    "label:",
    "context:",
    "input-metadata:",
    "local-sessionid:",
    "attest:",
    "sharedkey:",
    "vcs:",
    "dockwright:",
)
_REFUSED = {
    "hostname": "a name for the containers of build steps",
    "override-copy-image": "another image to copy with",
    "devices": "devices for build steps",
}
_OPTIONS = frozenset(
    (
        "target platform no-cache image-resolve-mode force-network-mode add-hosts shm-size ulimit memory memswap cpushares "
        "cpuperiod cpuquota cpusetcpus cpusetmems cgroup-parent"
    ).split()
)


class _Entry(msgspec.Struct):
    type: str = msgspec.field(name="Type", default="")
    attributes: dict[str, str] = msgspec.field(name="Attrs", default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What the attributes of one build say. `no_cache` True is every stage, else names of stages."""

    given: Mapping[str, str]
    options: Options
    limits: Limits
    pull: Pull
    platforms: tuple[Platform, ...] = ()
    no_cache: bool | frozenset[str] = False
    contexts: Mapping[str, str] = field(default_factory=dict)
    attestations: Attestations = field(default_factory=Attestations)
    cache_imports: tuple[Mapping[str, str], ...] = ()
    # Where the files lie that take the place of the client's `context` or `dockerfile` directory.
    trees: Mapping[str, Path] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """An attribute."""
        return self.given.get(name) or default

    def flag(self, name: str) -> bool:
        """A boolean attribute. Raises `Invalid`."""
        return _flag(self.given, name)

    @property
    def filename(self) -> str:
        """The Dockerfile's name in its directory."""
        return self.text("filename", "Dockerfile")


def read(given: Mapping[str, str]) -> Asked:
    """Raises `Invalid` for a bad value, `Unsupported` for an attribute that is not honoured."""
    for name, value in given.items():
        if name in _REFUSED and value:
            raise Unsupported(f"{_REFUSED[name]} ({name}) is not supported")
        if name not in _OPTIONS and name not in _OTHER and name not in _REFUSED and not name.startswith(_PREFIXES):
            raise Unsupported(f"the frontend attribute {name!r} is not supported")
    arguments = _with_prefix(given, "build-arg:")
    wanted = tuple(platforms.parse(text) for text in _list(given.get("platform", "")))
    options = Options(
        target=given.get("target", ""),
        arguments=arguments,
        labels=_with_prefix(given, "label:"),
        platform=wanted[0] if wanted else None,
        network=_network(given.get("force-network-mode", "")),
    )
    pull = _PULLS.get(given.get("image-resolve-mode", ""))
    if pull is None:
        raise Invalid(f"invalid image-resolve-mode: {given['image-resolve-mode']}")
    several = len(wanted) > 1 or _flag(given, "multi-platform") or _flag(arguments, "BUILDKIT_MULTI_PLATFORM")
    return Asked(
        given,
        options,
        _limits(given),
        pull,
        platforms=(wanted or (platforms.host(),)) if several else (),
        no_cache=frozenset(_list(given["no-cache"])) or True if "no-cache" in given else False,
        contexts=_with_prefix(given, "context:"),
        attestations=attestations.parse(given),
        cache_imports=_cache_imports(given),
    )


def _cache_imports(given: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
    """Caches to read, each with its `type`: as JSON, and as older clients write them."""
    try:
        entries = msgspec.json.decode(given.get("cache-imports") or "[]", type=list[_Entry])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"invalid cache-imports: {error}") from None
    older = [{"type": "registry", "ref": name} for name in _list(given.get("cache-from", ""))]
    return (*({**one.attributes, "type": one.type} for one in entries), *older)


def _limits(given: Mapping[str, str]) -> Limits:
    return Limits(
        extra_hosts=tuple(":".join(_pair(text)) for text in _list(given.get("add-hosts", ""))),
        shm_size=_number(given, "shm-size"),
        memory=_number(given, "memory"),
        memory_swap=_number(given, "memswap"),
        cpu_quota=_number(given, "cpuquota"),
        cpu_period=_number(given, "cpuperiod"),
        cpu_shares=_number(given, "cpushares"),
        cpuset_cpus=given.get("cpusetcpus", ""),
        cpuset_mems=given.get("cpusetmems", ""),
        ulimits=tuple(_ulimit(text) for text in _list(given.get("ulimit", ""))),
        cgroup_parent=given.get("cgroup-parent", ""),
    )


def _with_prefix(given: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}


def _list(text: str) -> list[str]:
    """Comma-separated, with quotes as in CSV."""
    return [field for row in csv.reader([text]) for field in row if field] if text else []


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f"invalid key-value pair {text}")
    return name, value


def _flag(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "").lower()
    if value not in _TRUE + _FALSE:
        raise Invalid(f"invalid boolean value for {name}: {value}")
    return value in _TRUE


def _number(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "")
    try:
        return int(text) if text else 0
    except ValueError:
        raise Invalid(f"invalid {name} value: {text}") from None


def _network(mode: str) -> str:
    if mode not in ("", "default", "sandbox", "host", "none"):
        raise Invalid(f"invalid network mode: {mode}: it is default, host or none")
    return mode if mode in ("host", "none") else "default"


def _ulimit(text: str) -> Ulimit:
    name, limits = _pair(text)
    soft, _, hard = limits.partition(":")
    try:
        return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
    except ValueError:
        raise Invalid(f"invalid ulimit: {text}") from None
