"""Equal work in flight is done once; it stops when its last passenger has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dockwright.errors import NotFound, Unavailable
from dockwright.flights import Flights, Slots
from dockwright.image.progress import Tell
from dockwright.tasks import Background


def ignore(status: str, current: int | None, total: int | None) -> None:
    pass


async def everything_that_can_happen() -> None:
    """Let every task run until it waits for something that only the test gives."""
    for _ in range(100):
        await asyncio.sleep(0)


class Work:
    """Contexts that count how often they were entered and left, and arrive when they are told to."""

    def __init__(self) -> None:
        self.entered = self.left = 0
        self.ready = asyncio.Event()
        self.may_leave = asyncio.Event()
        self.may_leave.set()
        self.failure: Exception | None = None

    @asynccontextmanager
    async def context(self, tell: Tell) -> AsyncIterator[int]:
        self.entered += 1
        number = self.entered
        try:
            tell("begun", None, None)
            await self.ready.wait()
            if self.failure is not None:
                raise self.failure
            yield number
        finally:
            await self.may_leave.wait()
            self.left += 1


async def ride(flights: Flights[str, int], work: Work, tell: Tell = ignore) -> int:
    async with flights.join("key", work.context, tell) as number:
        return number


async def test_everybody_gets_the_same_and_hears_what_was_told_before() -> None:
    work, heard = Work(), []
    async with Background("test") as owner:
        flights: Flights[str, int] = Flights(owner)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ride(flights, work))
            await everything_that_can_happen()
            second = group.create_task(ride(flights, work, lambda status, *_: heard.append(status)))
            await everything_that_can_happen()
            work.ready.set()
        assert (first.result(), second.result()) == (1, 1)
        assert heard == ["begun"]
        assert (work.entered, work.left) == (1, 1)
        assert await ride(flights, work) == 2


async def test_the_work_goes_on_while_one_passenger_is_left_and_stops_with_the_last() -> None:
    work = Work()
    async with Background("test") as owner:
        flights: Flights[str, int] = Flights(owner)
        riders = [asyncio.get_running_loop().create_task(ride(flights, work)) for _ in range(2)]
        await everything_that_can_happen()
        for count, rider in enumerate(riders):
            assert work.left == 0, count
            rider.cancel()
            await asyncio.wait((rider,))
        assert (work.entered, work.left) == (1, 1)


async def test_who_comes_while_it_is_being_stopped_waits_for_that_and_begins_anew() -> None:
    work = Work()
    async with Background("test") as owner:
        flights: Flights[str, int] = Flights(owner)
        first = asyncio.get_running_loop().create_task(ride(flights, work))
        await everything_that_can_happen()
        work.may_leave.clear()
        first.cancel()
        await everything_that_can_happen()
        second = asyncio.get_running_loop().create_task(ride(flights, work))
        await everything_that_can_happen()
        assert work.entered == 1
        work.may_leave.set()
        work.ready.set()
        assert await second == 2
        assert work.left == 2
        await asyncio.wait((first,))


async def test_what_failed_for_one_is_tried_anew_by_the_others() -> None:
    work = Work()
    work.failure = NotFound("not for you")
    async with Background("test") as owner:
        flights: Flights[str, int] = Flights(owner)
        riders = [asyncio.get_running_loop().create_task(ride(flights, work)) for _ in range(3)]
        await everything_that_can_happen()
        work.ready.set()
        await asyncio.wait(riders)
        for rider in riders:
            with pytest.raises(NotFound):
                rider.result()
        assert work.entered == work.left == 3


async def test_work_that_never_began_lets_its_passengers_go() -> None:
    work, owner = Work(), Background("test")
    flights: Flights[str, int] = Flights(owner)
    rider = asyncio.get_running_loop().create_task(ride(flights, work))
    while not flights._flying:
        await asyncio.sleep(0)
    await owner.aclose()
    await asyncio.wait((rider,))
    with pytest.raises(Unavailable):
        rider.result()


async def test_slots_are_given_in_order_and_their_number_may_change() -> None:
    slots, running, most = Slots(2), 0, []
    order: list[int] = []
    go = asyncio.Event()

    async def work(number: int) -> None:
        nonlocal running
        async with slots.slot():
            running += 1
            order.append(number)
            most.append(running)
            await go.wait()
            running -= 1

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(work(number))
        await everything_that_can_happen()
        assert order == [0, 1]
        assert slots.full
        await slots.set_limit(3)
        await everything_that_can_happen()
        assert order == [0, 1, 2]
        go.set()
    assert order == list(range(6))
    assert max(most) == 3
    assert not slots.full
