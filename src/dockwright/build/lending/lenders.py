"""Lenders that need no client: one that has nothing, and one for files, variables and agents of this host."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dockwright import workers
from dockwright.build.lending.lender import DEFAULT_AGENT, SECRET_LIMIT_BYTES
from dockwright.credentials import Credentials, key_of
from dockwright.errors import Invalid, NotFound


class LendsNothing:
    """A client that brought nothing along."""

    async def secret(self, id: str) -> bytes | None:
        return None

    @asynccontextmanager
    async def agent(self, id: str) -> AsyncIterator[Path | None]:
        yield None

    async def credential(self, domain: str) -> Credentials | None:
        return None


@dataclass(frozen=True)
class HostLender:
    """What this host has, for whoever embeds the engine.

    `secrets` are files, or bytes as they are, by ID; `variables` names variables of this process that are secrets of the same
    ID. `agents` are sockets by ID; `default` is that of SSH_AUTH_SOCK with `agent_of_environment`. `credentials` are kept by
    the names of `credentials.key_of`.
    """

    secrets: Mapping[str, Path | bytes] = field(default_factory=dict, repr=False)
    variables: frozenset[str] = frozenset()
    agents: Mapping[str, Path] = field(default_factory=dict)
    agent_of_environment: bool = False
    credentials: Mapping[str, Credentials] = field(default_factory=dict)

    async def secret(self, id: str) -> bytes | None:
        found = self.secrets.get(id)
        if found is None:
            value = os.environ.get(id) if id in self.variables else None
            return None if value is None else os.fsencode(value)
        content = found if isinstance(found, bytes) else await workers.quick(_read, found, id)
        if len(content) > SECRET_LIMIT_BYTES:
            raise Invalid(f"the secret {id} is longer than {SECRET_LIMIT_BYTES} bytes")
        return content

    @asynccontextmanager
    async def agent(self, id: str) -> AsyncIterator[Path | None]:
        found = self.agents.get(id)
        if found is None and id == DEFAULT_AGENT and self.agent_of_environment:
            named = os.environ.get("SSH_AUTH_SOCK")
            found = Path(named) if named else None
        yield found

    async def credential(self, domain: str) -> Credentials | None:
        return self.credentials.get(key_of(domain))


def _read(path: Path, id: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SECRET_LIMIT_BYTES + 1)
    except OSError as error:
        raise NotFound(f"the secret {id} cannot be read: {path}: {error.strerror}") from error
