"""Debian's docker-cli, docker-buildx and docker-compose, as people have them: unpacked into a tree of their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench import debian

# Debian's releases whose clients are looked at: the stable one's, and the next one's, which are today's.
SUITES = ("trixie", "forky")
_PLUGINS = ("docker-buildx", "docker-compose")


@dataclass(frozen=True)
class Clients:
    """`docker` is Debian's; `plugins` the directory of buildx and compose."""

    docker: Path
    plugins: Path


def debian_clients(suite: str = "trixie") -> Clients:
    """The clients of a suite of Debian's; the test is skipped, with what is missing, where they cannot be had."""
    try:
        tree = debian.clients(suite)
    except debian.Missing as missing:
        pytest.skip(str(missing))
    found = Clients(tree / "usr/bin/docker", tree / "usr/libexec/docker/cli-plugins")
    for path in (found.docker, *(found.plugins / name for name in _PLUGINS)):
        if not os.access(path, os.X_OK):
            pytest.skip(f"{path} is missing in Debian's packages {', '.join(debian.CLIENTS)}")
    return found
