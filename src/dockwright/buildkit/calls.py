"""Calls that bring one message."""

from __future__ import annotations

from typing import Any, TypeVar

from grpclib.server import Stream

from dockwright.errors import Invalid

Message = TypeVar("Message")


async def asked(stream: Stream[Message, Any]) -> Message:
    """What the caller asks. Raises `Invalid` for a call without a message."""
    message = await stream.recv_message()
    if message is None:
        raise Invalid("a call without a message")
    return message
