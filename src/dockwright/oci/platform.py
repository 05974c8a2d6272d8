"""Platforms: `os/architecture/variant`, what this host runs, and which of several images suits it best."""

from __future__ import annotations

import os
import re
from functools import cache

import msgspec

from dockwright.errors import Invalid

_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_OS = frozenset(
    {"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "aix", "plan9", "android", "wasip1"}
)
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "loongarch64": ("loong64", ""),
}
_KNOWN = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"}
    | {"ppc64", "ppc64le", "riscv64", "s390x", "wasm"}
)
# A variant that says no more than the architecture does.
_PLAIN_VARIANT = {("amd64", "v1"), ("arm64", "v8"), ("arm64", "8")}


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """OCI image-spec 1.1, image-index.md, `platform`."""

    architecture: str = ""
    os: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] | None = msgspec.field(default=None, name="os.features")
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def normal(self) -> Platform:
        """The same platform under its usual names: `linux/aarch64/v8` is `linux/arm64`."""
        architecture, variant = self.architecture.lower(), self.variant.lower()
        architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
        variant = variant or implied or ("v7" if architecture == "arm" else "")
        if architecture == "arm" and variant.isdigit():
            variant = "v" + variant
        if (architecture, variant) in _PLAIN_VARIANT:
            variant = ""
        return msgspec.structs.replace(self, os=self.os.lower(), architecture=architecture, variant=variant)

    def choices(self) -> list[tuple[str, str, str]]:
        """What runs here as (os, architecture, variant), best first: an arm/v7 host also runs v6 and v5."""
        own = self.normal
        return [(own.os, architecture, variant) for architecture, variant in _runs(own.architecture, own.variant)]

    def rank(self, offered: Platform) -> int | None:
        """How well an image for `offered` suits this platform: 0 is best; None when it does not run."""
        image = offered.normal
        if self.os_version and image.os_version and self.os_version != image.os_version:
            return None
        try:
            return self.choices().index((image.os, image.architecture, image.variant))
        except ValueError:
            return None


def parse(text: str) -> Platform:
    """Read `os[/architecture[/variant]]` or an architecture alone; what is not said is the host's.

    Raises `Invalid` on an unknown operating system or architecture.
    """
    parts = text.split("/")
    if not 1 <= len(parts) <= 3 or not all(_PART.fullmatch(part) for part in parts):
        raise Invalid(f"{text!r} is an invalid platform: it has the form os[/arch[/variant]]")
    here = host()
    if len(parts) > 1:
        return Platform(parts[1], parts[0], variant=parts[2] if len(parts) > 2 else "").normal
    if parts[0].lower() in _OS:
        return Platform(here.architecture, parts[0].lower(), variant=here.variant)
    alone = Platform(parts[0], here.os).normal
    if alone.architecture not in _KNOWN:
        raise Invalid(f"{text!r}: unknown operating system or architecture")
    return alone


@cache
def host() -> Platform:
    """What this machine is."""
    machine = os.uname().machine
    return Platform(machine, "linux").normal


def _runs(architecture: str, variant: str) -> list[tuple[str, str]]:
    if architecture == "amd64":
        level = int(variant[1:]) if re.fullmatch(r"v[2-9]", variant) else 1
        return [("amd64", f"v{step}" if step > 1 else "") for step in range(level, 0, -1)] + [("386", "")]
    if architecture == "arm64":
        return [("arm64", variant)] + ([("arm64", "")] if variant else []) + _arm(8)
    if architecture == "arm" and re.fullmatch(r"v[5-8]", variant):
        return _arm(int(variant[1:]))
    return [(architecture, variant)]


def _arm(version: int) -> list[tuple[str, str]]:
    return [("arm", f"v{step}") for step in range(version, 4, -1)]
