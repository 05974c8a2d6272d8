"""One image as an OCI image layout (OCI image-spec 1.1, image-layout.md) or as an archive for `docker load`, before it is in
the list of images: a tar or a directory, always the same bytes for the same image."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import workers
from dockwright.archive import tarformat
from dockwright.archive.tarformat import Entry
from dockwright.errors import HostFailure
from dockwright.image.loading import NAME_ANNOTATION, REF_ANNOTATION
from dockwright.image.saving import LAYOUT, blob_member, blob_path, docker_manifest, file_member
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, Index, Reference, mediatypes, write

_CREATED = "org.opencontainers.image.created"


@dataclass(frozen=True)
class Layout:
    """What to write down: `target` with everything it leads to, called `names`. `docker` adds what old readers need;
    `created` (RFC 3339) is told of it, where it is not empty."""

    target: Descriptor
    names: tuple[Reference, ...] = ()
    docker: bool = False
    created: str = ""


async def tar(store: Store, layout: Layout) -> AsyncGenerator[bytes, None]:
    """The tar. What it holds is the caller's to lease. Raises `NotFound` for content that is not to be had any more."""
    blobs = await _blobs(store, layout.target)
    for folder in ("blobs/", "blobs/sha256/"):
        yield tarformat.encode(Entry(folder.encode(), tarformat.DIRECTORY, 0o755))
    for digest in sorted(blobs):
        async with aclosing(blob_member(store, blobs[digest])) as chunks:
            async for chunk in chunks:
                yield chunk
    for path, content in await _documents(store, layout):
        yield file_member(path, content)
    yield tarformat.END


async def directory(store: Store, layout: Layout, folder: Path) -> None:
    """The same as files below `folder`. Raises as `tar` does, and `HostFailure`."""
    blobs = await _blobs(store, layout.target)
    await workers.quick((folder / "blobs" / "sha256").mkdir, parents=True, exist_ok=True)
    for blob in blobs.values():
        path = folder / blob_path(blob)
        kept = store.blobs.path(blob.digest)
        if await workers.quick(kept.exists):
            await workers.bulk(_copy, kept, path)
            continue
        file = await workers.quick(path.open, "wb")
        try:
            async with aclosing(store.open_layer(blob)) as chunks:
                async for chunk in chunks:
                    await workers.bulk(file.write, chunk)
        finally:
            await workers.quick(file.close)
    for name, content in await _documents(store, layout):
        await workers.quick((folder / name).write_bytes, content)


async def _blobs(store: Store, target: Descriptor) -> dict[Digest, Descriptor]:
    found = {one.digest: one async for one in store.documents.reachable(target)}
    for blob in found.values():
        if not await workers.quick(store.has_content, blob.digest):
            await store.bring(blob)
    return found


async def _documents(store: Store, layout: Layout) -> list[tuple[str, bytes]]:
    described = [_described(layout, name) for name in layout.names] or [_described(layout, None)]
    files = [("index.json", write(Index(manifests=tuple(described))))]
    variant = await store.documents.choose(layout.target) if layout.docker else None
    if variant is not None:
        files.append(("manifest.json", docker_manifest([(variant, layout.names)])))
    return [*files, ("oci-layout", LAYOUT)]


def _described(layout: Layout, name: Reference | None) -> Descriptor:
    annotations = dict(layout.target.annotations or {})
    if name is not None:
        annotations |= {NAME_ANNOTATION: str(name), REF_ANNOTATION: name.tag or ""}
    if layout.created:
        annotations.setdefault(_CREATED, layout.created)
    platform = None if layout.target.media_type in mediatypes.INDEXES else layout.target.platform
    return msgspec.structs.replace(layout.target, annotations=annotations or None, platform=platform)


def _copy(kept: Path, path: Path) -> None:
    """A link where both are on one file system: neither is ever changed."""
    path.unlink(missing_ok=True)
    try:
        os.link(kept, path)
    except OSError:
        try:
            shutil.copyfile(kept, path)
        except OSError as error:
            raise HostFailure(f"{path}: {error.strerror}") from error
