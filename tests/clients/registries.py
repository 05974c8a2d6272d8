"""Registries of every kind, and a daemon that knows them: one set for a module of tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.host import Daemon
from tests.registries import Registry, registry

OURS = [sys.executable, "-m", "dockwright.cli"]


@dataclass(frozen=True)
class World:
    """`plain` takes anybody; `locked` wants a password, `token` has a token server, `tls` a certificate of its own."""

    daemon: Daemon
    plain: Registry
    locked: Registry
    token: Registry
    tls: Registry

    def __getitem__(self, kind: str) -> Registry:
        found: Registry = getattr(self, kind)
        return found


@contextmanager
def world(root: Path, busybox: Path, bridge: str) -> Iterator[World]:
    """Everything below `root`."""
    with (
        registry(root / "plain") as plain,
        registry(root / "locked", auth="htpasswd") as locked,
        registry(root / "token", auth="token") as token,
        registry(root / "tls", auth="htpasswd", tls=True) as tls,
        Daemon(root / "daemon", bridge, f"--registry-certs-dir={tls.certs_dir}") as daemon,
    ):
        daemon.import_image(busybox, "busybox:latest")
        yield World(daemon, plain, locked, token, tls)


class Client:
    """One command line, Docker's or ours, with a home of its own."""

    def __init__(self, program: list[str], daemon: Daemon, home: Path) -> None:
        self.program = program
        self.home = home
        home.mkdir(exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DOCKER_CONFIG": str(home / "config"),
            "DOCKER_HOST": daemon.url,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def __call__(self, *words: str, check: bool = True, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.program, *words], env=self.environment, input=stdin, capture_output=True, timeout=120
        )
        found = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        )
        assert not check or done.returncode == 0, f"{words}: {found.stdout}{found.stderr}"
        return found

    def login(self, server: Registry) -> None:
        self("login", "-u", server.username, "--password-stdin", server.host, stdin=server.password.encode())
