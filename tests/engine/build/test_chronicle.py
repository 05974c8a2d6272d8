"""Records of builds: kept, limited in number and age, found again by another engine on the same data."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dockwright.build.chronicle import HISTORY_SCHEMA, KEPT_RECORDS, KEPT_S, Chronicle, Record
from dockwright.errors import NotFound
from dockwright.oci import digest as digests
from dockwright.store import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = await Database.open(tmp_path / "state.db", [HISTORY_SCHEMA])
    yield found
    await found.aclose()


def _record(name: str, *, age_s: float = 0.0, pinned: bool = False) -> Record:
    return Record(name, time.time_ns() - int(age_s * 1e9), pinned, name.encode())


async def test_a_record_is_found_with_its_log_and_its_documents(database: Database) -> None:
    history = Chronicle(database)
    assert await history.add(_record("one"), b"log " * 1000, [b"document"]) == []
    again = Chronicle(database)
    assert [one.content for one in await again.all()] == [b"one"]
    assert await again.log("one") == b"log " * 1000
    assert await again.document(digests.of(b"document")) == b"document"
    assert await again.document(digests.of(b"log " * 1000)) == b"log " * 1000
    await again.remove("one")
    assert await again.all() == []
    assert await again.log("one") is None
    assert await again.document(digests.of(b"document")) is None
    with pytest.raises(NotFound, match="no record of the build one"):
        await again.remove("one")


async def test_the_newest_stay_and_those_that_are_pinned(database: Database) -> None:
    history = Chronicle(database)
    await history.add(_record("first", age_s=200), b"")
    await history.pin("first", True)
    for number in range(KEPT_RECORDS):
        assert await history.add(_record(f"build-{number}", age_s=100 - number), b"") == []
    assert await history.add(_record("last"), b"") == ["build-0"]
    names = [one.ref for one in await history.all()]
    assert names[0] == "last"
    assert names[-1] == "first"
    assert len(names) == KEPT_RECORDS + 1
    with pytest.raises(NotFound):
        await history.pin("nobody", True)


async def test_what_is_too_old_is_not_listed_and_goes_with_the_next_build(database: Database) -> None:
    history = Chronicle(database)
    await history.add(_record("fresh"), b"")
    assert await history.add(_record("old", age_s=KEPT_S + 60), b"") == ["old"]
    await history.add(_record("older", age_s=KEPT_S + 60, pinned=True), b"")
    assert [one.ref for one in await history.all()] == ["fresh", "older"]
    await history.pin("older", False)
    assert [one.ref for one in await history.all()] == ["fresh"]
    assert await history.add(_record("new"), b"") == ["older"]
