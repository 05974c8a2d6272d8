"""`Secrets`: read when a step asks for one, and kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright import workers
from dockwright.buildkit.calls import asked
from dockwright.buildkit.proto.secrets_grpc import SecretsBase
from dockwright.buildkit.proto.secrets_pb2 import GetSecretRequest, GetSecretResponse
from dockwright.cli.building.loans import Secret
from dockwright.cli.building.services.answers import answers


class Secrets(SecretsBase):
    """`secrets` by their ID."""

    def __init__(self, secrets: Mapping[str, Secret]) -> None:
        self._secrets = secrets

    @answers
    async def GetSecret(self, stream: Stream[GetSecretRequest, GetSecretResponse]) -> None:
        """One secret."""
        request = await asked(stream)
        found = self._secrets.get(request.ID)
        if found is None:
            raise GRPCError(Status.NOT_FOUND, f"secret {request.ID}: not found")
        await stream.send_message(GetSecretResponse(data=await workers.quick(found.read)))
