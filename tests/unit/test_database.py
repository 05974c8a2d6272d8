"""The database: atomic changes, grouped commits, migrations."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dockwright.errors import Corrupt, Unavailable
from dockwright.store import Database, Schema

ONE = Schema("things", ["CREATE TABLE thing (name TEXT PRIMARY KEY)"])
TWO = Schema("things", [*ONE.versions, "ALTER TABLE thing ADD COLUMN size INTEGER DEFAULT 0"])


async def test_a_failing_change_is_rolled_back_alone(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "db", [ONE])

    def insert(name: str):  # type: ignore[no-untyped-def]
        return lambda connection: connection.execute("INSERT INTO thing VALUES (?)", (name,)) and None

    outcomes = await asyncio.gather(
        *(database.write(insert(name)) for name in ("a", "b", "a", "c")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), sqlite3.IntegrityError, type(None)]
    names = await database.read(lambda connection: connection.execute("SELECT name FROM thing ORDER BY 1").fetchall())
    assert names == [("a",), ("b",), ("c",)]
    await database.aclose()
    with pytest.raises(Unavailable):
        await database.read(lambda connection: None)


async def test_a_new_version_of_a_schema_is_brought_in_and_a_newer_state_is_refused(tmp_path: Path) -> None:
    for schema in (ONE, TWO):
        await (await Database.open(tmp_path / "db", [schema])).aclose()
    with pytest.raises(Corrupt, match="newer release"):
        await Database.open(tmp_path / "db", [ONE])


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"this is no database, and long enough to have a header" * 50)
    with pytest.raises(Corrupt):
        await Database.open(tmp_path / "db", [ONE])


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from dockwright.store import Database, Schema
async def main():
    database = await Database.open(Path({str(tmp_path / "db")!r}), [Schema("things", {list(ONE.versions)!r})])
    for number in range(100000):
        await database.write(lambda db: db.execute("INSERT INTO thing VALUES (?)", (str(number),)) and None)
        print(number, flush=True)
asyncio.run(main())
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 50:
            break
    os.kill(child.pid, signal.SIGKILL)
    answered = 50 + len(child.stdout.read().splitlines())
    child.wait()
    child.stdout.close()
    with sqlite3.connect(tmp_path / "db") as connection:
        kept = connection.execute("SELECT COUNT(*) FROM thing").fetchone()[0]
    connection.close()
    assert kept >= answered
