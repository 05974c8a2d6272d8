"""Servers of repositories that have to prove who they are, to whoever knows their keys."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.repositories import Repository

from dockwright.build.lending.lenders import LendsNothing
from dockwright.build.sources import Sources
from dockwright.build.sources.gitref import GitRef

# In ssh's place: notes how it was called and which hosts it was told of, then runs what would run on the server.
_SSH = """#!/bin/sh
echo "$@" >> {said}
for word; do case $word in UserKnownHostsFile=/dev/null) ;; UserKnownHostsFile=*) cat "${{word#*=}}" >> {said};; esac; done
for last; do :; done
exec sh -c "$last"
"""


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "sources").mkdir()
    return Sources(tmp_path / "sources")


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is noted."""
    (tmp_path / "bin").mkdir()
    program, found = tmp_path / "bin/ssh", tmp_path / "said"
    program.write_text(_SSH.format(said=found))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return found


async def test_only_known_servers_are_taken_where_any_is_known(tmp_path: Path, sources: Sources, said: Path) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.commit({"a": "A"})
    ref = GitRef(f"ssh://git@host.test{repository.root}/.git", known_hosts="host.test ssh-ed25519 AAAAkey\n")
    found = await sources.repositories.resolve(ref, LendsNothing())
    assert found.id == commit
    async with AsyncExitStack() as stack:
        root = await sources.repositories.checkout(stack, ref, found, LendsNothing())
        assert (root / "a").read_text() == "A"
    assert "StrictHostKeyChecking=yes" in said.read_text()
    assert "StrictHostKeyChecking=no" not in said.read_text()
    assert "host.test ssh-ed25519 AAAAkey" in said.read_text()


async def test_without_keys_any_server_is_taken(tmp_path: Path, sources: Sources, said: Path) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.commit({"a": "A"})
    ref = GitRef(f"ssh://git@host.test{repository.root}/.git")
    assert (await sources.repositories.resolve(ref, LendsNothing())).id == commit
    assert "StrictHostKeyChecking=no" in said.read_text()
