"""Lists that come in pages: tags, and the repositories of a registry's catalog."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TypeVar

import msgspec
from yarl import URL

from dockwright.distribution import links, tokens
from dockwright.distribution.backoff import persistently
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Explain, Peer
from dockwright.distribution.refusals import Refusal, error_of, pull_error
from dockwright.distribution.wire import read_limited
from dockwright.errors import Corrupt, DockwrightError
from dockwright.oci import Reference

PAGE_ENTRIES = 1000
PAGE_LIMIT_BYTES = 8 * 1024 * 1024
PAGES = 10_000

T = TypeVar("T")


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Catalog(msgspec.Struct):
    repositories: list[str] | None = None


async def tags(peer: Peer, options: RegistryOptions, name: Reference) -> AsyncGenerator[str, None]:
    """OCI distribution-spec 1.1, "Listing Tags"."""

    def explain(refusal: Refusal, what: str, retry_after_s: float | None) -> DockwrightError:
        return pull_error(refusal, name, what, retry_after_s)

    url = peer.url(f"{name.path}/tags/list", {"n": str(PAGE_ENTRIES)})
    scopes = frozenset({tokens.repository_scope(name.path, "pull")})
    async with aclosing(pages(peer, options, url, scopes, explain)) as bodies:
        async for _, body in bodies:
            for tag in _decoded(body, _Tags).tags or ():
                yield tag


async def catalog(peer: Peer, options: RegistryOptions) -> AsyncGenerator[str, None]:
    """Docker registry v2, "Listing Repositories": names of repositories, where the registry tells them."""
    url = peer.url("_catalog", {"n": str(PAGE_ENTRIES)})
    async with aclosing(pages(peer, options, url, frozenset({"registry:catalog:*"}))) as bodies:
        async for _, body in bodies:
            for name in _decoded(body, _Catalog).repositories or ():
                yield name


async def pages(
    peer: Peer,
    options: RegistryOptions,
    url: URL,
    scopes: tokens.Scopes,
    explain: Explain = error_of,
) -> AsyncGenerator[tuple[Mapping[str, str], bytes], None]:
    """Headers and body of each page, first to last. Raises `Corrupt` when they go in a circle or never end."""
    seen: set[URL] = set()
    page: URL | None = url
    while page is not None:
        if page in seen or len(seen) == PAGES:
            raise Corrupt(f"{peer.endpoint.host}: the pages of {url.path} do not end")
        seen.add(page)
        headers, body = await _page(peer, options, page, scopes, explain)
        yield headers, body
        page = _next(peer, page, headers)


async def _page(
    peer: Peer, options: RegistryOptions, url: URL, scopes: tokens.Scopes, explain: Explain
) -> tuple[Mapping[str, str], bytes]:
    async def attempt() -> tuple[Mapping[str, str], bytes]:
        async with peer.request("GET", url, scopes, {"Accept": "application/json, */*;q=0.5"}) as response:
            if response.status != 200:
                await peer.refuse(response, explain)
            return response.headers, await read_limited(response, PAGE_LIMIT_BYTES, f'Get "{url.with_query(None)}"')

    return await persistently(options, url.path, attempt)


def _next(peer: Peer, page: URL, headers: Mapping[str, str]) -> URL | None:
    target = links.next_page(headers.get("Link", ""))
    if target is None:
        return None
    url = peer.resolve(page, target)
    if url.origin() != page.origin():
        raise Corrupt(f"{peer.endpoint.host}: the next page is on another host")
    return url


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"the registry's list is malformed: {error}") from None
