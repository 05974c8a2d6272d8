from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dockwright.logs.codec import Frames, JsonLines
from dockwright.logs.files import FileDriver
from dockwright.logs.record import Query, Record
from dockwright.logs.rotating import Limits


def lines(first: int, last: int, stream: str = "stdout") -> list[Record]:
    return [Record(stream, number * 1000, b"line %d\n" % number) for number in range(first, last)]


@pytest.fixture(params=["json", "json-gz", "local", "local-gz"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> FileDriver:
    codec = JsonLines({"team": "red"}) if request.param.startswith("json") else Frames()
    limits = Limits(2000, 4, compress=request.param.endswith("gz"))
    return FileDriver("test", tmp_path / "c.log", limits, codec, {})


def fill(driver: FileDriver, count: int, batch: int = 7) -> None:
    for start in range(0, count, batch):
        driver.write(lines(start, min(count, start + batch)))
        driver.rotate_if_full()


def read(driver: FileDriver, **query: object) -> list[Record]:
    reader = driver.open_reader(Query(**query))  # type: ignore[arg-type]
    try:
        return list(reader.read())
    finally:
        reader.close()


def test_files_are_rotated_and_the_oldest_go(driver: FileDriver, tmp_path: Path) -> None:
    fill(driver, 1000)
    found = read(driver)
    assert found == lines(1000 - len(found), 1000)
    assert len(found) < 500
    names = sorted(path.name for path in tmp_path.iterdir())
    suffix = ".gz" if any(name.endswith(".gz") for name in names) else ""
    assert names == ["c.log", *(f"c.log.{age}{suffix}" for age in (1, 2, 3))]
    driver.close()


@pytest.mark.parametrize("tail", [0, 1, 5, 50, 100, 10_000])
def test_a_tail_is_the_last_records_across_files(driver: FileDriver, tail: int) -> None:
    fill(driver, 400)
    everything = read(driver)
    assert read(driver, tail=tail) == everything[len(everything) - min(tail, len(everything)) :]
    driver.close()


def test_a_tail_of_one_stream_counts_that_stream(driver: FileDriver) -> None:
    driver.write([*lines(0, 5), *lines(5, 8, "stderr"), *lines(8, 9)])
    assert read(driver, tail=2, stdout=False) == lines(6, 8, "stderr")
    assert read(driver, tail=2, stderr=False) == [*lines(4, 5), *lines(8, 9)]
    driver.close()


def test_times_bound_what_is_read(driver: FileDriver) -> None:
    driver.write(lines(0, 20))
    assert read(driver, since_ns=5000, until_ns=8000) == lines(5, 9)
    assert read(driver, until_ns=8000, tail=2) == lines(7, 9)
    driver.close()


def test_a_reader_goes_on_where_it_was_across_rotation(driver: FileDriver) -> None:
    reader = driver.open_reader(Query(follow=True))
    seen: list[Record] = []
    for start in range(0, 300, 10):
        driver.write(lines(start, start + 10))
        if start % 20 == 0:
            seen += reader.read()
        driver.rotate_if_full()
    seen += reader.read()
    assert seen == lines(0, 300)
    reader.close()
    driver.close()


def test_a_reader_that_starts_before_anything_is_written_sees_it(driver: FileDriver) -> None:
    reader = driver.open_reader(Query(follow=True, tail=0))
    assert list(reader.read()) == []
    driver.write(lines(0, 3))
    assert list(reader.read()) == lines(0, 3)
    reader.close()
    driver.close()


def test_a_reader_ends_at_until(driver: FileDriver) -> None:
    reader = driver.open_reader(Query(follow=True, until_ns=1500))
    driver.write(lines(0, 3))
    assert list(reader.read()) == lines(0, 2)
    assert reader.finished
    reader.close()
    driver.close()


def test_what_came_after_a_mark_is_forgotten(driver: FileDriver) -> None:
    driver.write(lines(0, 3))
    mark = driver.mark()
    driver.write(lines(3, 5))
    driver.rewind(mark)
    driver.write(lines(3, 4))
    assert read(driver) == lines(0, 4)
    driver.close()


@pytest.mark.parametrize("codec", [JsonLines(), Frames()])
def test_a_torn_end_is_mended(tmp_path: Path, codec: JsonLines | Frames) -> None:
    path = tmp_path / "c.log"
    data = codec.encode(lines(0, 9))
    path.write_bytes(data[:-5])
    driver = FileDriver("test", path, Limits(100_000, 3), codec, {})
    driver.rewind(None)
    driver.write(lines(9, 12))
    assert read(driver) == [*lines(0, 8), *lines(9, 12)]
    driver.close()


def test_old_files_are_plain_gzip(tmp_path: Path) -> None:
    driver = FileDriver("test", tmp_path / "c.log", Limits(500, 3, compress=True), JsonLines(), {})
    fill(driver, 30)
    driver.close()
    assert gzip.decompress((tmp_path / "c.log.1.gz").read_bytes()).startswith(b'{"log":"line ')


def test_one_file_only_begins_anew_when_full(tmp_path: Path) -> None:
    driver = FileDriver("test", tmp_path / "c.log", Limits(500, 1), JsonLines(), {})
    fill(driver, 100)
    assert 0 < len(read(driver)) < 20
    assert [path.name for path in tmp_path.iterdir()] == ["c.log"]
    driver.close()
    driver.close()
