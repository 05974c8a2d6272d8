"""What both ends of a transfer need of a call."""

from __future__ import annotations

from typing import Protocol

from dockwright.buildkit.proto.fsutil_pb2 import Packet


class PacketStream(Protocol):
    """A call that carries packets both ways: grpclib's streams, the client's and the server's.

    `send_message` is not called twice at once: whoever has several tasks that send takes turns.
    """

    async def send_message(self, message: Packet, /) -> None:
        """Send, waiting while the peer does not read."""
        ...

    async def recv_message(self) -> Packet | None:
        """The next packet; None when the peer has no more."""
        ...
