"""What is told about images: inspect, history, the summaries of the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from dockwright import workers
from dockwright.errors import Invalid, NotFound
from dockwright.image import sizes
from dockwright.image.documents import ATTESTED, is_attestation
from dockwright.image.records import ImageRow
from dockwright.image.sizes import Footprint
from dockwright.image.store import Image, Store
from dockwright.image.types import (
    AttestationData,
    GraphDriver,
    HistoryItem,
    ImageInspect,
    ImageMetadata,
    ImageSummary,
    ManifestSummary,
    RootFilesystem,
    image_data,
    manifest_size,
)
from dockwright.oci import Descriptor, Digest, ImageConfig, Manifest, chain_ids, mediatypes
from dockwright.units import parse_time, rfc3339

# Containers by the image they were made from.
Users = Mapping[Digest, Sequence[str]]


async def inspect(store: Store, image: Image, manifests: list[ManifestSummary] | None = None) -> ImageInspect:
    """Everything about one image."""
    config = image.config
    used = await sizes.footprint(store, image.row)
    tagged_ns = store.records.last_tagged_ns(image.id)
    last = (config.history or ())[-1:]
    return ImageInspect(
        id=image.id,
        repo_tags=image.repo_tags,
        repo_digests=image.repo_digests,
        parent=image.row.parent or "",
        comment=config.comment or (last[0].comment if last else ""),
        created=config.created or msgspec.UNSET,
        docker_version=config.docker_version,
        author=config.author,
        config=config.run,
        architecture=config.architecture,
        variant=config.variant or msgspec.UNSET,
        os=config.os,
        os_version=config.os_version or msgspec.UNSET,
        size=used.total_bytes,
        graph_driver=GraphDriver("overlayfs", {}),
        root_fs=RootFilesystem("layers", list(config.diff_ids)),
        metadata=ImageMetadata(rfc3339(tagged_ns) if tagged_ns else msgspec.UNSET),
        descriptor=image.row.target,
        manifests=msgspec.UNSET if manifests is None else manifests,
    )


def history(store: Store, image: Image) -> list[HistoryItem]:
    """How the image was made, newest first. A step whose layer is unpacked tells the layer's size."""
    from_base = iter(sizes.layers(store, image.config.diff_ids).values())
    items = [
        HistoryItem(
            "<missing>",
            created_s(step.created),
            step.created_by,
            None,
            0 if step.empty_layer else next(from_base, 0),
            step.comment,
        )
        for step in image.config.history or ()
    ]
    items.reverse()
    if items:
        items[0].id = image.id
        items[0].tags = image.repo_tags or None
    return items


def summary(store: Store, row: ImageRow, config: ImageConfig, used: Footprint) -> ImageSummary:
    """One line of the list, as far as it does not depend on other images."""
    names = store.records.names(row.digest)
    return ImageSummary(
        id=row.digest,
        parent_id=row.parent or "",
        repo_tags=[name.familiar for name in names if name.tag],
        repo_digests=list(dict.fromkeys(f"{name.familiar_name}@{row.digest}" for name in names)),
        created=created_s(config.created),
        size=used.total_bytes,
        shared_size=-1,
        labels=config.run.labels,
        containers=-1,
        descriptor=row.target,
    )


async def manifests(store: Store, row: ImageRow, users: Users) -> list[ManifestSummary]:
    """Each manifest of an image, with what of it is here."""
    return [await _manifest(store, row, one, body, users) async for one, body in store.documents.manifests(row.target)]


async def _manifest(
    store: Store, row: ImageRow, descriptor: Descriptor, manifest: Manifest | None, users: Users
) -> ManifestSummary:
    parts = [descriptor.digest]
    if manifest is not None:
        parts += [manifest.config.digest, *(layer.digest for layer in manifest.layers or ())]
    content, available = await workers.quick(_presence, store, parts)
    summary = ManifestSummary(
        id=descriptor.digest,
        descriptor=descriptor,
        available=available and manifest is not None,
        size=manifest_size(content, content),
        kind="unknown",
    )
    if is_attestation(descriptor):
        summary.kind = "attestation"
        summary.attestation_data = AttestationData(Digest((descriptor.annotations or {}).get(ATTESTED, "")))
    elif manifest is not None and manifest.config.media_type in mediatypes.CONFIGS:
        await _describe_image(store, row, summary, manifest, users)
    elif descriptor.platform is not None:
        summary.kind = "image"
        summary.image_data = image_data(descriptor.platform, [], 0)
    return summary


async def _describe_image(
    store: Store, row: ImageRow, summary: ManifestSummary, manifest: Manifest, users: Users
) -> None:
    try:
        config = await store.documents.config(manifest.config.digest)
    except NotFound:
        config = None
    platform = summary.descriptor.platform or (config.platform if config else None)
    if platform is None:
        return
    unpacked = sum(sizes.layers(store, config.diff_ids).values()) if config else 0
    summary.kind = "image"
    chain = chain_ids(config.diff_ids) if config else []
    # Containers can be made of it, though its blobs may have been dropped once they were unpacked.
    summary.available |= bool(chain) and store.layers.has(chain[-1])
    summary.size = manifest_size(summary.size.content + unpacked, summary.size.content)
    summary.image_data = image_data(platform, list(users.get(row.digest, ())), unpacked)


def _presence(store: Store, parts: list[Digest]) -> tuple[int, bool]:
    content, available = 0, True
    for digest in parts:
        path = store.blobs.path(digest)
        if path.exists():
            content += path.stat().st_blocks * 512
        elif not store.layers.regenerable(digest):
            available = False
    return content, available


def created_s(created: str | None) -> int:
    """An RFC 3339 time as whole seconds since 1970; 0 for none."""
    return created_ns(created) // 10**9


@lru_cache(4096)
def created_ns(created: str | None) -> int:
    """An RFC 3339 time in nanoseconds since 1970; 0 for none, or one that is none."""
    if not created:
        return 0
    try:
        return parse_time(created, 0)
    except Invalid:
        return 0
