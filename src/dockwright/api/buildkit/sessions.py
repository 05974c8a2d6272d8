"""Sessions: connections on which a build's client answers the engine's calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dockwright.api.buildkit.arrivals import Arrivals
from dockwright.api.buildkit.bodies import Bodies
from dockwright.buildkit.connection import Caller
from dockwright.errors import Conflict, Invalid, Unavailable

_PREFIX = "X-Docker-Expose-Session-"


@dataclass(frozen=True, eq=False)
class Session:
    """One client. The headers' `shared_key` names its directories over builds; `methods` are the calls that it answers."""

    headers: Headers
    caller: Caller

    @property
    def id(self) -> str:
        """Its name."""
        return self.headers.id

    @property
    def shared_key(self) -> str:
        """The name of its directories; empty where it has none."""
        return self.headers.shared_key

    def answers(self, method: str) -> bool:
        """Whether it answers `method`, as in `/moby.filesync.v1.FileSync/DiffCopy`."""
        return method.lower() in self.headers.methods


METHOD_HEADER = _PREFIX + "Grpc-Method"


@dataclass(frozen=True)
class Headers:
    """What the headers of `/session` say."""

    id: str
    name: str
    shared_key: str
    methods: frozenset[str]

    @classmethod
    def of(cls, headers: Mapping[str, str], methods: list[str]) -> Headers:
        """Raises `Invalid` for a session without a name."""
        session_id = headers.get(_PREFIX + "Uuid", "")
        if not session_id:
            raise Invalid(f"a session needs a name: the header {_PREFIX}Uuid")
        answered = frozenset(method.lower() for method in methods)
        return cls(session_id, headers.get(_PREFIX + "Name", ""), headers.get(_PREFIX + "Sharedkey", ""), answered)


class Sessions:
    """Those that are open."""

    def __init__(self) -> None:
        # What clients send beside their sessions.
        self.bodies = Bodies()
        self._open: Arrivals[Session] = Arrivals()

    def check(self, headers: Headers) -> None:
        """Raises `Conflict` when there is such a session."""
        if headers.id in self._open:
            raise Conflict(f"session {headers.id} already exists")

    @contextmanager
    def opened(self, session: Session) -> Iterator[None]:
        """`session` can be found for as long as the context lasts. Raises `Conflict`."""
        self.check(session.headers)
        with self._open.present(session.id, session):
            yield

    async def find(self, session_id: str) -> Session:
        """The session, waited for a while. Raises `Unavailable`."""
        # Names may come with a prefix that keeps directories of several clients apart.
        wanted = session_id.rpartition(":")[2]
        try:
            return await self._open.wait(wanted)
        except TimeoutError:
            raise Unavailable(f"no active session for {wanted}: the client that asked for the build has gone") from None
