"""Loading images: Docker archives (`docker save`, also of old) and OCI image layouts, in a tar, plain or compressed.

First the whole stream goes into the blob store, by digest, in whatever order it comes; then the documents say what it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass, field

import msgspec

from dockwright import archive, faults, workers
from dockwright.archive import Source, tarformat
from dockwright.archive.reader import TarReader
from dockwright.content import LocalBlobs, put, read
from dockwright.errors import Corrupt, Invalid, NotFound, Unsupported
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

_BLOB = re.compile(rb"blobs/(sha256|sha384|sha512)/([0-9a-f]{64,128})")
_FILES = 200_000
_DOCUMENT = 16 * 1024 * 1024
_COMPRESSED = ((b"\x1f\x8b", mediatypes.OCI_LAYER_GZIP), (b"\x28\xb5\x2f\xfd", mediatypes.OCI_LAYER_ZSTD))


class _ArchiveImage(msgspec.Struct, rename="pascal"):
    """One image in a Docker archive's `manifest.json`; paths are the archive's."""

    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


@dataclass
class _Spooled:
    """What the archive held: regular files by path, now blobs, and links."""

    files: dict[str, tuple[Digest, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def find(self, path: str) -> tuple[Digest, int]:
        """The file at `path`, through links. Raises `Invalid`."""
        here = posixpath.normpath(path)
        for _ in range(40):
            if here in self.files:
                return self.files[here]
            if here not in self.links:
                break
            here = self.links[here]
        raise Invalid(f"invalid archive: it lacks {path}")


async def load(store: Store, stream: AsyncIterable[bytes], platform: Platform | None) -> AsyncGenerator[str, None]:
    """Load every image of the archive; a line for a person as each is there. Close the generator when you stop early.

    Raises `Invalid` or `Corrupt` for a bad archive; images told before that stay. `NotFound` without `platform` in it.
    """
    try:
        async with store.leases.lease() as lease:
            spooled = await archive.consume(stream, lambda source: _spool(store.blobs, archive.decompressed(source)))
            await lease.hold(digest for digest, _ in spooled.files.values())
            faults.point("image.load")
            for target, names in await _images(store, spooled):
                await _take(store, target, names, platform)
                for name in names:
                    yield f"Loaded image: {name.familiar}\n"
                if not names:
                    yield f"Loaded image ID: {target.digest}\n"
    finally:
        await shielded(store.collect())


async def _take(store: Store, target: Descriptor, names: list[Reference], platform: Platform | None) -> None:
    variant = await store.documents.choose(target, platform)
    if variant is None:
        wanted = f"{platform}" if platform else "this host"
        raise NotFound(f"image {names[0].familiar if names else target.digest} has nothing for {wanted}")
    await unpack(store, variant)
    await store.records.add(target, names)
    await store.publish("load", store.records.images[target.digest])


def _spool(blobs: LocalBlobs, source: Source) -> _Spooled:
    """Every regular file into the blob store. Blocking."""
    found = _Spooled()
    reader = TarReader(source)
    for entry in reader.entries():
        raw = tarformat.checked_name(entry.name)
        path = raw.decode(errors="surrogateescape")
        if len(found.files) + len(found.links) >= _FILES:
            raise Invalid(f"invalid archive: more than {_FILES} files")
        if entry.kind == tarformat.REGULAR:
            found.files[path] = _ingest(blobs, reader, _promised(raw))
        elif entry.kind == tarformat.SYMLINK:
            target = posixpath.join(posixpath.dirname(path), entry.target.decode(errors="surrogateescape"))
            found.links[path] = posixpath.normpath(target)
        elif entry.kind == tarformat.HARDLINK:
            found.links[path] = posixpath.normpath(entry.target.decode(errors="surrogateescape"))
    return found


def _ingest(blobs: LocalBlobs, reader: TarReader, promised: Digest | None) -> tuple[Digest, int]:
    partial = blobs.begin()
    try:
        for piece in reader.data():
            partial.write(piece)
        info = partial.commit(promised)
    finally:
        partial.discard()
    return info.digest, info.size_bytes


def _promised(path: bytes) -> Digest | None:
    match = _BLOB.fullmatch(path)
    return Digest(f"{match[1].decode()}:{match[2].decode()}") if match else None


async def _images(store: Store, spooled: _Spooled) -> list[tuple[Descriptor, list[Reference]]]:
    """The images of the archive, each by its target, with its names."""
    old = await _archive_images(store, spooled)
    if "index.json" in spooled.files and ("oci-layout" in spooled.files or not old):
        return await _layout_images(store, spooled, old)
    if old:
        return [await _assemble(store, spooled, image) for image in old]
    if "repositories" in spooled.files:
        raise Unsupported("the archive was saved by a Docker before 1.10: load and save it with a later one first")
    raise Invalid("invalid archive: it holds neither manifest.json nor index.json")


async def _archive_images(store: Store, spooled: _Spooled) -> list[_ArchiveImage]:
    if "manifest.json" not in spooled.files:
        return []
    content = await read(store.blobs, spooled.files["manifest.json"][0], _DOCUMENT)
    try:
        return msgspec.json.decode(content, type=list[_ArchiveImage])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"invalid archive: malformed manifest.json: {error}") from error


async def _layout_images(
    store: Store, spooled: _Spooled, old: list[_ArchiveImage]
) -> list[tuple[Descriptor, list[Reference]]]:
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
    return list(found.values())


async def _assemble(store: Store, spooled: _Spooled, image: _ArchiveImage) -> tuple[Descriptor, list[Reference]]:
    """The manifest that a Docker archive of old does not have."""
    config_digest, config_size = spooled.find(image.config)
    config = read_config(await read(store.blobs, config_digest))
    paths = image.layers or []
    if len(paths) != len(config.diff_ids):
        raise Corrupt(f"invalid archive: {len(paths)} layers, but the configuration speaks of {len(config.diff_ids)}")
    layers = []
    for path in paths:
        digest, size = spooled.find(path)
        layers.append(Descriptor(await workers.quick(_layer_type, store.blobs, digest), digest, size))
    manifest = write(Manifest(Descriptor(mediatypes.OCI_CONFIG, config_digest, config_size), tuple(layers)))
    await put(store.blobs, manifest)
    return describe(manifest, mediatypes.OCI_MANIFEST), [_name(tag) for tag in image.repo_tags or []]


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
