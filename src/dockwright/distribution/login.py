"""Whether a registry takes a name and password, and the identity token it may give for them."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from dockwright import faults
from dockwright.distribution.peer import Peer
from dockwright.distribution.tokens import Scopes
from dockwright.distribution.wire import read_start
from dockwright.errors import Unauthorized

SUCCEEDED = "Login Succeeded"
_NO_SCOPES: Scopes = frozenset()


@dataclass(frozen=True)
class Login:
    """A login that succeeded; `identity_token` is to be kept instead of the password when it is not empty."""

    status: str
    identity_token: str = ""


async def login(peer: Peer) -> Login:
    """Hold the peer's credentials against its registry. Raises `Unauthorized` when they are refused."""
    faults.point("registry.login")
    base = peer.endpoint.base
    async with peer.request("GET", base, _NO_SCOPES) as response:
        status = response.status
        if status not in (200, 401):
            await peer.refuse(response)
        await read_start(response)
    if status != 200:
        raise Unauthorized(f"login attempt to {base} failed with status: {status} {HTTPStatus(status).phrase}")
    token = await peer.authority.login()
    return Login(SUCCEEDED, token.refresh if token else "")
