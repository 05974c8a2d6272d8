"""Looking for repositories: the hub's search (v1), and the catalog of a registry that has none."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import msgspec
from yarl import URL

from dockwright import faults
from dockwright.distribution import listing
from dockwright.distribution.backoff import persistently
from dockwright.distribution.endpoints import HUB
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.distribution.wire import read_limited
from dockwright.errors import Corrupt, Invalid

HUB_SEARCH = URL("https://index.docker.io/v1/search")
DEFAULT_LIMIT = 25
MAX_LIMIT = 100
ANSWER_LIMIT = 8 * 1024 * 1024
# How many names of a catalog are looked through for one search.
CATALOG_ENTRIES = 100_000


class SearchResult(msgspec.Struct, frozen=True):
    """One repository that was found, in the words of the v1 search."""

    name: str
    description: str | None = ""
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


@dataclass(frozen=True)
class SearchFilters:
    """What results must have; None and 0 ask for nothing."""

    is_official: bool | None = None
    is_automated: bool | None = None
    stars: int = 0

    def take(self, result: SearchResult) -> bool:
        """Whether a result passes."""
        return (
            (self.is_official is None or result.is_official == self.is_official)
            and (self.is_automated is None or result.is_automated == self.is_automated)
            and result.star_count >= self.stars
        )


class _Results(msgspec.Struct):
    results: list[SearchResult] | None = None


def split_term(term: str) -> tuple[str, str]:
    """The registry a term names (`registry:5000/tool`; the hub else) and what to look for there."""
    if "://" in term:
        raise Invalid(f'invalid repository name: repository name ({term}) must not contain a scheme ("://")')
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry = HUB if first in ("docker.io", "index.docker.io") else first
        term = rest
    else:
        registry = HUB
    return registry, term.removeprefix("library/") if registry == HUB else term


def check_limit(limit: int) -> int:
    """`limit` as the hub takes it; 0 is the default. Raises `Invalid` with Docker's words."""
    if limit == 0:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"invalid limit {limit}: must be between 1 and {MAX_LIMIT}")
    return limit


async def search(
    peer: Peer, options: RegistryOptions, term: str, limit: int, filters: SearchFilters
) -> list[SearchResult]:
    """At most `limit` results that pass `filters`, in the registry's order."""
    hub = peer.endpoint.registry == HUB
    url = HUB_SEARCH if hub else peer.endpoint.base.with_path("/v1/search")
    found = await persistently(options, "search", lambda: _v1(peer, url, term, limit, hub=hub))
    if found is None:
        async with aclosing(_catalog(peer, options, term)) as names:
            found = []
            async for name in names:
                result = SearchResult(f"{peer.endpoint.registry}/{name}")  # as it can be pulled
                if filters.take(result):
                    found.append(result)
                if len(found) == limit:
                    break
    return [result for result in found if filters.take(result)][:limit]


async def _v1(peer: Peer, url: URL, term: str, limit: int, *, hub: bool) -> list[SearchResult] | None:
    faults.point("registry.search")
    async with peer.request(
        "GET", url.with_query(q=term, n=str(limit)), headers={"X-Docker-Token": "true"}
    ) as response:
        if not hub and response.status in (301, 302, 307, 308, 400, 401, 404, 405, 410):
            return None
        if response.status != 200:
            await peer.refuse(response)
        content = await read_limited(response, ANSWER_LIMIT, f'Get "{url}"')
    try:
        return msgspec.json.decode(content, type=_Results).results or []
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not hub:
            return None  # a page for people, as web interfaces of registries answer any path with
        raise Corrupt(f"the answer to the search is malformed: {error}") from None


async def _catalog(peer: Peer, options: RegistryOptions, term: str) -> AsyncGenerator[str, None]:
    looked = 0
    async with aclosing(listing.catalog(peer, options)) as names:
        async for name in names:
            looked += 1
            if term.lower() in name.lower():
                yield name
            if looked == CATALOG_ENTRIES:
                return
