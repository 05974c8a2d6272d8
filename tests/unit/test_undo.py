"""Undo that three cancels do not cut short."""

from __future__ import annotations

import asyncio

import pytest

from dockwright.undo import UndoStack, shielded


async def test_an_undo_runs_to_its_end_although_its_owner_is_cancelled_three_times() -> None:
    steps: list[str] = []
    unwinding = asyncio.Event()

    async def undo() -> None:
        unwinding.set()
        for step in ("one", "two", "three"):
            await asyncio.sleep(0.01)
            steps.append(step)

    async def work() -> None:
        async with UndoStack() as stack:
            stack.push_undo(undo)
            await asyncio.sleep(60)

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await unwinding.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.005)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["one", "two", "three"]


async def test_every_undo_runs_in_reverse_order_although_one_fails() -> None:
    ran: list[int] = []

    async def undo(number: int) -> None:
        ran.append(number)
        if number == 2:
            raise OSError("cannot")

    with pytest.raises(OSError, match="cannot"):
        async with UndoStack() as stack:
            for number in (1, 2, 3):
                stack.push_undo(undo, number)
    assert ran == [3, 2, 1]


async def test_released_undos_belong_to_the_new_stack() -> None:
    ran: list[str] = []

    async def undo() -> None:
        ran.append("undone")

    async with UndoStack() as stack:
        stack.push_undo(undo)
        held = stack.release()
    assert ran == []
    await held.aclose()
    assert ran == ["undone"]


async def test_a_shielded_result_is_returned_and_an_error_raised() -> None:
    async def give() -> int:
        return 7

    async def fail() -> None:
        raise ValueError("no")

    assert await shielded(give()) == 7
    with pytest.raises(ValueError, match="no"):
        await shielded(fail())


async def test_an_undo_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError):
        await shielded(asyncio.sleep(60), limit_s=0.01)
