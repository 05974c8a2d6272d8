"""Blobs as streams that outlive their connections: a broken one goes on where it stopped (Range), elsewhere where it must."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import aiohttp

from dockwright import faults
from dockwright.distribution import ranges, tokens
from dockwright.distribution.backoff import Attempts
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.distribution.refusals import Interrupted
from dockwright.errors import Corrupt, DockwrightError
from dockwright.oci import Descriptor

# So much between two failures is progress. Less is not: a peer that sends byte by byte and breaks must come to an end.
PROGRESS_BYTES = 1024 * 1024


async def read(
    peers: Sequence[Peer],
    options: RegistryOptions,
    path: str,
    descriptor: Descriptor,
    offset: int,
    given_up: Callable[[Peer, DockwrightError], None],
) -> AsyncGenerator[bytes, None]:
    """The bytes of a blob from `offset` on, from the first of `peers` that has it; the next goes on where one gives up.

    Exactly `descriptor.size - offset` bytes come, or the error of the last peer is raised; `given_up` is told of the others'.
    """
    position = offset
    for peer in peers:
        patience = options.for_mirrors if peer.endpoint.mirror else options
        try:
            async with aclosing(_from(peer, patience, path, descriptor, position)) as chunks:
                async for chunk in chunks:
                    position += len(chunk)
                    yield chunk
            return
        except DockwrightError as error:
            if peer is peers[-1]:
                raise
            given_up(peer, error)


async def _from(
    peer: Peer, options: RegistryOptions, path: str, descriptor: Descriptor, position: int
) -> AsyncGenerator[bytes, None]:
    attempts = Attempts(options, f"blob {descriptor.digest}")
    url = peer.url(f"{path}/blobs/{descriptor.digest}")
    scopes = frozenset({tokens.repository_scope(path, "pull")})
    mark = position
    while position < descriptor.size:
        faults.point("registry.blob")
        headers = {"Range": f"bytes={position}-"} if position else {}
        try:
            async with peer.request("GET", url, scopes, headers) as response:
                if response.status not in (200, 206):
                    await _refuse(peer, response, descriptor, position)
                async with aclosing(_body(response, descriptor, position)) as chunks:
                    async for chunk in chunks:
                        position += len(chunk)
                        yield chunk
                if position < descriptor.size:
                    raise Interrupted(f"blob {descriptor.digest} ended after {position} of {descriptor.size} bytes")
        except Interrupted as error:
            if position - mark >= PROGRESS_BYTES:
                attempts.progressed()
                mark = position
            await attempts.failed(error)


async def _refuse(peer: Peer, response: aiohttp.ClientResponse, descriptor: Descriptor, position: int) -> None:
    if response.status == 416 and position:
        raise Corrupt(f"blob {descriptor.digest}: {peer.endpoint.host} holds less than {descriptor.size} bytes of it")
    await peer.refuse(response)


async def _body(response: aiohttp.ClientResponse, descriptor: Descriptor, position: int) -> AsyncGenerator[bytes, None]:
    """The part of an answer's body from `position` on, never beyond the blob's size."""
    skip = position - _start(response, descriptor, position)
    left = descriptor.size - position
    while chunk := await response.content.readany():
        if skip:
            skipped = min(skip, len(chunk))
            skip -= skipped
            chunk = chunk[skipped:]
            if not chunk:
                continue
        if len(chunk) > left:
            raise Corrupt(f"blob {descriptor.digest}: the registry sends more than its {descriptor.size} bytes")
        left -= len(chunk)
        yield chunk


def _start(response: aiohttp.ClientResponse, descriptor: Descriptor, position: int) -> int:
    """Where in the blob an answer begins. Raises `Corrupt` when it is of another blob, by its size."""
    length = ranges.length(response.headers.get("Content-Length", ""))
    if response.status == 200:
        start, total = 0, length
    else:
        told = ranges.content_range(response.headers.get("Content-Range", ""))
        if told is None or told.start > position:
            raise Corrupt(f"blob {descriptor.digest}: the registry sends another range than was asked for")
        start, total = told.start, told.total
    if total is not None and total != descriptor.size:
        raise Corrupt(f"blob {descriptor.digest} has {total} bytes at the registry instead of {descriptor.size}")
    return start
