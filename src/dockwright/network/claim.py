"""One daemon at a time picks a subnet: two that start together would pick the same one.

The lock is a name in the abstract socket space, which belongs to the network namespace, as subnets do, and goes with its
holder (unix(7)).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)

_NAME = "\0dockwright/subnet"
_STEP_S, _LIMIT_S = 0.01, 10.0


@asynccontextmanager
async def subnet_claim(name: str = _NAME) -> AsyncIterator[None]:
    """Held while a subnet is picked and put on its bridge. After ten seconds of waiting it goes on without."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as claim:
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not _bound(claim, name):  # noqa: ASYNC110 - the holder is another process
                    await asyncio.sleep(_STEP_S)
        except TimeoutError:
            log.warning("another daemon has been picking a subnet for %.0f s; going on", _LIMIT_S)
        yield


def _bound(claim: socket.socket, name: str) -> bool:
    try:
        claim.bind(name)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True
