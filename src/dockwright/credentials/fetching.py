"""Somebody else who gets bearer tokens: who holds a password need not give it away then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dockwright.credentials.credential import Credentials


@dataclass(frozen=True)
class FetchedToken:
    """A bearer token, good for `life_s` seconds from now; 0 where nobody says for how long."""

    value: str = field(repr=False)
    life_s: float = 0.0


class TokenFetcher(Protocol):
    """Asked in the name of one person at one registry. Equal ones stand for the same person: their tokens are shared."""

    def __hash__(self) -> int: ...

    async def token(self, realm: str, service: str, scopes: Sequence[str]) -> FetchedToken | None:
        """A token of the token server at `realm`; None where it cannot be fetched so. Raises `Unavailable`."""
        ...

    async def credentials(self) -> Credentials:
        """The credentials themselves, for registries without tokens, and where none can be fetched. Raises `Unavailable`."""
        ...
