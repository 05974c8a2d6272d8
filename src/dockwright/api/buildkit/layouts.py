"""Images that a client's OCI layouts hold, as contexts of builds (`oci-layout://STORE@DIGEST`): brought into the store for as
long as the build lasts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

from dockwright.api.buildkit.stores import ClientStore
from dockwright.archive import tarformat
from dockwright.archive.tarformat import Entry
from dockwright.errors import Conflict, Invalid, NotFound
from dockwright.image.manager import Images
from dockwright.oci import Descriptor, Index, Platform, mediatypes, read_index, read_manifest, reference, write

_PREFIX = "oci-layout://"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def store_of(value: str) -> tuple[str, str]:
    """The store and the digest that a context's value names. Raises `Invalid`."""
    name = reference.parse(value.removeprefix(_PREFIX))
    if name.digest is None:
        raise Invalid(f"{value}: an OCI layout of a client is named with a digest")
    return f"oci:{name.familiar_name}", name.digest


@asynccontextmanager
async def taken(images: Images, store: ClientStore, platform: Platform) -> AsyncIterator[str]:
    """The image that `store` is read for; its ID. Where it has no name afterwards, it goes again.

    Raises `NotFound` where the client has no image of that digest and platform, and as `Images.load`.
    """
    target = await _target(store, platform)
    async with aclosing(images.load(_tar(store, target))) as lines:
        async for _ in lines:
            pass
    try:
        yield target.digest
    finally:
        with suppress(NotFound, Conflict):
            if not (await images.resolve(target.digest)).names:
                await images.remove(target.digest)


async def _target(store: ClientStore, platform: Platform) -> Descriptor:
    """The manifest, or the whole index where the client has all that it names, else its manifest for `platform`."""
    descriptor, content = await store.manifest()
    if descriptor.media_type not in mediatypes.INDEXES:
        return descriptor
    there = [one for one in read_index(content).manifests or () if await _is_there(store, one)]
    if len(there) == len(read_index(content).manifests or ()):
        return descriptor
    for one in there:
        if one.platform is not None and (one.platform.os, one.platform.architecture) == (
            platform.os,
            platform.architecture,
        ):
            return one
    raise NotFound(f"{store.name}, at the client, has no image for {platform}")


async def _is_there(store: ClientStore, one: Descriptor) -> bool:
    try:
        await store.document(one)
    except NotFound:
        return False
    return True


async def _tar(store: ClientStore, target: Descriptor) -> AsyncGenerator[bytes, None]:
    """The layout with `target` alone."""
    yield _member("oci-layout", _LAYOUT)
    yield _member("index.json", write(Index(manifests=(target,))))
    seen: set[str] = set()
    waiting = [target]
    while waiting:
        one = waiting.pop()
        if one.digest in seen:
            continue
        seen.add(one.digest)
        if one.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS:
            content = await store.document(one)
            yield _member(_path(one), content)
            waiting += _children(one, content)
            continue
        yield tarformat.encode(Entry(_path(one).encode(), size=one.size))
        async with aclosing(store.blob(one)) as chunks:
            async for chunk in chunks:
                yield chunk
        yield tarformat.padding(one.size)
    yield tarformat.END


def _children(one: Descriptor, content: bytes) -> list[Descriptor]:
    if one.media_type in mediatypes.INDEXES:
        return list(read_index(content).manifests or ())
    manifest = read_manifest(content)
    return [manifest.config, *(manifest.layers or ())]


def _path(one: Descriptor) -> str:
    return f"blobs/{one.digest.replace(':', '/')}"


def _member(path: str, content: bytes) -> bytes:
    return tarformat.encode(Entry(path.encode(), size=len(content))) + content + tarformat.padding(len(content))
