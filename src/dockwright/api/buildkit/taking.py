"""Connections that change from HTTP to HTTP/2: `Upgrade: h2c`, answered by 101."""

from __future__ import annotations

import asyncio

from aiohttp import web

from dockwright.errors import Invalid

_HEAD = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def take(request: web.BaseRequest) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    """Answer 101; the connection, and who has to hear of its end. Raises `Invalid`, `ConnectionResetError`."""
    asked = request.headers.get("Upgrade", "")
    if asked.lower() != "h2c":
        raise Invalid(f"this address speaks gRPC after an upgrade to h2c, not {asked or 'HTTP'}")
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    transport.write(_HEAD)
    return transport, request.protocol
