"""`Auth`: who we are to registries, from the client's configuration and its helpers. Tokens are the engine's to fetch."""

from __future__ import annotations

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright import workers
from dockwright.buildkit.calls import asked
from dockwright.buildkit.proto.filesync_grpc import AuthBase
from dockwright.buildkit.proto.filesync_pb2 import (
    CredentialsRequest,
    CredentialsResponse,
    FetchTokenRequest,
    FetchTokenResponse,
    GetTokenAuthorityRequest,
    GetTokenAuthorityResponse,
    VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
)
from dockwright.cli.building.services.answers import answers
from dockwright.credentials import CredentialFile, key_of
from dockwright.credentials import Credentials as Kept


class Auth(AuthBase):
    """`directory` is the one of the client's configuration."""

    def __init__(self, directory: str) -> None:
        self._file = CredentialFile(directory)

    @answers
    async def Credentials(self, stream: Stream[CredentialsRequest, CredentialsResponse]) -> None:
        """What is kept for a registry; empty where nothing is."""
        request = await asked(stream)
        found = await self._kept(request.Host)
        if found.identity_token:
            await stream.send_message(CredentialsResponse(Secret=found.identity_token))
        else:
            await stream.send_message(CredentialsResponse(Username=found.username, Secret=found.password))

    @answers
    async def FetchToken(self, stream: Stream[FetchTokenRequest, FetchTokenResponse]) -> None:
        """A token for an engine that is not told the password."""
        from dockwright.cli.building.tokens import fetch  # engines that ask for a token are few

        request = await asked(stream)
        found = await self._kept(request.Host)
        token, expires_s = await workers.bulk(fetch, request.Realm, request.Service, tuple(request.Scopes), found)
        await stream.send_message(FetchTokenResponse(Token=token, ExpiresIn=expires_s))

    async def GetTokenAuthority(self, stream: Stream[GetTokenAuthorityRequest, GetTokenAuthorityResponse]) -> None:
        """An engine may ask for credentials instead."""
        raise GRPCError(Status.UNAVAILABLE, "client side tokens disabled")

    async def VerifyTokenAuthority(
        self, stream: Stream[VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse]
    ) -> None:
        """See `GetTokenAuthority`."""
        raise GRPCError(Status.UNAVAILABLE, "client side tokens disabled")

    async def _kept(self, host: str) -> Kept:
        return await workers.bulk(self._file.get, key_of(host)) or Kept()
