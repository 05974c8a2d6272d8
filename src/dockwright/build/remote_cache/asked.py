"""Caches as clients write them: `type=registry,ref=NAME`, `type=local,dest=PATH,mode=max`, `type=inline`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from dockwright.build.blobs import Reader, Writer
from dockwright.build.outputs import parsing
from dockwright.build.outputs.output import Compression
from dockwright.errors import Invalid, Unsupported
from dockwright.oci import Reference, reference

Mode = Literal["min", "max"]
OpenReader = Callable[[str, str, str], Reader]
OpenWriter = Callable[[str, str], Writer]
_KNOWN = ("registry", "local", "inline")
_TRUE, _FALSE = ("1", "true"), ("0", "false")


@dataclass(frozen=True)
class CacheFrom:
    """A cache to read: of the name `reference` in its registry, or at `place`.

    With `by_history`, as classic `cachefrom` means it: an image that is here already is looked at first, and layers of one
    without a cache inside are used where its history fits.
    """

    reference: Reference | None = None
    place: Reader | None = None
    by_history: bool = False


@dataclass(frozen=True)
class CacheTo:
    """A cache to write: under `reference` in its registry, to `place`, or with neither into the image itself.

    `mode` min holds the steps of the result, max those of all stages. `image_manifest` False writes an index, as older
    BuildKits read it; `ignore_error` lets a build succeed that cannot write it.
    """

    reference: Reference | None = None
    place: Writer | None = None
    mode: Mode = "min"
    compression: Compression = field(default_factory=lambda: Compression("gzip"))
    oci: bool = True
    image_manifest: bool = True
    ignore_error: bool = False

    @property
    def inline(self) -> bool:
        """Whether it goes into the image's configuration."""
        return self.reference is None and self.place is None


def parse_from(attributes: Mapping[str, str], place: OpenReader | None = None) -> CacheFrom:
    """`place` gives the reader of a local cache by its `src`, `tag` and `digest` (empty for none); whoever asks from outside
    of this process has to be read through, as a path is its own. Raises `Invalid` and `Unsupported`, naming the option."""
    given = dict(attributes)
    kind = _kind(given, "cache-from")
    if kind == "inline":
        raise Invalid("cache-from: type=inline: name the image with type=registry,ref=NAME")
    if kind == "local":
        source = given.pop("src", "") or given.pop("store", "")
        if not source:
            raise Invalid("cache-from: type=local needs src=PATH")
        if place is None:
            raise Invalid("cache-from: type=local needs a client that reads its directory")
        wanted = CacheFrom(place=place(source, given.pop("tag", "latest"), given.pop("digest", "")))
    else:
        wanted = CacheFrom(_reference(given, "cache-from"))
    _end(given, "cache-from", kind)
    return wanted


def parse_to(attributes: Mapping[str, str], place: OpenWriter | None = None) -> CacheTo:
    """`place` gives the writer of a local cache by its `dest` and `tag`. Raises as `parse_from`."""
    given = dict(attributes)
    kind = _kind(given, "cache-to")
    mode: Mode = "min"
    match given.pop("mode", "min"):
        case "min":
            pass
        case "max":
            mode = "max"
        case other:
            raise Invalid(f"cache-to: mode={other}: min or max")
    ignore_error = _flag(given, "ignore-error", default=False)
    if kind == "inline":
        _end(given, "cache-to", kind)
        return CacheTo(mode=mode, ignore_error=ignore_error)
    oci = _flag(given, "oci-mediatypes", default=True)
    manifest = _flag(given, "image-manifest", default=oci)
    if manifest and not oci:
        raise Invalid("cache-to: image-manifest=true conflicts with oci-mediatypes=false")
    asked = {
        name: given.pop(name) for name in list(given) if name.endswith("compression") or name == "compression-level"
    }
    compression = parsing.compression(asked, "gzip")
    name = writer = None
    if kind == "local":
        if "dest" not in given and "store" not in given:
            raise Invalid("cache-to: type=local needs dest=PATH")
        if place is None:
            raise Invalid("cache-to: type=local needs a client that writes its directory")
        given.pop("reset", "")  # the client empties its directory by itself
        writer = place(given.pop("dest", "") or given.pop("store", ""), given.pop("tag", "latest"))
    else:
        name = _reference(given, "cache-to")
    _end(given, "cache-to", kind)
    return CacheTo(name, writer, mode, compression, oci, manifest, ignore_error)


def classic(name: str) -> CacheFrom:
    """What `cachefrom` of `POST /build` and `--cache-from NAME` mean."""
    return CacheFrom(reference.parse(name).tagged, by_history=True)


def _kind(given: dict[str, str], option: str) -> str:
    kind = given.pop("type", "")
    if not kind:
        raise Invalid(f"{option} without a type: type=registry, local or inline")
    if kind not in _KNOWN:
        raise Unsupported(f"{option}: caches of type {kind} are not supported: there are {', '.join(_KNOWN)}")
    return kind


def _reference(given: dict[str, str], option: str) -> Reference:
    if _flag(given, "registry.insecure", default=False):
        raise Unsupported(
            f"{option}: registry.insecure=true: name the registry in the daemon's insecure-registries instead"
        )
    text = given.pop("ref", "")
    if not text:
        raise Invalid(f"{option}: type=registry needs ref=NAME")
    return reference.parse(text).tagged


def _flag(given: dict[str, str], name: str, *, default: bool) -> bool:
    text = given.pop(name, "").lower()
    if text not in ("", *_TRUE, *_FALSE):
        raise Invalid(f"{name}={text}: true or false is wanted")
    return text in _TRUE if text else default


def _end(given: dict[str, str], option: str, kind: str) -> None:
    given.pop("session", None)
    if given:
        raise Invalid(f"unknown option of {option} type={kind}: {', '.join(sorted(given))}")
