"""What a container's owner holds: its record, its lock, its live process, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dockwright.container import state, telling
from dockwright.container.logging import ContainerLog
from dockwright.container.others import Others
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.container.starting import Live
from dockwright.container.state import Status
from dockwright.container.waiting import Condition, Ending, Waiters
from dockwright.errors import Conflict


class Owned:
    """One container as its owner sees it; the verbs are `Container`'s. `others` is the index it stands in."""

    def __init__(self, parts: Parts, record: Record, others: Others) -> None:
        self.parts = parts
        self.record = record
        self.others = others
        self.live: Live | None = None
        self.log = ContainerLog(parts, record)
        self._lock = asyncio.Lock()
        self._waiters = Waiters()
        self._teardown: asyncio.Task[None] | None = None
        self._restart: asyncio.Task[None] | None = None

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def status(self) -> Status:
        return self.record.state.status

    @property
    def alive(self) -> bool:
        """Whether its processes exist."""
        return state.is_alive(self.status)

    @property
    def gone(self) -> bool:
        """Whether it has been removed."""
        return self.status is Status.REMOVING

    def require_live(self, verb: str) -> Live:
        """The running process, for a verb that needs one. Raises `Conflict` with Docker's words."""
        state.check(verb, self.status, self.id)
        if self.live is None:
            raise Conflict(f"container {self.id} is not running")
        return self.live

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _cancel_restart(self) -> None:
        task, self._restart = self._restart, None
        if task is not None:
            task.cancel()

    def begin_wait(self, condition: Condition) -> asyncio.Future[Ending]:
        """A future that is resolved when the condition holds; an exit from this call on is not missed."""
        waiting = self._waiters.add(condition)
        if condition is Condition.NOT_RUNNING and not self.alive and self.status is not Status.RESTARTING:
            waiting.set_result(Ending(self.record.state.exit_code, self.record.state.error))
        return waiting

    async def wait(self, condition: Condition) -> Ending:
        """Wait until the condition holds and return how it ended."""
        return await self.begin_wait(condition)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While the context lasts its state does not change. Raises `Conflict` when it is going."""
        async with self._lock:
            if self.gone:
                raise Conflict(f"container {self.id} is being removed")
            yield

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """While the context lasts it does not run, start or go. Raises `Conflict` when it runs."""
        async with self._lock:
            if self.live is not None or self.gone:
                raise Conflict(f"container {self.id} is {'running' if self.live else 'being removed'}")
            if self._teardown is not None:
                await asyncio.wait((self._teardown,))
            yield

    # -- the record ------------------------------------------------------------------------------------------------

    async def changed(self) -> None:
        """Persist name and specification after a change."""
        async with self._lock:
            await self.parts.table.save_spec(self.record)

    async def save_state(self) -> None:
        """Persist the state after a change that is no transition (health)."""
        await self.parts.table.save_state(self.record)

    async def tell(self, action: str, /, **attributes: str) -> None:
        """Publish an event of this container."""
        await telling.tell(self.parts, self.record, action, attributes)

    async def _set_status(self, status: Status) -> None:
        self.record.state.status = status
        await self.parts.table.save_state(self.record)
