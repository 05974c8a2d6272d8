"""Saving images: a tar that is an OCI image layout and a Docker archive at once, as today's Docker writes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from dockwright import workers
from dockwright.archive import tarformat
from dockwright.archive.tarformat import Entry
from dockwright.errors import Corrupt, NotFound
from dockwright.image.documents import Variant
from dockwright.image.loading import NAME_ANNOTATION, REF_ANNOTATION
from dockwright.image.records import ImageRow
from dockwright.image.selecting import select
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, Index, Platform, Reference, reference, write
from dockwright.oci import digest as digests

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass
class _Saved:
    """One image of the archive: its names, its manifests that are to go along, and what old readers are told."""

    row: ImageRow
    manifests: list[Descriptor]
    variant: Variant | None
    names: list[Reference] = field(default_factory=list)


async def save(store: Store, names: Sequence[str], platforms: Sequence[Platform]) -> AsyncGenerator[bytes, None]:
    """A tar of the named images with everything they lead to, and with what refers to them; with `platforms`, of an index
    those alone (the index itself stays as it is, so the image keeps its ID).

    A name without a tag means all tags of that repository. Raises `NotFound` before the first byte; `Corrupt` when what is
    stored is not what it should be.
    """
    async with store.leases.lease() as lease:
        images = await _plan(store, names, platforms)
        for image in images:
            await store.hold_image(lease, image.row)
        blobs: dict[Digest, Descriptor] = {}
        for image in images:
            await _collect(store, image, blobs)
        referrers = await _referrers(store, blobs)
        for folder in ("blobs/", "blobs/sha256/"):
            yield tarformat.encode(Entry(folder.encode(), tarformat.DIRECTORY, 0o755))
        for digest in sorted(blobs):
            async with aclosing(blob_member(store, blobs[digest])) as chunks:
                async for chunk in chunks:
                    yield chunk
        for path, content in _documents(images, referrers):
            yield file_member(path, content)
        yield tarformat.END
    for image in images:
        await store.publish("save", image.row)


async def _plan(store: Store, names: Sequence[str], platforms: Sequence[Platform]) -> list[_Saved]:
    found: dict[Digest, _Saved] = {}
    for name in names:
        for row, named in _meant(store, name):
            saved = found.get(row.digest)
            if saved is None:
                saved = found[row.digest] = await _saved(store, row, platforms)
            if named is not None and named not in saved.names:
                saved.names.append(named)
    return list(found.values())


async def _saved(store: Store, row: ImageRow, platforms: Sequence[Platform]) -> _Saved:
    if platforms:
        called = next((name.familiar for name in store.records.names(row.digest)), row.digest)
        selection = await select(store, row.target, platforms, called)
        return _Saved(row, selection.manifests, selection.variants[0])
    manifests = [descriptor async for descriptor, _ in store.documents.manifests(row.target)]
    return _Saved(row, manifests, await store.documents.choose(row.target))


async def _collect(store: Store, image: _Saved, blobs: dict[Digest, Descriptor]) -> None:
    """Add what `image` leads to, as far as it is stored. What the variant that old readers get lacks is brought.

    Raises `NotFound` when that cannot be had any more.
    """
    meant = [image.row.target, *await store.documents.indexes(image.row.target)]
    for manifest in image.manifests:
        meant += [one async for one in store.documents.reachable(manifest)]
    await _add_stored(store, meant, blobs)
    if image.variant is not None:
        manifest_ = image.variant.manifest
        for descriptor in (manifest_.config, *(manifest_.layers or ())):
            if descriptor.digest not in blobs:
                await store.bring(descriptor)
                blobs[descriptor.digest] = descriptor


async def _referrers(store: Store, blobs: dict[Digest, Descriptor]) -> list[Descriptor]:
    """What refers to anything in `blobs`, or to such a referrer; its content is added to them."""
    found: list[Descriptor] = []
    left = dict(store.records.referrers)
    while news := [digest for digest, (_, subject) in left.items() if subject in blobs]:
        for digest in news:
            descriptor, _ = left.pop(digest)
            found.append(descriptor)
            await _add_stored(store, [one async for one in store.documents.reachable(descriptor)], blobs)
    return found


async def _add_stored(store: Store, wanted: list[Descriptor], blobs: dict[Digest, Descriptor]) -> None:
    for descriptor in wanted:
        if descriptor.digest not in blobs and await workers.quick(store.has_content, descriptor.digest):
            blobs[descriptor.digest] = descriptor


def _meant(store: Store, name: str) -> list[tuple[ImageRow, Reference | None]]:
    row = _found(store, name)
    if row is not None and digests.encoded(row.digest).startswith(name.removeprefix("sha256:")):
        return [(row, None)]
    parsed = reference.parse(name)
    if parsed.digest is None and parsed.tag is None:
        tags = [
            (other, named)
            for other in store.records.images.values()
            for named in store.records.names(other.digest)
            if named.name == parsed.name
        ]
        if tags:
            return list(tags)
    if row is None:
        raise NotFound(f"No such image: {parsed.tagged.familiar}")
    return [(row, parsed.tagged if parsed.digest is None else None)]


def _found(store: Store, name: str) -> ImageRow | None:
    try:
        return store.find(name)
    except NotFound:
        return None


async def blob_member(store: Store, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
    """A blob as a member of a layout's tar. Raises `Corrupt` for one of another size, `NotFound`."""
    yield tarformat.encode(Entry(blob_path(descriptor).encode(), size=descriptor.size))
    left = descriptor.size
    async with aclosing(store.open_layer(descriptor)) as chunks:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise Corrupt(f"content {descriptor.digest} has not the size that its descriptor says")
    yield tarformat.padding(descriptor.size)


def _documents(images: list[_Saved], referrers: list[Descriptor]) -> list[tuple[str, bytes]]:
    entries = [entry for image in images for entry in _index_entries(image)]
    index = Index(manifests=(*entries, *(_bare(descriptor) for descriptor in referrers)))
    manifest = docker_manifest((image.variant, image.names) for image in images if image.variant is not None)
    return [("index.json", write(index)), ("manifest.json", manifest), ("oci-layout", LAYOUT)]


def docker_manifest(images: Iterable[tuple[Variant, Iterable[Reference]]]) -> bytes:
    """The `manifest.json` by which `docker load` finds images and their names."""
    return msgspec.json.encode(
        [
            {
                "Config": blob_path(variant.manifest.config),
                "RepoTags": [name.familiar for name in names] or None,
                "Layers": [blob_path(layer) for layer in variant.manifest.layers or ()],
            }
            for variant, names in images
        ]
    )


def _index_entries(image: _Saved) -> list[Descriptor]:
    bare = _bare(image.row.target)
    if not image.names:
        return [bare]
    return [
        msgspec.structs.replace(bare, annotations={NAME_ANNOTATION: str(name), REF_ANNOTATION: name.tag or ""})
        for name in image.names
    ]


def _bare(target: Descriptor) -> Descriptor:
    return Descriptor(target.media_type, target.digest, target.size, platform=target.platform)


def blob_path(descriptor: Descriptor) -> str:
    """Where a layout has a blob."""
    return f"blobs/{digests.algorithm(descriptor.digest)}/{digests.encoded(descriptor.digest)}"


def file_member(path: str, content: bytes) -> bytes:
    """A small file as a member of a tar."""
    return tarformat.encode(Entry(path.encode(), size=len(content))) + content + tarformat.padding(len(content))
