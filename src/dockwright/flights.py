"""Equal work in flight is done once, whoever asks for it; it stops when the last who asked has gone.

And `Slots`: how many may do something at a time, changeable while they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, ParamSpec, TypeVar

from dockwright.errors import DockwrightError, Unavailable
from dockwright.tasks import Background
from dockwright.undo import shielded

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
# What the work tells those who wait for it.
P = ParamSpec("P")


class Flight(Generic[T, P]):
    """One piece of work under way: a context that is entered once, and left when the last passenger has gone."""

    def __init__(
        self, context: Callable[[Callable[P, None]], AbstractAsyncContextManager[T]], owner: Background, name: str
    ) -> None:
        self._context = context
        self._listeners: list[Callable[P, None]] = []
        self._last: Callable[[Callable[P, None]], None] | None = None
        self._arrived: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.ending = False
        self._task = owner.start(self._fly(), name=name)
        # Not in the task itself: one that is cancelled before it begins runs nothing.
        self._task.add_done_callback(lambda _: self._fail(Unavailable("it was given up")))

    def board(self, tell: Callable[P, None]) -> None:
        """Listen, beginning with what was told last."""
        self._listeners.append(tell)
        if self._last is not None:
            self._last(tell)

    async def leave(self, tell: Callable[P, None]) -> None:
        """Stop listening. Whoever leaves last stops the work, and waits until its context is left."""
        self._listeners.remove(tell)
        if not self._listeners:
            self.ending = True
            self._task.cancel()
            await self.over()

    async def over(self) -> None:
        """Return once the context is left."""
        await asyncio.wait((self._task,))

    async def arrived(self) -> T:
        """What the context gave. Raises what it raised. A cancelled caller does not stop the others'."""
        await asyncio.wait((self._arrived,))
        return self._arrived.result()

    async def _fly(self) -> None:
        try:
            async with self._context(self._tell) as result:
                self._arrived.set_result(result)
                await asyncio.Event().wait()  # the last to leave cancels
        except (DockwrightError, OSError) as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.ending = True  # nobody joins it any more
        if not self._arrived.done():
            self._arrived.set_exception(error)
            self._arrived.exception()  # retrieved: nobody may be left to hear it

    def _tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        self._last = lambda tell: tell(*args, **kwargs)
        for tell in self._listeners:
            tell(*args, **kwargs)


class Flights(Generic[K, T, P]):
    """Work in flight by its key."""

    def __init__(self, owner: Background) -> None:
        self._owner = owner
        self._flying: dict[K, Flight[T, P]] = {}

    @asynccontextmanager
    async def join(
        self, key: K, context: Callable[[Callable[P, None]], AbstractAsyncContextManager[T]], tell: Callable[P, None]
    ) -> AsyncIterator[T]:
        """The result of entering `context`, shared with everybody who joins the same key meanwhile.

        `tell` hears what the work says. Raises what the work raises; work that another began and that failed is begun anew,
        as it may have failed for reasons of that other's (a registry, credentials).
        """
        while True:
            flight = self._flying.get(key)
            if flight is not None and flight.ending:
                await flight.over()
                if self._flying.get(key) is flight:
                    del self._flying[key]
                continue
            own = flight is None
            if flight is None:
                flight = self._flying[key] = Flight(context, self._owner, f"flight of {key}")
            flight.board(tell)
            try:
                try:
                    result = await flight.arrived()
                except DockwrightError:
                    if own:
                        raise
                    continue
                yield result
                return
            finally:
                await shielded(self._leave(key, flight, tell), limit_s=None)

    async def _leave(self, key: K, flight: Flight[T, P], tell: Callable[P, None]) -> None:
        await flight.leave(tell)
        if flight.ending and self._flying.get(key) is flight:
            del self._flying[key]


class Slots:
    """At most `limit` at a time; the others wait in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = asyncio.Condition()

    @property
    def full(self) -> bool:
        """Whether the next one has to wait."""
        return self._taken >= self._limit

    async def set_limit(self, limit: int) -> None:
        """Change how many may. Those who have a slot keep it."""
        async with self._changed:
            self._limit = limit
            self._changed.notify_all()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.full)
            self._taken += 1
        try:
            yield
        finally:
            await shielded(self._release())

    async def _release(self) -> None:
        async with self._changed:
            self._taken -= 1
            self._changed.notify_all()
