"""Requests on the network: sessions, TLS, proxies and redirects. Knows URLs and hosts, no repositories.

What it holds a peer to: a redirect stays http(s), never goes from checked TLS to less, is followed a few times, and takes
credentials to no other origin. Bodies come as they were sent: nothing is decompressed, so that a digest says what it should.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from dockwright.distribution import troubles
from dockwright.distribution.certificates import Contexts
from dockwright.distribution.endpoints import authority
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.proxies import Proxies
from dockwright.distribution.urls import NO_URL
from dockwright.errors import Corrupt

REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECT_LIMIT = 10
# Signed URLs of blob storage in a Location are kilobytes long; a header beyond this is refused.
HEADER_LIMIT = 32 * 1024
READ_BYTES = 512 * 1024
DOCUMENT_TIMEOUT_S = 120.0
# Bodies of errors and redirects are read up to here: read to its end, a connection can be used again.
SHORT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """One request. `authorization` goes to the origin of `url` alone; `body` is bytes or an async iterable of them.

    `verified`: the peer, and whoever it redirects to, must prove who it is.
    """

    method: str
    url: URL
    verified: bool
    authorization: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def what(self) -> str:
        """The request for a message: without query and password, which may be secrets."""
        return troubles.named(self.method, self.url)


class Wire:
    """The sessions of one client. Close it with `aclose`."""

    def __init__(self, options: RegistryOptions) -> None:
        self._options = options
        self._proxies = options.proxies if options.proxies is not None else Proxies.from_environment()
        self._session: aiohttp.ClientSession | None = None
        self.contexts = Contexts(options.certs_dirs)
        # Hosts that have answered: trouble in reaching one of these is worth another attempt.
        self._answered: set[str] = set()

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to `request`, whatever its status; redirects are followed where there is no body.

        Raises `Unavailable` when the peer is out of reach, `Interrupted` when the connection broke (also while the body is
        read within the context), `Corrupt` on an answer or a redirect that makes no sense.
        """
        response = await self._follow(request)
        try:
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise troubles.broken(request.what, error) from error
        finally:
            # Read to its end, the connection is back in the pool already; an unread rest is not worth reading.
            response.close()

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _follow(self, request: Request) -> aiohttp.ClientResponse:
        url, authorization = request.url, request.authorization
        for _ in range(REDIRECT_LIMIT + 1):
            response = await self._once(request, url, authorization)
            if not _followed(request, response.status):
                return response
            location = response.headers.get("Location", "")
            await read_start(response)
            response.close()
            target = _target(request, url, location)
            if target.origin() != url.origin():
                authorization = None
            url = target
        raise Corrupt(f"{request.what}: stopped after {REDIRECT_LIMIT} redirects")

    async def _once(self, request: Request, url: URL, authorization: str | None) -> aiohttp.ClientResponse:
        host = authority(url)
        headers = {"User-Agent": self._options.user_agent, "Accept-Encoding": "identity", **request.headers}
        if authorization is not None:
            headers["Authorization"] = authorization
        context: ssl.SSLContext | bool = True
        if url.scheme == "https":
            context = await self.contexts.get(host, verified=request.verified)
        try:
            response = await self._opened().request(
                request.method,
                url,
                headers=headers,
                data=request.body,
                ssl=context,
                proxy=self._proxies.choose(url),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise troubles.unsent(
                troubles.named(request.method, url), error, answered=host in self._answered
            ) from error
        self._answered.add(host)
        return response

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=READ_BYTES,
                max_line_size=HEADER_LIMIT,
                max_field_size=HEADER_LIMIT,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=self._options.connect_timeout_s,
                    sock_read=self._options.idle_timeout_s,
                ),
            )
        return self._session


def _followed(request: Request, status: int) -> bool:
    """Whether a status sends the same request elsewhere; one with a body is not sent twice."""
    if request.method in ("GET", "HEAD"):
        return status in REDIRECTS
    return status in (307, 308) and request.body is None


def _target(request: Request, base: URL, location: str) -> URL:
    try:
        # Encoded already: normalising would break the signature that storage puts into it.
        target = base.join(URL(location, encoded=True))
        host = target.host
    except NO_URL:
        raise Corrupt(f"{request.what}: redirected to something that is no URL") from None
    if not location or not host or target.scheme not in ("http", "https"):
        raise Corrupt(f"{request.what}: redirected to an unusable location (scheme {target.scheme!r})")
    if request.verified and target.scheme != "https":
        raise Corrupt(f"{request.what}: redirected from https to {target.scheme}://{authority(target)}")
    return target.with_user(None) if target.user or target.password else target


async def read_limited(response: aiohttp.ClientResponse, limit_bytes: int, what: str) -> bytes:
    """The body of an answer to be held in memory. Raises `Corrupt` when it is longer than `limit_bytes`."""
    content = bytearray()
    async with asyncio.timeout(DOCUMENT_TIMEOUT_S):  # a trickle never idles long enough to be noticed
        while chunk := await response.content.readany():
            content += chunk
            if len(content) > limit_bytes:
                raise Corrupt(f"{what}: the answer is longer than {limit_bytes} bytes")
    return bytes(content)


async def read_start(response: aiohttp.ClientResponse, limit_bytes: int = SHORT_BYTES) -> bytes:
    """The first bytes of a body that is not needed, or says what is wrong; what came until it broke."""
    content = bytearray()
    try:
        async with asyncio.timeout(10):
            while len(content) < limit_bytes and (chunk := await response.content.readany()):
                content += chunk
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass  # the status says enough
    return bytes(content[:limit_bytes])
