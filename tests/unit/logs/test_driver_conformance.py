"""What every `LogDriver` does, whatever becomes of the records."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockwright.logs import LogInfo, Query, Record
from dockwright.logs.drivers import open_driver
from dockwright.logs.journald import JournaldDriver
from dockwright.logs.record import LogDriver, Readable

RECORDS = [
    Record("stdout", 1_000_000_001, b"one\n"),
    Record("stderr", 1_000_000_002, "zwei ü\n".encode()),
    Record("stdout", 1_000_000_003, b"\n"),
    Record("stdout", 1_000_000_004, b"unfinished"),
]

Open = Callable[[], LogDriver]


@pytest.fixture(params=["json-file", "local", "none", "syslog", "syslog-cached", "journald"])
def open_again(request: pytest.FixtureRequest, info: LogInfo, tmp_path: Path) -> Iterator[Open]:
    """Opens the driver, as often as wanted, on the same place."""
    family = socket.AF_UNIX if request.param == "journald" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        if family == socket.AF_UNIX:
            server.bind(str(tmp_path / "journal"))
        else:
            server.bind(("127.0.0.1", 0))
        name, _, cached = request.param.partition("-c")
        options = {}
        if name == "syslog":
            address = f"udp://127.0.0.1:{server.getsockname()[1]}"
            options = {"syslog-address": address, "cache-disabled": "false" if cached else "true"}

        def open_() -> LogDriver:
            if name == "journald":
                return JournaldDriver(info, {}, tmp_path / "journal")
            return open_driver(name, options, info)

        yield open_


def kept(driver: LogDriver) -> list[Record] | None:
    """What the driver can give back, None when it keeps nothing."""
    if not isinstance(driver, Readable):
        return None
    reader = driver.open_reader(Query())
    try:
        return list(reader.read())
    finally:
        reader.close()


def test_records_are_kept_in_order_or_not_at_all(open_again: Open) -> None:
    driver = open_again()
    driver.rewind(None)
    driver.write(RECORDS[:2])
    driver.write([])
    driver.write(RECORDS[2:])
    assert kept(driver) in (RECORDS, None)
    driver.close()


def test_closing_twice_is_fine_and_what_was_written_stays(open_again: Open) -> None:
    driver = open_again()
    driver.write(RECORDS)
    driver.close()
    driver.close()
    again = open_again()
    again.rewind(None)
    assert kept(again) in (RECORDS, None)
    again.close()


def test_the_next_process_goes_back_to_a_mark(open_again: Open) -> None:
    driver = open_again()
    driver.write(RECORDS[:1])
    mark = driver.mark()
    driver.write(RECORDS[1:])
    driver.close()
    again = open_again()
    again.rewind(mark)
    again.write(RECORDS[1:])
    assert kept(again) in (RECORDS, None)
    again.close()


def test_a_small_log_is_not_rotated(open_again: Open) -> None:
    driver = open_again()
    driver.write(RECORDS)
    assert driver.rotate_if_full() is False
    driver.close()


def test_the_name_is_what_inspect_shows(open_again: Open) -> None:
    driver = open_again()
    assert driver.name in ("json-file", "local", "none", "syslog", "journald")
    driver.close()
