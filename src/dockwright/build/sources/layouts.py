"""Images of OCI layouts on this host, as bases of a build: `oci-layout://DIRECTORY[:TAG][@DIGEST]`.

OCI image-spec, image-layout.md. The image comes to the others without a name, as the base of what is built on it; a prune of
images takes it when nothing stands on it any more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec

from dockwright import archive, workers
from dockwright.archive import Root, tarformat
from dockwright.errors import Invalid, NotFound
from dockwright.image import Image, Images
from dockwright.oci import Descriptor, Platform, read_index

SCHEME = "oci-layout://"
_FORM = re.compile(r"(?P<path>.+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
_TAG = "org.opencontainers.image.ref.name"
_DOCUMENT_BYTES = 16 << 20
_PIECE_BYTES = 1 << 20


async def load(images: Images, text: str, platform: Platform) -> Image:
    """The image that `text` names, for `platform`. Raises `Invalid` and `NotFound`, and as `Images.load` does."""
    found = _FORM.fullmatch(text.removeprefix(SCHEME))
    if found is None:
        raise Invalid(f"invalid layout {text!r}: oci-layout://DIRECTORY[:TAG][@DIGEST] is wanted")
    directory = Path(found["path"])
    target = await workers.quick(_chosen, directory, found["tag"], found["digest"])
    async with (
        aclosing(archive.produce(lambda: _pack(directory, target))) as chunks,
        aclosing(images.load(chunks, platform)) as loading,
    ):
        async for _ in loading:
            pass
    return await images.resolve(target.digest, platform)


def _chosen(directory: Path, tag: str | None, digest: str | None) -> Descriptor:
    try:
        with (directory / "index.json").open("rb") as file:
            index = read_index(file.read(_DOCUMENT_BYTES))
    except OSError as error:
        raise NotFound(f"{directory} is no OCI layout: index.json: {error.strerror}") from None
    known = list(index.manifests or ())
    if digest is not None:
        known = [one for one in known if one.digest == digest]
    elif tag is not None or len(known) != 1:
        known = [one for one in known if (one.annotations or {}).get(_TAG) == (tag or "latest")]
    if not known:
        raise NotFound(f"the OCI layout {directory} has no image {digest or tag or 'latest'}")
    return known[0]


def _pack(directory: Path, target: Descriptor) -> Iterator[bytes]:
    """A tar of the layout as if it had `target` alone, and that without a name."""
    index = {
        "schemaVersion": 2,
        "manifests": [msgspec.structs.replace(target, annotations=None)],
    }
    head = archive.pack_files(
        [(b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), (b"index.json", msgspec.json.encode(index))]
    )
    *documents, _ = head  # the end comes after the blobs
    yield from documents
    with Root(directory) as root:
        for algorithm in (b"blobs/sha256", b"blobs/sha512"):
            try:
                names = os.listdir(root.directory(algorithm))
            except OSError:
                continue
            for name in sorted(os.fsencode(name) for name in names):
                yield from _file(root, algorithm + b"/" + name)
    yield tarformat.END


def _file(root: Root, path: bytes) -> Iterator[bytes]:
    with os.fdopen(root.open(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield tarformat.encode(tarformat.Entry(path, tarformat.REGULAR, 0o644, size=size), subsecond=False)
        left = size
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
        yield bytes(left) + tarformat.padding(size)
