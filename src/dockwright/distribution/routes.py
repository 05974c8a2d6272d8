"""Which endpoints a registry is reached at: decided once, by trying where plain HTTP is allowed, and remembered for a while."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time

from dockwright.credentials import Credentials
from dockwright.distribution import endpoints
from dockwright.distribution.authority import Knowledge
from dockwright.distribution.endpoints import Address, Endpoint
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.distribution.wire import Request, Wire, read_start
from dockwright.errors import Unavailable

CHOICE_KEPT_S = 600.0
MIRROR_RESTS_S = 60.0

log = logging.getLogger(__name__)


class Routes:
    """The ways of one client to all registries."""

    def __init__(self, options: RegistryOptions) -> None:
        self.options = options
        self.wire = Wire(options)
        self.knowledge = Knowledge()
        self._chosen: dict[str, tuple[Endpoint, float]] = {}
        self._choosing: dict[str, asyncio.Lock] = {}
        self._resting: dict[Endpoint, float] = {}

    async def registry(self, registry: str, credentials: Credentials) -> Peer:
        """The registry itself. Raises `Unavailable` when neither https nor http, where allowed, reaches it."""
        return Peer(self.wire, self.knowledge, await self._direct(registry), credentials)

    async def mirrors(self, registry: str) -> list[Peer]:
        """The mirrors to ask before it: those that were out of reach a moment ago are left out."""
        now = time.monotonic()
        found = []
        for base in endpoints.mirrors(registry, self.options.mirrors):
            verified = base.scheme == "https" and not await self._insecure(endpoints.authority(base))
            endpoint = Endpoint(base, registry, verified, mirror=True)
            if self._resting.get(endpoint, now) <= now:
                found.append(Peer(self.wire, self.knowledge, endpoint, Credentials(*endpoint.account)))
        return found

    def rest(self, endpoint: Endpoint) -> None:
        """Leave a mirror alone for a while: it was out of reach."""
        self._resting[endpoint] = time.monotonic() + MIRROR_RESTS_S

    async def _direct(self, registry: str) -> Endpoint:
        async with self._choosing.setdefault(registry, asyncio.Lock()):
            chosen, until = self._chosen.get(registry, (None, 0.0))
            if chosen is None or until < time.monotonic():
                chosen = await self._choose(endpoints.direct(registry, insecure=await self._insecure(registry)))
                self._chosen[registry] = (chosen, time.monotonic() + CHOICE_KEPT_S)
            return chosen

    async def _choose(self, candidates: tuple[Endpoint, ...]) -> Endpoint:
        """The first that answers; not asked where there is but one. Raises what the most telling failure was."""
        if len(candidates) == 1:
            return candidates[0]
        encrypted, plain = candidates
        try:
            await self._ask(encrypted)
            return encrypted
        except Unavailable as error:
            log.info("%s; trying without TLS", error)
            # 400 is what a server that speaks TLS says of plain HTTP: the first failure was the one to tell.
            if await self._ask(plain) == 400:
                raise
            return plain

    async def _ask(self, endpoint: Endpoint) -> int:
        async with self.wire.send(Request("GET", endpoint.base, endpoint.verified)) as response:
            await read_start(response)
            return response.status

    async def _insecure(self, registry: str) -> bool:
        name, port = endpoints.split_host(registry)
        if endpoints.is_loopback(name) and not await self.wire.contexts.has_authority(registry):
            return True
        return endpoints.listed(name, port, self.options.insecure, await self._addresses(name))

    async def _addresses(self, name: str) -> list[Address]:
        if not endpoints.has_networks(self.options.insecure) or endpoints.address(name) is not None:
            return []
        try:
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
