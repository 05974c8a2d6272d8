"""`Health`: that the session is there."""

from __future__ import annotations

from grpclib.server import Stream

from dockwright.buildkit.proto.health_grpc import HealthBase
from dockwright.buildkit.proto.health_pb2 import HealthCheckRequest, HealthCheckResponse


class Health(HealthBase):
    """Well as long as it answers."""

    async def Check(self, stream: Stream[HealthCheckRequest, HealthCheckResponse]) -> None:
        """Answer."""
        await stream.recv_message()
        await stream.send_message(HealthCheckResponse(status=HealthCheckResponse.SERVING))
