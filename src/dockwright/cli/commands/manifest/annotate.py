"""`manifest annotate`: say what platform a manifest of a list is for."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import TWO, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

# What Go can be compiled for, by operating system: what registries and engines understand.
_SYSTEMS = {
    "aix": "ppc64",
    "android": "386 amd64 arm arm64",
    "darwin": "amd64 arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm arm64 riscv64",
    "illumos": "amd64",
    "ios": "amd64 arm64",
    "js": "wasm",
    "linux": "386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x",
    "netbsd": "386 amd64 arm arm64",
    "openbsd": "386 amd64 arm arm64",
    "plan9": "386 amd64 arm",
    "solaris": "amd64",
    "wasip1": "wasm",
    "windows": "386 amd64 arm arm64",
}


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dataclasses import replace

    import msgspec

    from dockwright.cli.manifests.store import Lists
    from dockwright.oci import reference

    name, manifest = (reference.parse(text).tagged for text in arguments)
    lists = Lists(session.config.directory)
    entry = lists.find(name, manifest)
    if entry is None:
        raise errors.NotFound(f"manifest for image {manifest} does not exist in {name}")
    platform = entry.platform
    for option, field in (("os", "os"), ("arch", "architecture"), ("os-version", "os_version"), ("variant", "variant")):
        if options.text(option):
            platform = msgspec.structs.replace(platform, **{field: options.text(option)})
    if features := options.many("os-features"):
        known = platform.os_features or ()
        platform = msgspec.structs.replace(
            platform, os_features=(*known, *(one for one in features if one not in known))
        )
    if platform.architecture not in _SYSTEMS.get(platform.os, "").split():
        raise errors.Invalid(
            f"manifest entry for image has unsupported os/arch combination: {platform.os}/{platform.architecture}"
        )
    descriptor = msgspec.structs.replace(entry.descriptor, platform=platform)
    lists.save(name, manifest, replace(entry, descriptor=descriptor))


COMMAND = Command(
    ("manifest annotate",),
    "Say what platform a manifest of a list on this machine is for",
    "[OPTIONS] LIST IMAGE",
    run,
    arguments=TWO,
    flags=(
        Flag("arch", "Architecture, e.g. arm64"),
        Flag("os", "Operating system, e.g. linux"),
        Flag("os-features", "Feature of the operating system that it needs", kind="stringSlice"),
        Flag("os-version", "Version of the operating system that it needs"),
        Flag("variant", "Variant of the architecture, e.g. v8"),
    ),
)
