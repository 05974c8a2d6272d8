"""Background tasks that somebody awaits, and work whose progress somebody listens to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, TypeVar

from dockwright.errors import DockwrightError, Unavailable
from dockwright.undo import shielded

log = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Told(Protocol[T_co]):
    """What work says, until it is read."""

    def end(self) -> None:
        """Nothing more comes."""
        ...

    async def next(self) -> T_co | None:
        """The next message; None at the end."""
        ...


class Background:
    """A set of tasks owned by one object and ended with it: the `TaskGroup` of something that lives on.

    A task that fails is logged with its traceback and does not end its siblings. `async with` (or `aclose`) cancels
    what still runs and awaits it; after that `start` refuses.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `work` until it ends or the owner closes. Raises `RuntimeError` after `aclose`."""
        if self._closed:
            work.close()
            raise RuntimeError(f"{self._name} is closed")
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self) -> None:
        """Wait until every task started so far has ended by itself."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def aclose(self) -> None:
        """Cancel what still runs and await it. Safe to call twice."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self.drain()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def told(
    work: Callable[[], Awaitable[None]], board: Told[T], owner: Background, name: str
) -> AsyncGenerator[T, None]:
    """Run `work` as a task of `owner`, yield what it says on `board` as it comes, then raise its error.

    Closing the generator cancels `work`, and returns once it has ended.
    """
    failures: list[BaseException] = []

    async def run() -> None:
        try:
            await work()
        except DockwrightError as error:
            failures.append(error)
        except BaseExceptionGroup as group:
            failures.append(first(group))

    task = owner.start(run(), name=name)
    task.add_done_callback(lambda _: board.end())
    try:
        while (message := await board.next()) is not None:
            yield message
        await asyncio.wait((task,))
        if failures:
            raise failures[0]
        if task.cancelled():
            raise Unavailable("the engine is stopping")
        task.result()
    finally:
        task.cancel()
        await shielded(_over(task), limit_s=None)


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that made the others of a task group stop."""
    error = group.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error


async def _over(task: asyncio.Task[None]) -> None:
    await asyncio.wait((task,))
