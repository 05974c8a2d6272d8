from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dockwright.errors import HostFailure
from dockwright.network import prepared as module
from dockwright.network.prepared import Prepared
from dockwright.tasks import Background


class Maker:
    """Makes numbers, and fails while told to."""

    def __init__(self) -> None:
        self.made = 0
        self.failing = False

    async def make(self) -> int:
        await asyncio.sleep(0)
        if self.failing:
            raise HostFailure("no more")
        self.made += 1
        return self.made


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    async with Background("test") as background:
        yield background


async def filled(stock: Prepared[int], count: int) -> None:
    async with asyncio.timeout(5):
        while len(stock) < count:
            await asyncio.sleep(0.005)


async def test_the_oldest_is_handed_out_and_the_stock_is_filled_again(background: Background) -> None:
    stock = Prepared(Maker().make, 4, background)
    await filled(stock, 4)
    assert [await stock.take() for _ in range(3)] == [1, 2, 3]
    await filled(stock, 4)
    assert await stock.take() == 4


async def test_what_is_not_in_stock_is_made_on_the_spot(background: Background) -> None:
    maker = Maker()
    stock = Prepared(maker.make, 0, background)
    assert [await stock.take(), await stock.take()] == [1, 2]


async def test_a_failure_is_the_takers_and_the_stock_recovers(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    maker = Maker()
    maker.failing = True
    stock = Prepared(maker.make, 2, background)
    with pytest.raises(HostFailure):
        await stock.take()
    maker.failing = False
    await filled(stock, 2)


async def test_what_is_left_at_the_end_is_the_callers(background: Background) -> None:
    maker = Maker()
    stock = Prepared(maker.make, 3, background)
    await filled(stock, 3)
    assert await stock.stop() == [1, 2, 3]
    assert await stock.stop() == []
    await asyncio.sleep(0.1)
    assert maker.made == 3
