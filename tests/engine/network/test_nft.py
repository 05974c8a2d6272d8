"""Transactions against the kernel, in a table of the test's own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from dockwright import workers
from dockwright.network.nft import Nft, NftError

pytestmark = pytest.mark.root


@pytest.fixture
async def nft() -> AsyncIterator[Nft]:
    nft = Nft()
    yield nft
    await workers.quick(nft.close)


@pytest.fixture
async def table(nft: Nft) -> AsyncIterator[str]:
    name = "dwt_" + secrets.token_hex(4)
    await nft.run(f"add table inet {name}\nadd set inet {name} ports {{ type inet_service; }}")
    yield name
    await nft.run(f"delete table inet {name}")


async def elements(nft: Nft, table: str) -> set[int]:
    entries = await nft.read(f"list set inet {table} ports")
    return {port for entry in entries if "set" in entry for port in entry["set"].get("elem", ())}


async def test_a_refused_transaction_changes_nothing_and_says_why(nft: Nft, table: str) -> None:
    with pytest.raises(NftError, match=r"nftables: .*No such file") as refused:
        await nft.run(f"add element inet {table} ports {{ 1 }}\ndelete element inet {table} ports {{ 2 }}")
    assert refused.value.absent
    assert await elements(nft, table) == set()
    with pytest.raises(NftError, match="syntax error"):
        await nft.run("make it so")


async def test_callers_share_a_transaction_and_only_the_refused_one_hears_of_it(nft: Nft, table: str) -> None:
    commands = [f"add element inet {table} ports {{ {number} }}" for number in range(1, 50)]
    commands[20] = f"delete element inet {table} ports {{ 999 }}"
    results = await asyncio.gather(*map(nft.run, commands), return_exceptions=True)
    assert [number for number, result in enumerate(results) if result is not None] == [20]
    assert await elements(nft, table) == set(range(1, 50)) - {21}


async def test_a_cancelled_caller_does_not_disturb_the_others(nft: Nft, table: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(nft.run(f"add element inet {table} ports {{ {n} }}")) for n in range(1, 10)]
        await asyncio.sleep(0)
        waiting[4].cancel()
    assert await elements(nft, table) >= set(range(1, 10)) - {5}
