"""The seam to whoever asks for a build: what they lend it while it goes on.

    lender = HostLender(secrets={"token": Path("/etc/token")}, agents={"default": Path("/run/agent.sock")})
    await engine.build(directory, BuildRequest(lender=lender))

What is lent is used by the steps that name it and by nothing else: it is in no layer, log, history or cache key.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from dockwright.credentials import Credentials

# What a secret may have at most, as BuildKit's.
SECRET_LIMIT_BYTES = 500 << 10
# The agent that a mount of type ssh means when it names none.
DEFAULT_AGENT = "default"


class Lender(Protocol):
    """Asked while steps run, from several of them at a time; a step that needs nothing never asks.

    A lender may go away (a client that hung up): it raises `Unavailable` then, and the step that asked fails.
    """

    async def secret(self, id: str) -> bytes | None:
        """The secret's content; None where there is none of that name. Raises `Invalid` for one that is too long."""
        ...

    def agent(self, id: str) -> AbstractAsyncContextManager[Path | None]:
        """A unix socket where an ssh agent answers, for as long as the context lasts; None where there is none.

        The socket's owner and mode mean nothing: the step gets one of its own that leads here.
        """
        ...

    async def credential(self, domain: str) -> Credentials | None:
        """Who the build is to the registry `domain`: for pulls, caches and pushes. None is anonymous."""
        ...
