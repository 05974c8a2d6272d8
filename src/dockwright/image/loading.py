"""Loading images: Docker archives (`docker save`, also of old) and OCI image layouts, in a tar, plain or compressed.

First the whole stream goes into the store, see `spooling.py`; then the documents say what it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import msgspec

from dockwright import faults, workers
from dockwright.content import LocalBlobs, put, read
from dockwright.errors import Corrupt, Invalid, NotFound, Unsupported
from dockwright.image.documents import Variant
from dockwright.image.leases import Lease
from dockwright.image.selecting import select
from dockwright.image.spooling import Spooled, spool
from dockwright.image.store import Store
from dockwright.image.unpacking import unpack
from dockwright.oci import (
    Descriptor,
    Digest,
    Manifest,
    Platform,
    Reference,
    describe,
    mediatypes,
    read_config,
    read_index,
    reference,
    write,
)
from dockwright.undo import shielded

NAME_ANNOTATION = "io.containerd.image.name"
REF_ANNOTATION = "org.opencontainers.image.ref.name"

_DOCUMENT = 16 * 1024 * 1024
_COMPRESSED = ((b"\x1f\x8b", mediatypes.OCI_LAYER_GZIP), (b"\x28\xb5\x2f\xfd", mediatypes.OCI_LAYER_ZSTD))


class _ArchiveImage(msgspec.Struct, rename="pascal"):
    """One image in a Docker archive's `manifest.json`; paths are the archive's."""

    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


@dataclass(frozen=True)
class _Contents:
    """The images of an archive, each by its target with its names, and manifests that only say something of others."""

    images: list[tuple[Descriptor, list[Reference]]]
    referrers: list[tuple[Descriptor, Digest]] = field(default_factory=list)


async def load(store: Store, stream: AsyncIterable[bytes], platforms: Sequence[Platform]) -> AsyncGenerator[str, None]:
    """Load every image of the archive, of `platforms` alone if there are any; a line for a person as each is there. Close
    the generator when you stop early.

    Raises `Invalid` or `Corrupt` for a bad archive; images told before that stay. `NotFound` without a platform in it.
    """
    try:
        async with store.leases.lease() as lease, AsyncExitStack() as stack:
            spooled = await spool(store, lease, stream, stack)
            faults.point("image.load")
            contents = await _contents(store, lease, spooled)
            for target, names in contents.images:
                await _take(store, spooled, target, names, platforms)
                for name in names:
                    yield f"Loaded image: {name.familiar}\n"
                if not names:
                    yield f"Loaded image ID: {target.digest}\n"
            for descriptor, _ in contents.referrers:
                await spooled.keep([one.digest async for one in store.documents.reachable(descriptor)])
            if contents.referrers:
                await store.records.add_referrers(contents.referrers)
    finally:
        await shielded(store.collect(), limit_s=None)


async def _take(
    store: Store, spooled: Spooled, target: Descriptor, names: list[Reference], platforms: Sequence[Platform]
) -> None:
    called = names[0].familiar if names else target.digest
    chosen = await _chosen(store, target, platforms, called)
    wanted = [variant for at, variant in enumerate(chosen) if at == 0 or _is_unpacked(variant, spooled)]
    for variant in wanted:
        same = [diff_id for blob, diff_id in variant.layers if blob.digest == diff_id]
        await spooled.give_up(same)
        await unpack(
            store, variant, {diff_id: spooled.layers[diff_id].staged for diff_id in same if diff_id in spooled.layers}
        )
    if platforms and target.digest not in store.records.images:
        for one in (await select(store, target, platforms, called)).others:
            await store.drop_manifests([one.digest])
    await spooled.keep([one.digest async for one in store.documents.reachable(target)])
    await store.records.add(target, names)
    await store.publish("load", store.records.images[target.digest])


async def _chosen(store: Store, target: Descriptor, platforms: Sequence[Platform], called: str) -> list[Variant]:
    """The variants to keep, the one to unpack first. Raises `NotFound`."""
    if platforms:
        return (await select(store, target, platforms, called)).variants
    best = await store.documents.choose(target)
    if best is not None:
        return [best, *(one for one in await store.documents.variants(target) if one is not best)]
    if not any([manifest is not None async for _, manifest in store.documents.manifests(target)]):
        raise NotFound(f"image {called} has nothing for this host")
    return []  # an artifact, not an image: it is kept as it is


def _is_unpacked(variant: Variant, spooled: Spooled) -> bool:
    return all(blob.digest == diff_id and diff_id in spooled.layers for blob, diff_id in variant.layers)


async def _contents(store: Store, lease: Lease, spooled: Spooled) -> _Contents:
    old = await _archive_images(store, spooled)
    if "index.json" in spooled.files and ("oci-layout" in spooled.files or not old):
        return await _layout_contents(store, spooled, old)
    if old:
        return _Contents([await _assemble(store, lease, spooled, image) for image in old])
    if "repositories" in spooled.files:
        raise Unsupported("the archive was saved by a Docker before 1.10: load and save it with a later one first")
    raise Invalid("invalid archive: it holds neither manifest.json nor index.json")


async def _archive_images(store: Store, spooled: Spooled) -> list[_ArchiveImage]:
    if "manifest.json" not in spooled.files:
        return []
    content = await read(store.blobs, spooled.files["manifest.json"][0], _DOCUMENT)
    try:
        return msgspec.json.decode(content, type=list[_ArchiveImage])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"invalid archive: malformed manifest.json: {error}") from error


async def _layout_contents(store: Store, spooled: Spooled, old: list[_ArchiveImage]) -> _Contents:
    index = read_index(await read(store.blobs, spooled.files["index.json"][0], _DOCUMENT))
    by_config = {spooled.find(image.config)[0]: image.repo_tags or [] for image in old}
    found: dict[Digest, tuple[Descriptor, list[Reference]]] = {}
    for child in index.manifests or ():
        if not await workers.quick(store.blobs.path(child.digest).exists):
            raise Invalid(f"invalid archive: it lacks {child.digest}")
        _, names = found.setdefault(child.digest, (Descriptor(child.media_type, child.digest, child.size), []))
        named = _annotated_name(child)
        if named is None:
            variant = await store.documents.choose(child)
            tags = by_config.get(variant.manifest.config.digest, []) if variant else []
            names += [parsed for tag in tags if (parsed := _name(tag)) not in names]
        elif named not in names:
            names.append(named)
    referrers = []
    for target, names in list(found.values()):
        subject = await store.documents.subject(target.digest)
        if not names and subject is not None:
            referrers.append((target, subject.digest))
            del found[target.digest]
    return _Contents(list(found.values()), referrers)


async def _assemble(
    store: Store, lease: Lease, spooled: Spooled, image: _ArchiveImage
) -> tuple[Descriptor, list[Reference]]:
    """The manifest that a Docker archive of old does not have."""
    config_digest, config_size = spooled.find(image.config)
    config = read_config(await read(store.blobs, config_digest))
    paths = image.layers or []
    if len(paths) != len(config.diff_ids):
        raise Corrupt(f"invalid archive: {len(paths)} layers, but the configuration speaks of {len(config.diff_ids)}")
    layers = []
    for path in paths:
        digest, size = spooled.find(path)
        plain = digest in spooled.layers
        kind = mediatypes.OCI_LAYER if plain else await workers.quick(_layer_type, store.blobs, digest)
        layers.append(Descriptor(kind, digest, size))
    manifest = write(Manifest(Descriptor(mediatypes.OCI_CONFIG, config_digest, config_size), tuple(layers)))
    target = describe(manifest, mediatypes.OCI_MANIFEST)
    await lease.hold([target.digest])
    await put(store.blobs, manifest)
    return target, [_name(tag) for tag in image.repo_tags or []]


def _layer_type(blobs: LocalBlobs, digest: Digest) -> str:
    with blobs.path(digest).open("rb") as file:
        head = file.read(4)
    return next((media_type for magic, media_type in _COMPRESSED if head.startswith(magic)), mediatypes.OCI_LAYER)


def _annotated_name(child: Descriptor) -> Reference | None:
    annotations = child.annotations or {}
    if NAME_ANNOTATION in annotations:
        return _name(annotations[NAME_ANNOTATION])
    # The OCI annotation may be a tag alone, which names no repository.
    told = annotations.get(REF_ANNOTATION, "")
    return _name(told) if ":" in told or "/" in told else None


def _name(text: str) -> Reference:
    named = reference.parse(text).tagged
    if named.digest is not None:
        raise Invalid(f"invalid archive: the name {text!r} has a digest")
    return named
