"""The registry client: one per engine, or one per program that uses it by hand."""

from __future__ import annotations

from types import TracebackType

from dockwright.credentials import Credentials
from dockwright.distribution import endpoints, searching
from dockwright.distribution import login as logins
from dockwright.distribution.login import Login
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.repository import Repository
from dockwright.distribution.routes import Routes
from dockwright.distribution.searching import SearchFilters, SearchResult
from dockwright.errors import Invalid
from dockwright.oci import Reference

NOBODY = Credentials()


class Registries:
    """Every registry, over one set of connections, tokens and certificates. Close it, or use it as a context.

    async with Registries(RegistryOptions()) as registries:
        repository = registries.repository(reference.parse("registry:5000/tool"))
        descriptor, content = await repository.manifest("latest")
    """

    def __init__(self, options: RegistryOptions | None = None) -> None:
        self._routes = Routes(options or RegistryOptions())
        # What was opened before a change of the options, for those who still use it.
        self._former: list[Routes] = []

    @property
    def options(self) -> RegistryOptions:
        """What it was opened with, or changed to."""
        return self._routes.options

    def change(self, options: RegistryOptions) -> None:
        """Go on with other options; repositories that were asked for before keep the old ones."""
        if options != self._routes.options:
            self._former.append(self._routes)
            self._routes = Routes(options)

    def repository(self, name: Reference, credentials: Credentials | None = None) -> Repository:
        """A repository by its name; the reference's tag and digest do not matter."""
        return Repository(self._routes, name, credentials or NOBODY)

    async def login(self, server: str, credentials: Credentials) -> Login:
        """Hold credentials against a registry (`host[:port]` or a URL of it; empty is the hub).

        Raises `Unauthorized` when they are refused, `Unavailable` when the registry is out of reach.
        """
        return await logins.login(await self._routes.registry(server_host(server), credentials))

    async def search(
        self,
        term: str,
        *,
        limit: int = searching.DEFAULT_LIMIT,
        filters: SearchFilters | None = None,
        credentials: Credentials | None = None,
    ) -> list[SearchResult]:
        """Repositories whose name or description holds `term`, on the hub or on the registry the term begins with.

        Raises `Invalid` for a limit out of range or a term that is a URL.
        """
        registry, wanted = searching.split_term(term)
        taken = searching.check_limit(limit)
        peer = await self._routes.registry(registry, credentials or NOBODY)
        return await searching.search(peer, self.options, wanted, taken, filters or SearchFilters())

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        for routes in (*self._former, self._routes):
            await routes.wire.aclose()

    async def __aenter__(self) -> Registries:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def server_host(server: str) -> str:
    """The registry a server address names: `https://index.docker.io/v1/` is `docker.io`. Raises `Invalid`."""
    host = server.strip().removeprefix("https://").removeprefix("http://").partition("/")[0]
    if not server.strip() or host in ("index.docker.io", endpoints.HUB, endpoints.HUB_HOST):
        return endpoints.HUB
    if not host:
        raise Invalid(f"invalid registry server {server!r}")
    return host
