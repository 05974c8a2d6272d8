"""What a transfer tells: everything once, counts at a bounded rate, and no more work when nobody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import pytest

from dockwright.errors import NotFound, Unavailable
from dockwright.image.progress import Board, Progress
from dockwright.tasks import Background, told


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def listening_to(work: Callable[[Board], Awaitable[None]], owner: Background) -> AsyncGenerator[Progress, None]:
    board = Board()
    return told(lambda: work(board), board, owner, "work")


async def drained(board: Board) -> list[Progress]:
    board.end()
    found = []
    while (message := await board.next()) is not None:
        found.append(message)
    return found


async def test_counts_come_ten_times_a_second_and_the_last_one_always() -> None:
    clock = Clock()
    board = Board(clock)
    heard = []
    for count in range(1001):
        clock.now += 0.01
        board.tell("Downloading", "layer", count, 1000)
        if board._messages:
            heard.append(await board.next())
    counts = [message.current for message in heard if message]
    assert 95 <= len(counts) <= 105
    assert counts[-1] == 1000


async def test_what_nobody_read_yet_is_brought_up_to_date_instead_of_piling_up() -> None:
    board = Board()
    for count in range(100_000):
        board.tell("Downloading", "a", count, 100_000)
        board.tell("Downloading", "b", count, 100_000)
    board.tell("Download complete", "a")
    messages = await drained(board)
    assert [(one.id, one.status, one.current) for one in messages] == [
        ("a", "Downloading", 99_999),
        ("b", "Downloading", 99_999),
        ("a", "Download complete", None),
    ]


async def test_words_are_told_in_order_and_none_is_lost() -> None:
    board = Board()
    for status in ("Pulling fs layer", "Waiting", "Verifying Checksum", "Pull complete"):
        board.tell(status, "a")
    assert [one.status for one in await drained(board)] == [
        "Pulling fs layer",
        "Waiting",
        "Verifying Checksum",
        "Pull complete",
    ]


async def test_an_error_is_raised_after_everything_that_was_told_before_it() -> None:
    async def work(board: Board) -> None:
        board.tell("first")
        raise NotFound("not there")

    heard = []
    async with Background("test") as owner:
        with pytest.raises(NotFound, match="not there"):
            async for message in listening_to(work, owner):
                heard.append(message.status)
    assert heard == ["first"]


async def test_the_first_error_of_a_group_is_the_one_raised() -> None:
    async def work(board: Board) -> None:
        async def fail() -> None:
            raise NotFound("one of several")

        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async with Background("test") as owner:
        with pytest.raises(NotFound, match="one of several"):
            async for _ in listening_to(work, owner):
                pass


async def test_the_work_is_over_when_the_listener_has_gone() -> None:
    ended = []

    async def work(board: Board) -> None:
        try:
            board.tell("begun")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async with Background("test") as owner:
        async with aclosing(listening_to(work, owner)) as messages:
            async for _ in messages:
                break
        assert ended == [True]


async def test_the_listener_is_told_when_the_engine_stops() -> None:
    async def work(board: Board) -> None:
        board.tell("begun")
        await asyncio.Event().wait()

    owner = Background("test")
    async with aclosing(listening_to(work, owner)) as messages:
        assert (await anext(messages)).status == "begun"
        await owner.aclose()
        with pytest.raises(Unavailable, match="the engine is stopping"):
            await anext(messages)


async def test_work_that_never_began_ends_its_listeners() -> None:
    async def work(board: Board) -> None:
        board.tell("never")

    owner = Background("test")
    messages = listening_to(work, owner)
    listening = asyncio.get_running_loop().create_task(anext(messages))  # type: ignore[arg-type]
    while not owner._tasks:
        await asyncio.sleep(0)
    await owner.aclose()
    with pytest.raises(Unavailable):
        await listening
