"""A repository of a registry: its manifests, blobs and tags. Reads go to the mirrors first; writes to the registry alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from dockwright.credentials import Credentials
from dockwright.distribution import downloads, listing, manifests, referring, tokens, uploads
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.distribution.routes import Routes
from dockwright.distribution.uploads import Outcome, Source, Upload
from dockwright.errors import Corrupt, DockwrightError, Unavailable
from dockwright.oci import Descriptor, Digest, Reference
from dockwright.oci import digest as digests

DOCUMENT_LIMIT = 8 * 1024 * 1024

T = TypeVar("T")

log = logging.getLogger(__name__)


class Repository:
    """One repository, in the name of one set of credentials. Cheap to make; every method may run in several tasks at once.

    All of them raise `Unavailable` when the registry is out of reach or stays overloaded, `Unauthorized` and `Forbidden`
    when it refuses the credentials, `Corrupt` when its answers are not what they claim to be. A cancelled call leaves nothing
    behind here; at the registry an unfinished upload at most, which the registry collects.
    """

    def __init__(self, routes: Routes, name: Reference, credentials: Credentials) -> None:
        self._routes = routes
        self.name = Reference(name.domain, name.path)
        self._credentials = credentials

    async def resolve(self, wanted: str) -> Descriptor:
        """The manifest a tag or a digest names, without fetching it where the registry tells enough.

        Raises `NotFound` in Docker's words, also for a repository that may only be private.
        """
        target = manifests.target(self.name, wanted)
        return await self._read(lambda peer, options: manifests.resolve(peer, options, target))

    async def manifest(self, wanted: str | Descriptor) -> tuple[Descriptor, bytes]:
        """A manifest or index by tag, digest or descriptor, verified; at most 8 MiB.

        Raises as `resolve` does, `Corrupt` when the document is another than was named, `Invalid` for a format that is not
        supported (schema 1).
        """
        target = manifests.target(self.name, wanted)
        return await self._read(lambda peer, options: manifests.get(peer, options, target))

    async def blob(self, descriptor: Descriptor, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from `offset` on: exactly `descriptor.size - offset` of them, or an error.

        Broken connections are resumed inside. The digest is the reader's to check: it may hold the beginning already.
        Close the generator when you stop early.
        """
        digests.parse(descriptor.digest)
        if not 0 <= offset <= descriptor.size:
            raise ValueError(f"offset {offset} of a blob of {descriptor.size} bytes")
        if offset == descriptor.size:
            return
        peers = [*await self._routes.mirrors(self.name.domain), await self._registry()]
        stream = downloads.read(peers, self._options, self.name.path, descriptor, offset, self._given_up)
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

    async def document(self, descriptor: Descriptor) -> bytes:
        """A small blob (an image's configuration) as a whole, verified. Raises `Corrupt` beyond 8 MiB."""
        if descriptor.size > DOCUMENT_LIMIT:
            raise Corrupt(f"{descriptor.digest} is longer than {DOCUMENT_LIMIT} bytes")
        async with aclosing(self.blob(descriptor)) as chunks:
            content = b"".join([chunk async for chunk in chunks])
        return digests.verify(descriptor.digest, content)

    async def has_blob(self, digest: Digest) -> bool:
        """Whether the registry itself holds a blob in this repository."""
        scopes = frozenset({tokens.repository_scope(self.name.path, "pull")})
        return await uploads.exists(
            await self._registry(), self._options, self.name.path, digests.parse(digest), scopes
        )

    async def push_blob(
        self,
        descriptor: Descriptor,
        source: Source,
        *,
        mount_from: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> Outcome:
        """Bring a blob to the registry: nothing is sent where it is known, or can be mounted from another repository.

        `source(offset)` opens the content there, again after each broken connection; it is closed here. `mount_from`: paths of
        repositories of this registry that may hold it. `progress` is told the bytes that have gone, which may fall back when
        the registry lost some. What the source raises is raised as it is.
        """
        digests.parse(descriptor.digest)
        peer = await self._registry()
        return await Upload(peer, self._options, self.name.path, descriptor, source, progress).run(mount_from)

    async def push_manifest(self, wanted: str, descriptor: Descriptor, content: bytes) -> None:
        """Put a manifest or index under a tag or its digest.

        Where it refers to another and the registry has no referrers API, it is added to the list of those that do.
        """
        target = manifests.target(self.name, wanted)
        digests.verify(descriptor.digest, content)
        peer = await self._registry()
        known = await manifests.put(peer, self._options, target, descriptor, content)
        if not known:
            await referring.announce(peer, self._options, self.name, descriptor, content)

    async def tags(self) -> AsyncGenerator[str, None]:
        """Every tag, as the registry orders them. Raises `NotFound` for an unknown repository."""
        async with aclosing(listing.tags(await self._registry(), self._options, self.name)) as found:
            async for tag in found:
                yield tag

    async def referrers(self, digest: Digest, artifact_type: str = "") -> list[Descriptor]:
        """What refers to a manifest (signatures, attestations), of one type or of any; by API or by the tag schema."""
        peer = await self._registry()
        return await referring.referrers(peer, self._options, self.name, digests.parse(digest), artifact_type)

    @property
    def _options(self) -> RegistryOptions:
        return self._routes.options

    async def _registry(self) -> Peer:
        return await self._routes.registry(self.name.domain, self._credentials)

    async def _read(self, work: Callable[[Peer, RegistryOptions], Awaitable[T]]) -> T:
        for mirror in await self._routes.mirrors(self.name.domain):
            try:
                return await work(mirror, self._options.for_mirrors)
            except DockwrightError as error:
                self._given_up(mirror, error)
        return await work(await self._registry(), self._options)

    def _given_up(self, mirror: Peer, error: DockwrightError) -> None:
        log.info("mirror %s for %s: %s", mirror.endpoint.host, self.name, error)
        if isinstance(error, Unavailable):
            self._routes.rest(mirror.endpoint)
