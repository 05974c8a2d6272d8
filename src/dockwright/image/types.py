"""What the Engine API tells of images: wire objects, declared once, here, as they equal what this manager knows.

Engine API v1.51: ImageInspect, ImageSummary, HistoryResponseItem, ImageDeleteResponseItem, ImageManifestSummary.
"""

from __future__ import annotations

import msgspec

from dockwright.oci import Descriptor, Digest, Platform, RunConfig


class _ContentSize(msgspec.Struct, rename="pascal"):
    total: int
    content: int


class _UnpackedSize(msgspec.Struct, rename="pascal"):
    unpacked: int


class ImageData(msgspec.Struct, rename="pascal"):
    """Of a manifest that containers can be made from."""

    platform: Platform
    containers: list[str]
    size: _UnpackedSize


class AttestationData(msgspec.Struct, rename="pascal"):
    """Of a manifest that says something about another."""

    for_: Digest = msgspec.field(name="For")


class ManifestSummary(msgspec.Struct, rename="pascal", omit_defaults=True):
    """One manifest of an image."""

    id: Digest = msgspec.field(name="ID")
    descriptor: Descriptor
    available: bool = msgspec.field()
    size: _ContentSize
    kind: str
    image_data: ImageData | None = None
    attestation_data: AttestationData | None = None


def manifest_size(total: int, content: int) -> _ContentSize:
    """Bytes on disk: `content` in blobs, `total` with what is unpacked."""
    return _ContentSize(total, content)


def image_data(platform: Platform, containers: list[str], unpacked: int) -> ImageData:
    """See `ImageData`."""
    return ImageData(platform, containers, _UnpackedSize(unpacked))


class ImageSummary(msgspec.Struct, rename="pascal"):
    """One line of the list of images."""

    id: Digest
    parent_id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: int
    size: int
    shared_size: int
    labels: dict[str, str] | None
    containers: int
    manifests: list[ManifestSummary] | msgspec.UnsetType = msgspec.UNSET
    descriptor: Descriptor | msgspec.UnsetType = msgspec.UNSET


class RootFilesystem(msgspec.Struct, rename="pascal"):
    """The layers by diff ID, base first."""

    type: str
    layers: list[Digest]


class GraphDriver(msgspec.Struct, rename="pascal"):
    """Which snapshotter holds the image."""

    name: str
    data: dict[str, str]


class ImageMetadata(msgspec.Struct, rename="pascal"):
    """What is true on this host alone."""

    last_tag_time: str | msgspec.UnsetType = msgspec.UNSET


class ImageInspect(msgspec.Struct, rename="pascal"):
    """Everything about one image."""

    id: Digest
    repo_tags: list[str]
    repo_digests: list[str]
    parent: str
    comment: str
    docker_version: str
    author: str
    config: RunConfig
    architecture: str
    os: str
    size: int
    graph_driver: GraphDriver
    root_fs: RootFilesystem = msgspec.field(name="RootFS")
    metadata: ImageMetadata
    descriptor: Descriptor
    created: str | msgspec.UnsetType = msgspec.UNSET
    variant: str | msgspec.UnsetType = msgspec.UNSET
    os_version: str | msgspec.UnsetType = msgspec.UNSET
    manifests: list[ManifestSummary] | msgspec.UnsetType = msgspec.UNSET


class HistoryItem(msgspec.Struct, rename="pascal"):
    """One step of an image's making, the newest first."""

    id: str
    created: int
    created_by: str
    tags: list[str] | None
    size: int
    comment: str


class DeleteItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    """One thing that a removal did."""

    untagged: str = ""
    deleted: str = ""


class PruneReport(msgspec.Struct, rename="pascal"):
    """What a prune removed."""

    images_deleted: list[DeleteItem] | None
    space_reclaimed: int
