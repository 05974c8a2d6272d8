"""Saving images: a tar that is an OCI image layout and a Docker archive at once, as today's Docker writes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
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
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, Index, Platform, Reference, reference, write
from dockwright.oci import digest as digests

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass
class _Saved:
    """One image of the archive: where it begins, its names, and what old readers are told."""

    row: ImageRow
    target: Descriptor
    variant: Variant
    names: list[Reference] = field(default_factory=list)


async def save(store: Store, names: Sequence[str], platform: Platform | None) -> AsyncGenerator[bytes, None]:
    """A tar of the named images with everything they lead to; of one variant each with `platform`.

    A name without a tag means all tags of that repository. Raises `NotFound` before the first byte; `Corrupt` when what is
    stored is not what it should be.
    """
    images = await _plan(store, names, platform)
    blobs: dict[Digest, Descriptor] = {}
    async with store.leases.lease() as lease:
        for image in images:
            for descriptor in [one async for one in store.documents.reachable(image.target)]:
                if await workers.quick(store.has_content, descriptor.digest):
                    blobs[descriptor.digest] = descriptor
            _require(image, blobs)
        variants = [variant for image in images for variant in await store.documents.variants(image.target)]
        await lease.hold(blobs)
        for variant in variants:
            await lease.hold_layers(variant.config.diff_ids)
        for folder in ("blobs/", "blobs/sha256/"):
            yield tarformat.encode(Entry(folder.encode(), tarformat.DIRECTORY, 0o755))
        for digest in sorted(blobs):
            async with aclosing(_blob(store, blobs[digest])) as chunks:
                async for chunk in chunks:
                    yield chunk
        for path, content in _documents(images):
            yield _file(path, content)
        yield tarformat.END
    for image in images:
        await store.publish("save", image.row)


async def _plan(store: Store, names: Sequence[str], platform: Platform | None) -> list[_Saved]:
    found: dict[Digest, _Saved] = {}
    for name in names:
        for row, named in _meant(store, name):
            saved = found.get(row.digest)
            if saved is None:
                image = await store.image(row, platform)
                target = image.variant.descriptor if platform else row.target
                saved = found[row.digest] = _Saved(row, target, image.variant)
            if named is not None and named not in saved.names:
                saved.names.append(named)
    return list(found.values())


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


def _require(image: _Saved, blobs: dict[Digest, Descriptor]) -> None:
    manifest = image.variant.manifest
    for descriptor in (manifest.config, *(manifest.layers or ())):
        if descriptor.digest not in blobs:
            raise NotFound(f"content {descriptor.digest} not found")


async def _blob(store: Store, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
    yield tarformat.encode(Entry(_path(descriptor).encode(), size=descriptor.size))
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


def _documents(images: list[_Saved]) -> list[tuple[str, bytes]]:
    index = Index(manifests=tuple(entry for image in images for entry in _index_entries(image)))
    manifest = [
        {
            "Config": _path(image.variant.manifest.config),
            "RepoTags": [name.familiar for name in image.names] or None,
            "Layers": [_path(layer) for layer in image.variant.manifest.layers or ()],
        }
        for image in images
    ]
    return [("index.json", write(index)), ("manifest.json", msgspec.json.encode(manifest)), ("oci-layout", _LAYOUT)]


def _index_entries(image: _Saved) -> list[Descriptor]:
    bare = Descriptor(image.target.media_type, image.target.digest, image.target.size, platform=image.target.platform)
    if not image.names:
        return [bare]
    return [
        msgspec.structs.replace(bare, annotations={NAME_ANNOTATION: str(name), REF_ANNOTATION: name.tag or ""})
        for name in image.names
    ]


def _path(descriptor: Descriptor) -> str:
    return f"blobs/{digests.algorithm(descriptor.digest)}/{digests.encoded(descriptor.digest)}"


def _file(path: str, content: bytes) -> bytes:
    return tarformat.encode(Entry(path.encode(), size=len(content))) + content + tarformat.padding(len(content))
