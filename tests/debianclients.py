"""Debian's docker-cli, docker-buildx and docker-compose, as people have them: unpacked into a tree of their own.

Fetched from Debian's archive once, and kept; nothing is installed. DOCKWRIGHT_TEST_CACHE says where (default /var/cache).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

# Debian's releases whose clients are looked at: the stable one's, and the next one's, which are today's.
SUITES = ("trixie", "forky")
PACKAGES = ("docker-cli", "docker-buildx", "docker-compose")
FETCH_LIMIT_S = 90
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PLUGINS = ("docker-buildx", "docker-compose")


@dataclass(frozen=True)
class Clients:
    """`docker` is Debian's; `plugins` the directory of buildx and compose."""

    docker: Path
    plugins: Path


def debian_clients(suite: str) -> Clients:
    """The clients of a suite of Debian's; the test is skipped, with what is missing, where they cannot be had."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: Debian's docker-buildx and docker-compose come with it")
    if not _KEYRING.exists():
        pytest.skip(f"{_KEYRING} is missing: what Debian's archive sends is checked against it")
    folder = Path(os.environ.get("DOCKWRIGHT_TEST_CACHE", "/var/cache/dockwright-tests")) / f"clients-{suite}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "tree").exists():
            _fetch(folder, suite)
    found = Clients(folder / "tree/usr/bin/docker", folder / "tree/usr/libexec/docker/cli-plugins")
    for path in (found.docker, *(found.plugins / name for name in _PLUGINS)):
        if not os.access(path, os.X_OK):
            pytest.skip(f"{path} is missing in Debian's packages {', '.join(PACKAGES)}")
    return found


def _fetch(folder: Path, suite: str) -> None:
    """Download and unpack; the tree is there whole or not at all."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "lists/partial").mkdir(parents=True)
    (work / "archives/partial").mkdir(parents=True)
    sources = work / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] http://deb.debian.org/debian {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": work,
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    for command in (["update"], ["download", *PACKAGES]):
        if not _ran([*apt, *command], work):
            pytest.skip(f"Debian's archive is out of reach: {', '.join(PACKAGES)} of {suite} are missing")
    for package in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, work / "tree"], check=True, timeout=FETCH_LIMIT_S)
    (work / "tree").rename(folder / "tree")
    shutil.rmtree(work)


def _ran(argv: list[str], where: Path) -> bool:
    try:
        done = subprocess.run(argv, cwd=where, capture_output=True, check=False, timeout=FETCH_LIMIT_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
