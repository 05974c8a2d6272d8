"""Debian's packages as trees of their own: fetched from its archive once, kept, and installed nowhere.

DOCKWRIGHT_TEST_CACHE says where they are kept (default /var/cache).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

FETCH_LIMIT_S = 90
CLIENTS = ("docker-cli", "docker-buildx", "docker-compose")
DAEMON = ("docker.io", "containerd", "runc")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


Found = TypeVar("Found")


class Missing(Exception):
    """They cannot be had: what is missing."""


def clients(suite: str) -> Path:
    """The tree of the docker command with its plugins. Raises `Missing`."""
    return tree(f"clients-{suite}", suite, CLIENTS)


def buildx(suite: str = "trixie") -> Path:
    """docker-buildx, which is a program too. Raises `Missing`."""
    return clients(suite) / "usr/libexec/docker/cli-plugins/docker-buildx"


def dockerd(suite: str) -> Path:
    """dockerd, with its containerd and runc in the same tree. Raises `Missing`."""
    return tree(f"daemon-{suite}", suite, DAEMON) / "usr/sbin/dockerd"


def fetch(what: Callable[[], Found]) -> Found | None:
    """`what` gives, before the run goes where there is no network; None, and why on stderr, when it cannot be had."""
    try:
        return what()
    except Missing as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return None


def tree(name: str, suite: str, packages: Sequence[str]) -> Path:
    """A directory with what is in `packages` of `suite`, kept as `name`. Raises `Missing`."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is missing: Debian's {', '.join(packages)} come with it")
    if not _KEYRING.exists():
        raise Missing(f"{_KEYRING} is missing: what Debian's archive sends is checked against it")
    folder = Path(os.environ.get("DOCKWRIGHT_TEST_CACHE", "/var/cache/dockwright-tests")) / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "tree").exists():
            _fetch(folder, suite, packages)
    return folder / "tree"


def _fetch(folder: Path, suite: str, packages: Sequence[str]) -> None:
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
    for command in (["update"], ["download", *packages]):
        if not _ran([*apt, *command], work):
            raise Missing(f"Debian's archive is out of reach: {', '.join(packages)} of {suite} are missing")
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
