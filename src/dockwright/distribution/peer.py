"""One endpoint, spoken to in one name: requests that are authorised, and answers that are judged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiohttp
from yarl import URL

from dockwright.credentials import Credentials
from dockwright.distribution import refusals
from dockwright.distribution.authority import Authority, Knowledge
from dockwright.distribution.endpoints import Endpoint
from dockwright.distribution.refusals import Refusal
from dockwright.distribution.tokens import Scopes
from dockwright.distribution.urls import NO_URL
from dockwright.distribution.wire import REDIRECTS, Request, Wire, read_start
from dockwright.errors import Corrupt, DockwrightError

NO_SCOPES: Scopes = frozenset()
Explain = Callable[[Refusal, str, float | None], DockwrightError]


class Peer:
    """A registry, or a mirror of it."""

    def __init__(self, wire: Wire, knowledge: Knowledge, endpoint: Endpoint, credentials: Credentials) -> None:
        self._wire = wire
        self.endpoint = endpoint
        self.authority = Authority(wire, knowledge, endpoint, credentials)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        """The URL of `path` (a repository's path and what is in it, no leading `/`)."""
        url = self.endpoint.base.with_user(None).joinpath(path, encoded=False)
        if self.endpoint.mirror:
            url = url.update_query(ns=self.endpoint.registry)
        return url.update_query(query) if query else url

    def resolve(self, base: URL, location: str) -> URL:
        """A `Location` or `Link` of an answer to `base`, as a URL of this registry or another host.

        Raises `Corrupt` when it is neither http nor https, or less protected than the registry.
        """
        try:
            target = base.join(URL(location, encoded=True))
            host = target.host
        except NO_URL:
            raise Corrupt(f"{self.endpoint.host}: the registry answered with a location that is no URL") from None
        if not location or not host or target.scheme not in ("http", "https"):
            raise Corrupt(
                f"{self.endpoint.host}: the registry answered with an unusable location (scheme {target.scheme!r})"
            )
        if target.scheme == "http" and base.scheme == "https" and target.raw_authority == base.raw_authority:
            # A registry behind a proxy that ends TLS and does not tell it so.
            target = target.with_scheme("https")
        if self.endpoint.verified and target.scheme != "https":
            raise Corrupt(f"{self.endpoint.host}: the registry answered with a location without TLS")
        return target.with_user(None) if target.user or target.password else target

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        scopes: Scopes = NO_SCOPES,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, whatever its status. `body` is called once for each time the request is made.

        Raises as `Wire.send` does, and `Unauthorized` or `Forbidden` when the token server refuses.
        """
        ours = url.origin() == self.endpoint.base.origin()
        for last in (False, True):
            authorization = await self.authority.authorization(scopes, demanded=last) if ours else None
            request = Request(
                method, url, self.endpoint.verified, authorization, headers or {}, body() if body is not None else None
            )
            async with self._wire.send(request) as response:
                again = (
                    response.status == 401
                    and ours
                    and not last
                    and response.url.origin() == url.origin()
                    and self.authority.learn(response.headers.getall("WWW-Authenticate", []), scopes, authorization)
                )
                if not again:
                    yield response
                    return
                await read_start(response)

    async def refuse(self, response: aiohttp.ClientResponse, explain: Explain = refusals.error_of) -> NoReturn:
        """Raise what an answer of another status than the expected ones means."""
        what = f'{response.method.capitalize()} "{response.url.with_query(None).with_fragment(None)}"'
        if response.status < 400:
            redirect = " (a redirect)" if response.status in REDIRECTS else ""
            raise Corrupt(f"{what}: unexpected status {response.status}{redirect}")
        refusal = refusals.read(response.status, response.headers, await read_start(response))
        raise explain(refusal, what, refusals.patience_s(response.headers))
