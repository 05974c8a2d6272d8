"""Blobs on their way to a registry: known there, mounted from another repository, or uploaded, resumed where it breaks.

OCI distribution-spec 1.1, "Pushing blobs". A blob is sent in one PATCH, as Docker does, because not every registry
understands chunks; chunks are for resuming, for registries that ask for them, and for proxies that refuse long bodies.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
from yarl import URL

from dockwright import faults
from dockwright.distribution import ranges, tokens
from dockwright.distribution.backoff import Attempts, persistently
from dockwright.distribution.bodies import Body
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.distribution.refusals import Interrupted
from dockwright.errors import DockwrightError, Invalid, Unavailable
from dockwright.oci import Descriptor, Digest
from dockwright.undo import shielded

Outcome = Literal["exists", "mounted", "uploaded"]
Source = Callable[[int], AsyncGenerator[bytes, None]]

# Where to go when a proxy calls the whole blob too long.
FALLBACK_CHUNK_BYTES = 16 * 1024 * 1024
MOUNTS_TRIED = 3
PROGRESS_BYTES = 1024 * 1024
_BINARY = {"Content-Type": "application/octet-stream"}

log = logging.getLogger(__name__)


class _TooLarge(Exception):
    """The body of one request was too long for somebody on the way."""


class _Gone(Exception):
    """The registry no longer knows the upload: it has to begin anew."""


class Upload:
    """One blob to one repository. Used once."""

    def __init__(
        self,
        peer: Peer,
        options: RegistryOptions,
        path: str,
        descriptor: Descriptor,
        source: Source,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._peer = peer
        self._options = options
        self._path = path
        self._descriptor = descriptor
        self._source = source
        self._progress = progress or (lambda sent: None)
        self._scopes = frozenset({tokens.repository_scope(path, "pull", "push")})
        self._location = URL()
        self._chunk_bytes = options.chunk_bytes or descriptor.size
        self._what = f"upload of {descriptor.digest} to {path}"

    async def run(self, mount_from: Sequence[str]) -> Outcome:
        """Bring the blob there, by the cheapest way there is."""
        if await exists(self._peer, self._options, self._path, self._descriptor.digest, self._scopes):
            return "exists"
        for origin in list(dict.fromkeys(mount_from))[:MOUNTS_TRIED]:
            if origin != self._path and await self._mount(origin):
                await self._abandon()
                return "mounted"
        try:
            await self._upload()
        except Unavailable:
            raise  # nothing more can be told to it
        except (DockwrightError, OSError):
            await self._abandon()
            raise
        return "uploaded"

    async def _mount(self, origin: str) -> bool:
        """Whether the registry took the blob from its repository `origin`; else an upload may have begun."""
        scopes = self._scopes | {tokens.repository_scope(origin, "pull")}
        query = {"mount": str(self._descriptor.digest), "from": origin}
        try:
            faults.point("registry.mount")
            async with self._peer.request("POST", self._uploads(query), scopes, {"Content-Length": "0"}) as response:
                if response.status == 202:
                    await self._abandon()
                    self._begun(response)
                return response.status == 201
        except DockwrightError as error:
            # A mount only saves time: what is wrong with the registry, the upload will tell.
            log.info("mount of %s from %s: %s", self._descriptor.digest, origin, error)
            return False

    async def _upload(self) -> None:
        attempts = Attempts(self._options, self._what)
        position = 0
        mark = 0  # the furthest a failure found it: a registry that loses what it has must come to an end
        while True:
            try:
                if not self._location.host:
                    position = 0
                    await self._begin()
                if position >= self._descriptor.size or self._descriptor.size <= self._options.monolithic_bytes:
                    await self._finish(position)
                    return
                position = await self._send(position)
            except _TooLarge:
                if self._chunk_bytes <= FALLBACK_CHUNK_BYTES:
                    raise Invalid(f"{self._what}: a request of {self._chunk_bytes} bytes is too large there") from None
                self._chunk_bytes = FALLBACK_CHUNK_BYTES
                await self._abandon()
            except _Gone:
                self._location = URL()
                await attempts.failed(Interrupted(f"{self._what}: the registry does not know the upload any more"))
                if await exists(self._peer, self._options, self._path, self._descriptor.digest, self._scopes):
                    return  # the answer that told so was what broke
            except Interrupted as error:
                await attempts.failed(error)
                position = await self._resumed()
                if position - mark >= PROGRESS_BYTES:
                    attempts.progressed()
                    mark = position
                self._progress(position)

    async def _begin(self) -> None:
        faults.point("registry.upload")
        async with self._peer.request("POST", self._uploads(), self._scopes, {"Content-Length": "0"}) as response:
            if response.status not in (201, 202):
                await self._peer.refuse(response)
            self._begun(response)

    def _begun(self, response: aiohttp.ClientResponse) -> None:
        self._moved(response)
        smallest = ranges.length(response.headers.get("OCI-Chunk-Min-Length", "")) or 0
        self._chunk_bytes = max(self._chunk_bytes, smallest)

    def _moved(self, response: aiohttp.ClientResponse) -> None:
        """Each answer names where the upload goes on."""
        self._location = self._peer.resolve(response.url, response.headers.get("Location", ""))

    async def _send(self, position: int) -> int:
        """One PATCH from `position` on; returns where the next begins."""
        end = min(position + self._chunk_bytes, self._descriptor.size)
        headers = {**_BINARY, "Content-Length": str(end - position)}
        if position or end < self._descriptor.size:
            headers["Content-Range"] = f"{position}-{end - 1}"
        faults.point("registry.chunk")
        async with self._exchange("PATCH", self._location, headers, position, end) as response:
            if response.status == 413:
                raise _TooLarge
            if response.status in (404, 416):
                raise _Gone
            if response.status not in (201, 202, 204):
                await self._peer.refuse(response)
            if response.headers.get("Location"):
                self._moved(response)
            received = ranges.received_bytes(response.headers.get("Range", ""))
        if not received:
            return end
        if not position < received <= end:
            raise Interrupted(f"{self._what}: the registry counts {received} bytes where {end} were sent")
        return received

    async def _finish(self, position: int) -> None:
        """The PUT that names the digest, with the rest of the blob in it."""
        size = self._descriptor.size
        headers = {**_BINARY, "Content-Length": str(size - position)}
        if 0 < position < size:
            headers["Content-Range"] = f"{position}-{size - 1}"
        # Put together as text: parsing the query and writing it anew could break a signature in it.
        separator = "&" if self._location.raw_query_string else "?"
        url = URL(f"{self._location.with_fragment(None)}{separator}digest={self._descriptor.digest}", encoded=True)
        faults.point("registry.finish")
        async with self._exchange("PUT", url, headers, position, size) as response:
            if response.status in (404, 416):
                raise _Gone
            if response.status not in (201, 204):
                await self._peer.refuse(response)
        self._progress(size)

    async def _resumed(self) -> int:
        """How far the registry has come; 0 with a new upload to begin where it does not know."""
        if not self._location.host:
            return 0
        faults.point("registry.resume")

        async def ask() -> int | None:
            async with self._peer.request("GET", self._location, self._scopes) as response:
                if response.status != 204:
                    return None
                received = ranges.received_bytes(response.headers.get("Range", ""))
                if response.headers.get("Location"):
                    self._moved(response)
                return received

        received = await persistently(self._options, self._what, ask)
        if received is None or received > self._descriptor.size:
            self._location = URL()
            return 0
        return received

    def _uploads(self, query: Mapping[str, str] | None = None) -> URL:
        return self._peer.url(f"{self._path}/blobs/uploads/", query)

    @asynccontextmanager
    async def _exchange(
        self, method: str, url: URL, headers: Mapping[str, str], start: int, end: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request whose body is the blob from `start` to `end`. A failure of the source is raised as it is."""
        bodies: list[Body] = []

        def body() -> Body:
            bodies.append(Body(self._source(start), start, end, self._descriptor.size, self._progress))
            return bodies[-1]

        try:
            async with self._peer.request(
                method, url, self._scopes, headers, body if start < end else None
            ) as response:
                yield response
        except DockwrightError as error:
            for sent in bodies:
                if sent.failure is not None:
                    raise sent.failure from error
            raise
        finally:
            for sent in bodies:
                await shielded(sent.aclose())

    async def _abandon(self) -> None:
        """Tell the registry that an upload is not gone on with; it collects by itself what it is not told."""
        location, self._location = self._location, URL()
        if location.host:
            try:
                async with self._peer.request("DELETE", location, self._scopes):
                    pass
            except DockwrightError as error:
                log.debug("%s", error)


async def exists(peer: Peer, options: RegistryOptions, path: str, digest: Digest, scopes: tokens.Scopes) -> bool:
    """Whether a repository holds a blob."""

    async def ask() -> bool:
        faults.point("registry.exists")
        async with peer.request("HEAD", peer.url(f"{path}/blobs/{digest}"), scopes) as response:
            if response.status not in (200, 404):
                await peer.refuse(response)
            return response.status == 200

    return await persistently(options, f"blob {digest}", ask)
