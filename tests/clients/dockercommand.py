"""The docker command as a person has it, with its plugins and a directory to build from."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 60


@dataclass
class Client:
    """The docker command with its plugins, and a directory to build from."""

    docker: str
    environment: dict[str, str]
    root: Path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def run(self, *arguments: str, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.docker, *arguments],
            cwd=self.root,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def build(self, *arguments: str, **environment: str) -> str:
        """What `docker build --progress plain` says of a build that works."""
        done = self.run("build", "--progress", "plain", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def says(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout
