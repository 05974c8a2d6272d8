"""Outputs as clients write them: `type=image,name=app,push=true`. Every option is honoured or refused by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from dockwright.build.blobs import Writer
from dockwright.build.outputs.output import (
    Annotation,
    Compression,
    Format,
    Kind,
    Output,
    Place,
    ToArchive,
    ToDirectory,
    ToStore,
)
from dockwright.build.outputs.sink import Sink
from dockwright.errors import Invalid, Unsupported
from dockwright.oci import platform as platforms
from dockwright.oci import reference

_ANNOTATION = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_LEVELS = {"gzip": range(10), "zstd": range(23)}
TYPES = ("image", "registry", "moby", "oci", "docker", "tar", "local")


def parse(
    attributes: Mapping[str, str],
    sink: Sink | None = None,
    *,
    names: tuple[str, ...] = (),
    layout: Writer | None = None,
) -> Output:
    """The output that `attributes` (with `type`) describe. `sink` takes what does not go into the store, `layout` an image
    layout that is to be a directory; `names` are those of the image where the attributes say none.

    Raises `Invalid` for what is wrong, `Unsupported` for what this engine does not have; both name the option.
    """
    given = _Given(dict(attributes))
    kind = given.text("type")
    match kind:
        case "image" | "registry" | "moby":
            output = _to_store(given, names, registry=kind == "registry")
        case "oci" | "docker":
            output = _to_archive(given, kind, names, _needed(sink, kind), layout)
        case "tar" | "local":
            output = _to_directory(given, _needed(sink, kind), tar=kind == "tar")
        case "":
            raise Invalid("an output without a type: type=image, oci, docker, tar or local")
        case _:
            raise Unsupported(f"output type {kind!r} is not supported: there are {', '.join(TYPES)}")
    given.end(kind)
    return output


def _needed(sink: Sink | None, kind: str) -> Sink:
    if sink is None:
        raise Invalid(f"an output of type {kind} needs a place to go: dest=PATH")
    return sink


def _to_store(given: _Given, names: tuple[str, ...], *, registry: bool) -> Output:
    push = given.flag("push", default=registry)
    form = _format(given, "gzip" if push else None, inline=True)
    if not given.flag("unpack", default=True):
        raise Unsupported("unpack=false: an image in the store is unpacked, as the build made it so")
    if given.flag("registry.insecure"):
        raise Unsupported("registry.insecure=true: name the registry in the daemon's insecure-registries instead")
    output = ToStore(
        names=_names(given.text("name")) or names,
        push=push,
        by_digest=given.flag("push-by-digest"),
        canonical=given.flag("name-canonical"),
        dangling=given.text("dangling-name-prefix"),
        # The key is spelled so in the protocol.
        dangling_only=given.flag("danging-name-empty-only") or given.flag("dangling-name-empty-only"),
        keep=given.flag("store", default=True),
        form=form,
    )
    if output.by_digest and not output.push:
        raise Invalid("push-by-digest=true without push=true")
    if output.push and not output.names:
        raise Invalid("push=true needs a name: name=REGISTRY/REPOSITORY:TAG, or a tag of the build")
    if not output.keep and not output.push:
        raise Invalid("store=false without push=true leaves nothing")
    return output


def _to_archive(given: _Given, kind: str, names: tuple[str, ...], sink: Sink, layout: Writer | None) -> Output:
    given.ignore("dest")
    form = _format(given, "gzip", inline=False)
    named = _names(given.text("name")) or names
    tar = given.flag("tar", default=True)
    return ToArchive("oci" if kind == "oci" else "docker", sink, named, tar, form, layout)


def _to_directory(given: _Given, sink: Sink, *, tar: bool) -> Output:
    given.ignore("dest")
    mode = given.text("mode") or "copy"
    if mode not in ("copy", "delete"):
        raise Invalid(f"mode={mode}: an output of type local is copied (copy), or replaces what is there (delete)")
    split = given.flag("platform-split") if given.has("platform-split") else None
    prefix = given.text("attestation-prefix")
    if "/" in prefix:
        raise Invalid(f"attestation-prefix={prefix}: it is the beginning of a file's name")
    return ToDirectory(sink, tar, split, prefix, mode == "delete", given.number("source-date-epoch"))


def _format(given: _Given, usual: Kind | None, *, inline: bool) -> Format:
    oci = given.flag("oci-mediatypes", default=True)
    compression = _compression(given, usual)
    if given.flag("prefer-nondist-layers"):
        raise Unsupported("prefer-nondist-layers=true: layers are always marked as they are")
    if compression.kind == "zstd" and not oci:
        raise Invalid("compression=zstd conflicts with oci-mediatypes=false: Docker's types have no zstd")
    artifact = given.flag("oci-artifact")
    if artifact and not oci:
        raise Invalid("oci-artifact=true conflicts with oci-mediatypes=false")
    annotations = given.annotations()
    if not oci and any(one.place != "manifest" for one in annotations):
        raise Invalid("annotations of indexes and descriptors conflict with oci-mediatypes=false")
    return Format(
        compression=compression,
        annotations=annotations,
        oci=oci,
        artifact=artifact,
        inline_attestations=given.flag("attestation-inline", default=inline),
        rewrite_times=given.flag("rewrite-timestamp"),
        time_s=given.number("source-date-epoch"),
    )


def compression(attributes: Mapping[str, str], usual: Kind | None) -> Compression:
    """The compression that `attributes` speak of, `usual` where they do not. Raises as `parse`."""
    return _compression(_Given(dict(attributes)), usual)


def _compression(given: _Given, usual: Kind | None) -> Compression:
    text = given.text("compression")
    if text and text not in get_args(Kind):
        raise Unsupported(f"compression={text} is not supported: there are {', '.join(get_args(Kind))}")
    kind: Kind | None = next((one for one in get_args(Kind) if one == text), usual)
    level = given.number("compression-level")
    if level is not None and (kind is None or level not in _LEVELS.get(kind, range(0))):
        allowed = _LEVELS.get(kind or "", range(1))
        raise Invalid(f"compression-level={level}: {kind or 'no compression'} has the levels 0 to {allowed[-1]}")
    return Compression(kind, level, given.flag("force-compression"))


def _names(text: str) -> tuple[str, ...]:
    return tuple(reference.parse(name).tagged.familiar for name in text.split(",") if name)


class _Given:
    """Attributes as they are used up."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self._left = attributes

    def has(self, name: str) -> bool:
        return name in self._left

    def ignore(self, name: str) -> None:
        """The face has seen to it."""
        self._left.pop(name, None)

    def text(self, name: str) -> str:
        return self._left.pop(name, "")

    def flag(self, name: str, *, default: bool = False) -> bool:
        text = self._left.pop(name, "")
        if not text:
            return default
        if text not in _TRUE | _FALSE:
            raise Invalid(f"{name}={text}: true or false is wanted")
        return text in _TRUE

    def number(self, name: str) -> int | None:
        text = self._left.pop(name, "")
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,12}", text):
            raise Invalid(f"{name}={text}: a number is wanted")
        return int(text)

    def annotations(self) -> tuple[Annotation, ...]:
        found = []
        for key in sorted(self._left):
            match = _ANNOTATION.fullmatch(key)
            if match is None:
                continue
            place: Place | None = next((one for one in get_args(Place) if one == (match[1] or "manifest")), None)
            if place is None:
                raise Invalid(f"{key}: an annotation goes to {', '.join(get_args(Place))}")
            wanted = platforms.parse(match[2]) if match[2] else None
            found.append(Annotation(place, match[3], self._left.pop(key), wanted))
        return tuple(found)

    def end(self, kind: str) -> None:
        """Raises `Invalid` when something is left."""
        if self._left:
            raise Invalid(f"unknown option of an output of type {kind}: {', '.join(sorted(self._left))}")
