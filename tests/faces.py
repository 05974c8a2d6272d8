"""The three ways into the builder, each as the program with which people take it.

classic   `POST /build`, by the docker CLI without buildx
buildx    BuildKit's protocol, by Debian's docker-buildx
ours      BuildKit's protocol, by `dockwright build`
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.debianclients import debian_clients

FACES = ("classic", "buildx", "ours")
LIMIT_S = 300
_PLAIN = ("--progress", "plain", "--provenance", "false")  # what attests is no part of the image that is compared


@dataclass(frozen=True)
class Made:
    """An image, and all that was said while it was built."""

    image: str
    said: str

    @property
    def cached(self) -> int:
        """How many steps were taken from the cache."""
        return self.said.count("Using cache") + self.said.count(" CACHED\n")


@dataclass(frozen=True)
class Face:
    """A program that builds; all of them have the same options, as far as they can say the thing at all."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    home: Path

    def build(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Made:
        """Build; the build must work."""
        path = self.home / "iid"
        done = self.ask("--iidfile", str(path), *arguments, stdin=stdin, **environment)
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, said
        return Made(path.read_text(), said)

    def refusal(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        """What is said of a build that must not work."""
        done = self.ask(*arguments, stdin=stdin, **environment)
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode != 0, said
        return said

    def ask(self, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run the program to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.home,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )

    def started(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """The program, running; what it says goes to its stdout. Its owner ends it."""
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.home,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


def face(name: str, url: str, home: Path) -> Face:
    """The face of that name on the engine at `url`; `home` is a directory of its own. Skips where a program is missing."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DOCKER_CONFIG": str(home / "config"),
        "DOCKER_HOST": url,
        "DOCKER_CLI_HINTS": "false",
    }
    if name == "ours":
        environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "DOCKER_BUILDKIT": "1"}
        return Face(name, (sys.executable, "-m", "dockwright.cli", "build", *_PLAIN), environment, home)
    if name == "classic":
        program = shutil.which("docker")
        if program is None:
            pytest.skip("the docker command is missing")
        return Face(name, (program, "build"), environment | {"DOCKER_BUILDKIT": "0"}, home)
    clients = debian_clients()
    environment |= {"BUILDX_CONFIG": str(home / "buildx"), "DOCKER_BUILDKIT": "1"}
    # The plugin by itself, and not below the docker command: who kills it kills all of the client.
    return Face(name, (str(clients.plugins / "docker-buildx"), "build", *_PLAIN), environment, home)
