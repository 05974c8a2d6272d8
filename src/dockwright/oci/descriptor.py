"""Descriptors, indexes and manifests (OCI image-spec 1.1; Docker image manifest v2, schema 2).

These structs read what is needed out of stored bytes. The bytes themselves are what is kept, so fields unknown here survive.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from dockwright.errors import Invalid
from dockwright.oci import digest as digests
from dockwright.oci import mediatypes
from dockwright.oci.digest import Digest
from dockwright.oci.platform import Platform

MANIFEST_LIMIT = 4 * 1024 * 1024

T = TypeVar("T")


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """OCI image-spec 1.1, descriptor.md. `size` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] | None = None
    annotations: dict[str, str] | None = None
    data: str | None = None
    artifact_type: str | None = None
    platform: Platform | None = None

    def __hash__(self) -> int:
        return hash((self.digest, self.media_type))


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """OCI image-spec 1.1, image-index.md; also Docker's manifest list."""

    schema_version: int = 2
    media_type: str = mediatypes.OCI_INDEX
    manifests: tuple[Descriptor, ...] | None = ()
    artifact_type: str | msgspec.UnsetType = msgspec.UNSET
    subject: Descriptor | msgspec.UnsetType | None = msgspec.UNSET
    annotations: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """OCI image-spec 1.1, manifest.md; also Docker's manifest v2, schema 2."""

    config: Descriptor
    layers: tuple[Descriptor, ...] | None = ()
    schema_version: int = 2
    media_type: str = mediatypes.OCI_MANIFEST
    artifact_type: str | msgspec.UnsetType = msgspec.UNSET
    subject: Descriptor | msgspec.UnsetType | None = msgspec.UNSET
    annotations: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


def describe(content: bytes, media_type: str, platform: Platform | None = None) -> Descriptor:
    """The descriptor of `content`."""
    return Descriptor(media_type, digests.of(content), len(content), platform=platform)


def read_index(content: bytes) -> Index:
    """Decode an index or manifest list. Raises `Invalid`, also on a descriptor with an impossible digest or size."""
    index = _decode(content, Index)
    for child in index.manifests or ():
        _check(child)
    return index


def read_manifest(content: bytes) -> Manifest:
    """Decode a manifest. Raises `Invalid`, also on a descriptor with an impossible digest or size."""
    manifest = _decode(content, Manifest)
    for child in (manifest.config, *(manifest.layers or ())):
        _check(child)
    return manifest


class _Shape(msgspec.Struct, rename="camel"):
    media_type: str = ""
    manifests: Any = None
    layers: Any = None
    config: Any = None
    fs_layers: Any = None


def detect(content: bytes) -> str:
    """The media type of a manifest or index by what it says, else by its shape. Raises `Invalid`, naming schema 1."""
    shape = _decode(content, _Shape)
    if shape.fs_layers is not None or shape.media_type in mediatypes.SCHEMA1:
        raise Invalid("image manifest schema 1 is not supported: push the image again with a current client")
    if shape.manifests is not None and (shape.layers is not None or shape.config is not None):
        raise Invalid("ambiguous manifest: it holds both manifests and layers")
    if shape.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS:
        return shape.media_type
    if shape.media_type:
        raise Invalid(f"unsupported manifest media type {shape.media_type!r}")
    if shape.manifests is not None:
        return mediatypes.OCI_INDEX
    if shape.config is not None:
        return mediatypes.OCI_MANIFEST
    raise Invalid("neither an image index nor an image manifest")


def _decode(content: bytes, kind: type[T]) -> T:
    if len(content) > MANIFEST_LIMIT:
        raise Invalid(f"manifest of {len(content)} bytes: the limit is {MANIFEST_LIMIT}")
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"malformed {kind.__name__.strip('_').lower()}: {error}") from error


def _check(descriptor: Descriptor) -> None:
    digests.parse(descriptor.digest)
    if descriptor.size < 0:
        raise Invalid(f"descriptor of {descriptor.digest} has the size {descriptor.size}")
