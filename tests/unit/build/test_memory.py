"""What builds remember: rows that went are written again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dockwright.build.cache import memory
from dockwright.build.cache.memory import Memory
from dockwright.build.cache.records import BUILD_SCHEMA
from dockwright.build.solving.inputs import Inputs
from dockwright.store import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "db", [BUILD_SCHEMA])
    yield opened
    await opened.aclose()


def inputs(value: str) -> Inputs:
    found = Inputs("exec")
    found.add("the command", value)
    return found


async def test_what_a_step_read_is_known_to_the_next_process(database: Database) -> None:
    await Memory(database).keep_inputs("one", inputs("a"))
    found = await Memory(database).last_inputs("one")
    assert found is not None
    assert found.key == inputs("a").key
    assert await Memory(database).last_inputs("two") is None


async def test_a_row_that_was_tidied_away_is_written_when_its_step_is_built_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "INPUTS_LIMIT", 2)
    monkeypatch.setattr(memory, "_TIDY_EVERY", 4)
    kept = Memory(database)
    for step in ("one", "two", "three", "four"):  # the fourth is followed by a tidying
        await kept.keep_inputs(step, inputs(step))
    assert await kept.last_inputs("one") is None
    assert await kept.last_inputs("four") is not None
    assert kept._keys == {}  # it would hold every step that was ever built
    await kept.keep_inputs("one", inputs("one"))
    assert await kept.last_inputs("one") is not None


async def test_the_oldest_rows_go_when_they_take_too_much(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LIMIT_BYTES", 1500)
    monkeypatch.setattr(memory, "_TIDY_EVERY", 4)
    kept = Memory(database)
    for step in ("one", "two", "three", "four"):
        await kept.keep_inputs(step, inputs(secrets.token_hex(800)))
    assert [await kept.last_inputs(step) is not None for step in ("one", "two", "three", "four")] == [
        False,
        False,
        False,
        True,
    ]
    monkeypatch.setattr(memory, "LIMIT_BYTES", 10)
    for step in ("five", "six", "seven", "eight"):
        await kept.keep_inputs(step, inputs(secrets.token_hex(800)))
    assert await kept.last_inputs("seven") is None
    assert await kept.last_inputs("eight") is not None  # the last one is kept, however much it takes
