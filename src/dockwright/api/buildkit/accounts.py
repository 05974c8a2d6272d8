"""Who a build's client is to a registry: it fetches tokens itself where it can, so that its password stays with it.

Tokens are not shared between sessions, so that no client has to prove to another's satisfaction whose they are
(`VerifyTokenAuthority`).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright.api.buildkit.sessions import Session
from dockwright.buildkit.proto.filesync_grpc import AuthStub
from dockwright.buildkit.proto.filesync_pb2 import CredentialsRequest, FetchTokenRequest, GetTokenAuthorityRequest
from dockwright.credentials import Credentials, FetchedToken
from dockwright.errors import Unavailable

_FETCH = "/moby.filesync.v1.Auth/FetchToken"
_AUTHORITY = "/moby.filesync.v1.Auth/GetTokenAuthority"
_CLIENT_ID = "dockwright"
_SALT_BYTES = 32


@dataclass(frozen=True)
class SessionAccount:
    """A `TokenFetcher`: the client of `session`, at the registry `host`."""

    session: Session
    host: str

    async def fetches_tokens(self) -> bool:
        """Whether the client fetches tokens itself: it has a key for the registry then. Raises `Unavailable`."""
        if not (self.session.answers(_FETCH) and self.session.answers(_AUTHORITY)):
            return False
        asked = GetTokenAuthorityRequest(Host=self.host, Salt=secrets.token_bytes(_SALT_BYTES))
        async with self._answered():
            try:
                return bool((await AuthStub(self.session.caller).GetTokenAuthority(asked)).PublicKey)
            except GRPCError:
                return False  # it has them turned off, or does not know of them

    async def token(self, realm: str, service: str, scopes: Sequence[str]) -> FetchedToken | None:
        """As `TokenFetcher.token`: a client that cannot may still say who it is."""
        asked = FetchTokenRequest(ClientID=_CLIENT_ID, Host=self.host, Realm=realm, Service=service, Scopes=scopes)
        async with self._answered():
            try:
                found = await AuthStub(self.session.caller).FetchToken(asked)
            except GRPCError:
                return None
        return FetchedToken(found.Token, float(found.ExpiresIn)) if found.Token else None

    async def credentials(self) -> Credentials:
        """As `TokenFetcher.credentials`."""
        async with self._answered():
            try:
                found = await AuthStub(self.session.caller).Credentials(CredentialsRequest(Host=self.host))
            except GRPCError as error:
                if error.status == Status.UNIMPLEMENTED:
                    return Credentials()
                raise Unavailable(f"the client, asked for credentials of {self.host}: {error.message}") from error
        if found.Secret and not found.Username:
            return Credentials(identity_token=found.Secret)
        return Credentials(username=found.Username, password=found.Secret) if found.Secret else Credentials()

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[None]:
        try:
            yield
        except (ConnectionError, StreamTerminatedError) as error:
            raise Unavailable(f"the client has gone, and with it the credentials of {self.host}") from error
