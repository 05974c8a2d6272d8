"""A file system that fills up, and has room again later."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dockwright.errors import HostFailure
from dockwright.logs import LogInfo, Logs, Query, Record

pytestmark = pytest.mark.root

STAMP = b"2016-10-06T00:17:09.669794202+00:00"
LINES = 3000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
async def logs() -> AsyncIterator[Logs]:
    logs = Logs()
    yield logs
    await logs.aclose()


async def everything(records: AsyncIterator[Record]) -> list[bytes]:
    return [record.data async for record in records]


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_what_did_not_fit_is_delivered_when_there_is_room(
    logs: Logs, small_disk: Path, tmp_path: Path, driver: str
) -> None:
    info = LogInfo("e" * 64, "/web", str(small_disk / "container"))
    spool = tmp_path / "spool"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 90_000)
    expected = [b"line %d of a log on a disk that is too small\n" % number for number in range(LINES)]
    spool.write_bytes(b"".join(b"%b stdout F %b" % (STAMP, line) for line in expected[:1000]))
    log = await logs.open(driver, {"max-size": "1m"}, info, spool=spool)
    log.start()
    seen = await everything(log.read(Query()))
    assert seen == expected[: len(seen)]
    assert len(seen) < 1000
    await log.end()
    assert spool.exists()
    await asyncio.to_thread(ballast.unlink)
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    with spool.open("ab") as more:
        more.write(b"".join(b"%b stdout F %b" % (STAMP, line) for line in expected[1000:]))
    log = await logs.open(driver, {"max-size": "1m"}, info, spool=spool)
    log.start()
    assert await everything(log.read(Query())) == expected
    await log.end()
    assert not spool.exists()


async def test_a_log_that_cannot_be_made_is_a_clear_error(logs: Logs, small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    info = LogInfo("e" * 64, "/web", str(small_disk / "container"))
    with pytest.raises(HostFailure, match=r"log of container eeeeeeeeeeee: .*Read-only file system"):
        await logs.open("json-file", {}, info, spool=tmp_path / "spool")
