"""What is mounted in a container: Binds, Mounts, image volumes and volumes-from, resolved to one list of mount points.

Parsing is pure; nothing on the host is touched here. Docker's precedence: Mounts and Binds over volumes-from over the
image's volumes, one mount point a destination.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

from dockwright.container.config import Config, HostConfig, Mount, Wire
from dockwright.errors import Conflict, Invalid, Unsupported

VOLUME_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
_PROPAGATIONS = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
_CONSISTENCY = frozenset(("consistent", "cached", "delegated", "default"))
_TMPFS_FLAGS = frozenset(
    "ro rw nosuid suid nodev dev noexec exec sync async dirsync remount mand nomand atime noatime diratime nodiratime bind "
    "rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime strictatime "
    "nostrictatime mode uid gid nr_inodes nr_blocks mpol size".split()
)


class MountPoint(Wire):
    """One mount. `source` is a host path (for a volume: once it is mounted); `name` and `driver` are a volume's.

    Of an image, `name` is what was asked for and `image_id` what it was at create.
    """

    type: str
    destination: str
    name: str = ""
    source: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    # Not shown by inspect (`unlisted`: not even the mount, which HostConfig.Tmpfs tells already):
    unlisted: bool = False
    anonymous: bool = False
    no_copy: bool = False
    subpath: str = ""
    create_source: bool = False
    non_recursive: bool = False
    recursive_read_only: bool = True
    force_recursive_read_only: bool = False
    options: list[str] = []
    labels: dict[str, str] = {}
    driver_options: dict[str, str] = {}
    image_id: str = ""
    # Where a part of a volume or image is held in place for the mount: what `source` leads to may be moved by who uses it.
    pinned: str = ""
    # Being mounted into, or taken away from, a container: what a daemon that died had not ended.
    pending: bool = False


def resolve(config: Config, host: HostConfig, volumes_of: Callable[[str], Iterable[MountPoint]]) -> list[MountPoint]:
    """All mount points of a container to be created.

    `volumes_of(container)` gives another container's mount points (raises `NotFound`). Raises `Invalid` with Docker's
    wording for bad syntax, `Conflict` for a destination named twice.
    """
    found: dict[str, MountPoint] = {}
    for image_volume in config.volumes or {}:
        path = clean_destination(image_volume)
        found[path] = MountPoint(type="volume", destination=path, driver=host.volume_driver, anonymous=True)
    for reference in host.volumes_from or []:
        for point in _volumes_from(reference, volumes_of):
            found[point.destination] = point
    asked: set[str] = set()
    for bind in host.binds or []:
        _place(parse_bind(bind, host.volume_driver), found, asked)
    for mount in host.mounts or []:
        _place(_from_mount(mount), found, asked)
    for path, options in (host.tmpfs or {}).items():
        _place(_tmpfs(path, options), found, asked)
    return ordered(found.values())


def from_mounts(given: Iterable[Mount]) -> list[MountPoint]:
    """`Mounts` alone as mount points. Raises as `resolve`."""
    return [_from_mount(mount) for mount in given]


def ordered(points: Iterable[MountPoint]) -> list[MountPoint]:
    """Parents before what is mounted in them."""
    return sorted(points, key=lambda point: (point.destination.count("/"), point.destination))


def parse_bind(text: str, volume_driver: str = "") -> MountPoint:
    """`[source:]destination[:options]`. Raises `Invalid` with Docker's wording."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts[:2]):
        raise Invalid(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return MountPoint(
            type="volume",
            destination=_bind_destination(text, parts[0]),
            driver=volume_driver,
            anonymous=True,
        )
    source, destination = parts[0], _bind_destination(text, parts[1])
    mode = parts[2] if len(parts) == 3 else ""
    if source.startswith("/"):
        point = MountPoint(
            type="bind",
            source=posixpath.normpath(source),
            destination=destination,
            create_source=True,
            propagation="rprivate",
        )
    elif VOLUME_NAME.match(source):
        point = MountPoint(type="volume", name=source, destination=destination, driver=volume_driver)
        point.mode = "z"
    else:
        raise Invalid(
            f'create {source}: "{source}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    options = [option for option in mode.split(",") if option]
    for alternatives in (("ro", "rw"), ("z", "Z"), _PROPAGATIONS, _CONSISTENCY):
        if sum(option in alternatives for option in options) > 1:
            raise Invalid(f"invalid volume specification: '{text}': invalid mode: {mode}")
    for option in options:
        _bind_option(text, point, option)
    if mode:
        point.mode = mode
    return point


def clean_destination(path: str) -> str:
    """An absolute, normal path inside the container. Raises `Invalid`."""
    if not path.startswith("/"):
        raise Invalid(f"invalid mount path: '{path}' mount path must be absolute")
    cleaned = "/" + posixpath.normpath(path).lstrip("/")
    if cleaned == "/":
        raise Invalid("invalid specification: destination can't be '/'")
    return cleaned


def _bind_destination(text: str, path: str) -> str:
    try:
        return clean_destination(path)
    except Invalid as error:
        raise Invalid(f"invalid volume specification: '{text}': {error}") from None


def _bind_option(text: str, point: MountPoint, option: str) -> None:
    if option in ("ro", "rw"):
        point.rw = option == "rw"
    elif option == "nocopy" and point.type == "volume":
        point.no_copy = True
    elif option in _PROPAGATIONS and point.type == "bind":
        point.propagation = option
    elif option not in ("z", "Z") and option not in _CONSISTENCY:
        raise Invalid(f"invalid volume specification: '{text}': invalid mode: {option}")


def _place(point: MountPoint, found: dict[str, MountPoint], asked: set[str]) -> None:
    if point.destination in asked:
        raise Conflict(f"Duplicate mount point: {point.destination}")
    asked.add(point.destination)
    found[point.destination] = point


def _volumes_from(reference: str, volumes_of: Callable[[str], Iterable[MountPoint]]) -> list[MountPoint]:
    container, _, mode = reference.partition(":")
    if not container:
        raise Invalid(f"invalid volumesFrom format: {reference!r}")
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise Invalid(f"invalid volumes-from {reference}: invalid mode: {mode}")
    points = []
    for point in volumes_of(container):
        if point.type == "tmpfs" or point.pending:
            continue
        copied = MountPoint(**{name: getattr(point, name) for name in point.__struct_fields__})
        copied.no_copy = True
        if mode == "ro":
            copied.rw, copied.mode = False, "ro"
        points.append(copied)
    return points


def _from_mount(mount: Mount) -> MountPoint:
    head = f'invalid mount config for type "{mount.type}": '
    if not mount.target:
        raise Invalid(head + "field Target must not be empty")
    try:
        destination = clean_destination(mount.target)
    except Invalid as error:
        raise Invalid(f"{head}{error}") from None
    _only_options_of(mount, head)
    match mount.type:
        case "bind":
            return _bind_mount(mount, destination, head)
        case "volume":
            return _volume_mount(mount, destination, head)
        case "tmpfs":
            return _tmpfs_mount(mount, destination, head)
        case "image":
            return _image_mount(mount, destination, head)
        case "cluster":
            raise Unsupported(f"{head}cluster volumes need a swarm, and this node is not part of one")
        case _:
            raise Invalid(f"{head}mount type unknown")


def _only_options_of(mount: Mount, head: str) -> None:
    for kind, name, value in (
        ("bind", "BindOptions", mount.bind_options),
        ("volume", "VolumeOptions", mount.volume_options),
        ("tmpfs", "TmpfsOptions", mount.tmpfs_options),
        ("image", "ImageOptions", mount.image_options),
    ):
        if value is not None and mount.type != kind:
            raise Invalid(f"{head}field {name} must not be specified")


def _bind_mount(mount: Mount, destination: str, head: str) -> MountPoint:
    if not mount.source:
        raise Invalid(head + "field Source must not be empty")
    if not mount.source.startswith("/"):
        raise Invalid(f"{head}invalid mount path: '{mount.source}' mount path must be absolute")
    options = mount.bind_options
    propagation = (options.propagation if options else "") or "rprivate"
    if options and options.read_only_force_recursive:
        if options.read_only_non_recursive or options.non_recursive:
            raise Invalid(head + "ReadOnlyForceRecursive conflicts with what is not recursive")
        if not mount.read_only:
            raise Invalid(head + "ReadOnlyForceRecursive needs ReadOnly")
    if propagation not in _PROPAGATIONS:
        raise Invalid(f"{head}invalid propagation mode: {propagation}")
    return MountPoint(
        type="bind",
        source=posixpath.normpath(mount.source),
        destination=destination,
        rw=not mount.read_only,
        propagation=propagation,
        non_recursive=bool(options and options.non_recursive),
        create_source=bool(options and options.create_mountpoint),
        recursive_read_only=not (options and options.read_only_non_recursive),
        force_recursive_read_only=bool(options and options.read_only_force_recursive),
    )


def _volume_mount(mount: Mount, destination: str, head: str) -> MountPoint:
    options = mount.volume_options
    if mount.source and not VOLUME_NAME.match(mount.source):
        raise Invalid(f'{head}"{mount.source}" includes invalid characters for a local volume name')
    driver = options.driver_config if options else None
    subpath = options.subpath if options else ""
    if subpath and not mount.source:
        raise Invalid(head + "must not set Subpath when using anonymous volumes")
    _check_subpath(subpath, head)
    return MountPoint(
        type="volume",
        name=mount.source,
        destination=destination,
        driver=driver.name if driver else "",
        mode="z",
        rw=not mount.read_only,
        anonymous=not mount.source,
        no_copy=bool(options and options.no_copy),
        subpath=subpath,
        labels=(options.labels if options else None) or {},
        driver_options=(driver.options if driver else None) or {},
    )


def _image_mount(mount: Mount, destination: str, head: str) -> MountPoint:
    if not mount.source:
        raise Invalid(head + "field Source must not be empty")
    subpath = mount.image_options.subpath if mount.image_options else ""
    _check_subpath(subpath, head)
    return MountPoint(type="image", name=mount.source, destination=destination, rw=False, subpath=subpath)


def _check_subpath(subpath: str, head: str) -> None:
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise Invalid(f"{head}subpath must be a relative path within the volume: {subpath}")


def _tmpfs_mount(mount: Mount, destination: str, head: str) -> MountPoint:
    if mount.source:
        raise Invalid(head + "field Source must not be specified")
    options = mount.tmpfs_options
    flags = ["nosuid", "nodev", "noexec"]
    if options:
        if options.size_bytes < 0:
            raise Invalid(head + "tmpfs size must not be negative")
        if options.size_bytes:
            flags.append(f"size={options.size_bytes}")
        if options.mode:
            flags.append(f"mode={options.mode:o}")
        flags += ["=".join(pair) for pair in options.options or []]
    _check_tmpfs(flags)
    return MountPoint(type="tmpfs", destination=destination, rw=not mount.read_only, options=flags)


def _tmpfs(path: str, options: str) -> MountPoint:
    flags = [flag for flag in options.split(",") if flag]
    _check_tmpfs(flags)
    defaults = [
        flag for flag in ("nosuid", "nodev", "noexec") if flag.removeprefix("no") not in flags and flag not in flags
    ]
    return MountPoint(
        type="tmpfs",
        destination=clean_destination(path),
        mode=options,
        rw="ro" not in flags,
        unlisted=True,
        options=[*defaults, *flags],
    )


def _check_tmpfs(flags: list[str]) -> None:
    for flag in flags:
        if flag.partition("=")[0] not in _TMPFS_FLAGS:
            raise Invalid(f'invalid tmpfs option "{flag}"')
