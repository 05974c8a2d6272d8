"""Work in threads ends before its caller's cancellation goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dockwright import workers


async def test_a_cancelled_caller_waits_for_the_end_of_the_work() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        ended.set()

    task = asyncio.get_running_loop().create_task(workers.quick(work))
    await workers.bulk(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_what_a_cancelled_caller_acquired_is_given_back() -> None:
    begun, released = threading.Event(), []

    def acquire() -> int:
        begun.set()
        return 7

    task = asyncio.get_running_loop().create_task(workers.acquired(acquire, released.append))
    while not begun.is_set():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert released == [7]


async def test_results_and_errors_come_through() -> None:
    assert await workers.quick(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await workers.bulk(lambda: 1 / 0)
