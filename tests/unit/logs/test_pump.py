"""The pump against a spool written by hand: deaths at every step, rotation, a full disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dockwright import faults
from dockwright.errors import HostFailure
from dockwright.logs import LogInfo
from dockwright.logs.drivers import open_driver
from dockwright.logs.files import FileDriver
from dockwright.logs.pump import Pump
from dockwright.logs.record import LogDriver, Query, Record

STAMP = b"2016-10-06T00:17:09.669794202+00:00"


class Writer:
    """Writes the spool as conmon does, and reopens it when told through the FIFO."""

    def __init__(self, spool: Path, control: Path) -> None:
        self.spool = spool
        self.control = control
        os.mkfifo(control)
        self._fifo = os.open(control, os.O_RDWR | os.O_NONBLOCK)
        self._fd = os.open(spool, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, data: bytes, stream: bytes = b"stdout") -> None:
        for line in data.splitlines(keepends=True):
            tag = b"F" if line.endswith(b"\n") else b"P"
            os.write(self._fd, b"%b %b %b %b\n" % (STAMP, stream, tag, line.removesuffix(b"\n")))

    def reopen_if_asked(self) -> bool:
        try:
            asked = os.read(self._fifo, 100)
        except BlockingIOError:
            return False
        assert asked == b"2 0 0\n" * (len(asked) // 6)
        os.close(self._fd)
        temporary = self.spool.with_name(self.spool.name + ".tmp")
        self._fd = os.open(temporary, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
        temporary.rename(self.spool)
        return True

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._fifo)


@pytest.fixture
def writer(tmp_path: Path):  # type: ignore[no-untyped-def]
    writer = Writer(tmp_path / "spool", tmp_path / "ctl")
    yield writer
    writer.close()


class Daemon:
    """A driver and a pump that can be killed and begun again."""

    def __init__(self, info: LogInfo, writer: Writer, options: dict[str, str] | None = None) -> None:
        self.info, self.writer, self.options = info, writer, options or {}
        self.begin()

    def begin(self) -> None:
        self.driver: LogDriver = open_driver("json-file", self.options, self.info)
        self.pump = Pump(self.writer.spool, self.driver, control=self.writer.control, rotate_bytes=2000)

    async def kill(self) -> None:
        await asyncio.to_thread(self.close)
        await asyncio.to_thread(self.begin)

    async def read(self) -> list[Record]:
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[Record]:
        assert isinstance(self.driver, FileDriver)
        reader = self.driver.open_reader(Query())
        try:
            return list(reader.read())
        finally:
            reader.close()

    def close(self) -> None:
        self.pump.close()
        self.driver.close()


@pytest.fixture
def daemon(info: LogInfo, writer: Writer):  # type: ignore[no-untyped-def]
    daemon = Daemon(info, writer)
    yield daemon
    daemon.close()


def text(records: Sequence[Record]) -> bytes:
    return b"".join(record.data for record in records)


async def test_lines_arrive_and_an_incomplete_one_at_the_end(daemon: Daemon, writer: Writer) -> None:
    writer.write(b"one\ntwo\nthr")
    assert await daemon.pump.pump() == 2
    writer.write(b"ee\nlast")
    assert await daemon.pump.pump() == 1
    assert await daemon.pump.pump(last=True) == 1
    assert text(await daemon.read()) == b"one\ntwo\nthree\nlast"
    await asyncio.to_thread(daemon.pump.clean)
    assert [path.name for path in writer.spool.parent.iterdir() if path.name.startswith("spool")] == []


@pytest.mark.parametrize("step", ["logs.position", "logs.rotate", "logs.reopen", "logs.switch"])
@pytest.mark.parametrize("passes", [1, 2, 5])
async def test_nothing_is_lost_or_doubled_when_the_daemon_dies_at(
    info: LogInfo, writer: Writer, step: str, passes: int
) -> None:
    daemon = await asyncio.to_thread(Daemon, info, writer, {"max-size": "3k", "max-file": "100"})
    left = [passes]

    def die() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise HostFailure("killed")

    expected = b""
    deaths = 0
    with faults.armed(step, die):
        for number in range(60):
            data = b"line %d %s\n" % (number, b"x" * 50) * 3 + b"par%d" % number
            expected += data
            writer.write(data)
            writer.write(b"err %d\n" % number, b"stderr")
            try:
                await daemon.pump.pump()
            except HostFailure:
                deaths += 1
                await daemon.kill()
            if number % 3 == 0:
                writer.reopen_if_asked()
        await daemon.pump.pump(last=True)
    records = await daemon.read()
    assert deaths == 1
    assert text([record for record in records if record.stream == "stdout"]) == expected
    assert text([record for record in records if record.stream == "stderr"]) == b"".join(
        b"err %d\n" % n for n in range(60)
    )
    await asyncio.to_thread(daemon.close)


async def test_the_spool_is_rotated_and_stays_small(daemon: Daemon, writer: Writer) -> None:
    reopened = 0
    for number in range(200):
        writer.write(b"line %d %s\n" % (number, b"x" * 80))
        await daemon.pump.pump()
        reopened += writer.reopen_if_asked()
    await daemon.pump.pump(last=True)
    assert reopened > 2
    assert writer.spool.stat().st_size < 6000
    assert not writer.spool.with_name("spool.old").exists()
    assert len(await daemon.read()) == 200


async def test_a_daemon_that_dies_while_cleaning_up_does_not_deliver_again(daemon: Daemon, writer: Writer) -> None:
    writer.write(b"one\n")
    await daemon.pump.pump(last=True)
    with faults.armed("logs.clean"), pytest.raises(HostFailure):
        await asyncio.to_thread(daemon.pump.clean)
    await daemon.kill()
    assert await daemon.pump.pump(last=True) == 0
    assert text(await daemon.read()) == b"one\n"


async def test_a_driver_that_fails_is_tried_again_and_nothing_is_lost(
    daemon: Daemon, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(b"one\n")
    await daemon.pump.pump()
    writer.write(b"two\nthr")
    write = daemon.driver.write

    def full(records: Sequence[Record]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(daemon.driver, "write", full)
    with pytest.raises(OSError, match="No space"):
        await daemon.pump.pump()
    monkeypatch.setattr(daemon.driver, "write", write)
    writer.write(b"ee\n")
    await daemon.pump.pump()
    assert text(await daemon.read()) == b"one\ntwo\nthree\n"


async def test_a_lost_spool_begins_anew(daemon: Daemon, writer: Writer) -> None:
    writer.write(b"one\n")
    await daemon.pump.pump()
    await asyncio.to_thread(daemon.close)
    for path in list(writer.spool.parent.glob("spool*")):
        path.unlink()
    await asyncio.to_thread(daemon.begin)
    writer.spool.write_bytes(b"%b stdout F two\n" % STAMP)
    await daemon.pump.pump()
    assert text(await daemon.read()) == b"one\ntwo\n"


async def test_a_spool_that_lost_its_end_in_a_power_cut_is_read_from_its_start(daemon: Daemon, writer: Writer) -> None:
    writer.write(b"one\n" * 50)
    await daemon.pump.pump()
    os.truncate(writer.spool, 0)
    await daemon.kill()
    writer.write(b"two\n")
    await daemon.pump.pump()
    assert text(await daemon.read()) == b"one\n" * 50 + b"two\n"


async def test_a_line_of_100_mb_goes_through_in_bounded_memory(daemon: Daemon, writer: Writer) -> None:
    import tracemalloc

    piece = b"%b stdout P %b\n" % (STAMP, b"z" * 8192)
    size = 20_000_000
    with writer.spool.open("ab") as spool:
        for _ in range(size // 8192):
            spool.write(piece)
        spool.write(b"%b stdout F end\n" % STAMP)
    tracemalloc.start()
    await daemon.pump.pump()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
    records = await daemon.read()
    assert records[-1].data.endswith(b"end\n")
    assert max(len(record.data) for record in records) <= 16 * 1024
