"""Who waits for a container to end or to go, and how they are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from dockwright.errors import Invalid


class Condition(StrEnum):
    """`condition` of the wait call."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises `Invalid` with Docker's wording; "" is not-running."""
        try:
            return cls(text or "not-running")
        except ValueError:
            raise Invalid(f'invalid condition: "{text}"') from None


@dataclass(frozen=True)
class Ending:
    """How a container ended: its exit code, and why it never ran when it did not."""

    exit_code: int
    error: str = ""


class Waiters:
    """Futures to be resolved at the next exit or at removal."""

    def __init__(self) -> None:
        self._exit: set[asyncio.Future[Ending]] = set()
        self._removal: set[asyncio.Future[Ending]] = set()

    def add(self, condition: Condition) -> asyncio.Future[Ending]:
        """A future that the next exit or the removal resolves; dropped when cancelled."""
        group = self._removal if condition is Condition.REMOVED else self._exit
        future: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        group.add(future)
        future.add_done_callback(group.discard)
        return future

    def ended(self, ending: Ending) -> None:
        """The process has ended."""
        _resolve(self._exit, ending)

    def removed(self, ending: Ending) -> None:
        """The container is gone."""
        _resolve(self._removal, ending)
        _resolve(self._exit, ending)


def _resolve(group: set[asyncio.Future[Ending]], ending: Ending) -> None:
    for future in tuple(group):
        if not future.done():
            future.set_result(ending)
