"""What the daemon fetches from an address that a client names (`fromSrc=http://…`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import aiohttp

import dockwright
from dockwright.errors import Invalid, NotFound, Unavailable

_PIECE_BYTES = 256 << 10
# Only silence ends a download: how long it may take altogether depends on its size.
_TIMES = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)


def address(source: str) -> str:
    """`source` as an address; `http://` where it names no scheme. Raises `Invalid`."""
    whole = source if "://" in source else f"http://{source}"
    try:
        parts = urlsplit(whole)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise Invalid(f"invalid source {source[:200]!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise Invalid(f"invalid source {source[:200]!r}: an http or https address is expected")
    return whole


async def fetch(url: str) -> AsyncGenerator[bytes, None]:
    """The content at `url`, piece by piece; proxies as the environment says.

    Raises `NotFound` for what the server does not have, `Unavailable` when it cannot be reached or stops in the middle,
    `Invalid` when it refuses.
    """
    agent = {"User-Agent": f"dockwright/{dockwright.__version__}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMES, trust_env=True, headers=agent, auto_decompress=False) as session,
            session.get(url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status >= 400:
                kind = NotFound if response.status in (404, 410) else Invalid
                raise kind(f"cannot fetch {shown(url)}: {response.status} {response.reason}")
            async for piece in response.content.iter_chunked(_PIECE_BYTES):
                yield piece
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"cannot fetch {shown(url)}: {error or type(error).__name__}") from error


def shown(url: str) -> str:
    """The address without a password or query in it: either may be a secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
