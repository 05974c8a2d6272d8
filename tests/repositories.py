"""Git repositories for tests: made on the spot, and served over HTTP by git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.webserver import Exchange, WebServer

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in {
        "NAME": "A", "EMAIL": "a@a.test", "DATE": "2024-05-06T07:08:09Z"}.items()},
}  # fmt: skip
COMMIT_TIME = 1714979289


class Repository:
    """A repository with a work tree."""

    def __init__(self, root: Path) -> None:
        if shutil.which("git") is None:
            pytest.skip("git is missing")
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    @property
    def url(self) -> str:
        """Its address on this host."""
        return f"file://{self.root}"

    def git(self, *arguments: str) -> str:
        """What git says."""
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.root,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str], *, tag: str = "", message: str = "m") -> str:
        """A commit with these files changed; its ID."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if name.endswith(".sh"):
                path.chmod(0o755)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        if tag:
            self.git("tag", "-a", "-m", tag, tag)
        return self.git("rev-parse", "HEAD")


class Server(WebServer):
    """Serves repositories over HTTP with git's own program, each as `/NAME.git`; `authorization` is asked for when it is set."""

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.repositories: dict[str, Repository] = {}
        self.authorization = ""

    def address(self, name: str) -> str:
        return f"{self.url}/{name}.git"

    def _serve(self, exchange: Exchange) -> None:
        name, _, rest = exchange.path.removeprefix("/").partition(".git")
        if name not in self.repositories:
            exchange.send(404)
            return
        if self.authorization and exchange.headers.get("Authorization") != self.authorization:
            exchange.send(401, {"WWW-Authenticate": "Basic"})
            return
        done = subprocess.run(
            ["git", "-c", "uploadpack.allowReachableSHA1InWant=true", "http-backend"],
            input=exchange.read(),
            env={
                **_ENVIRONMENT,
                "GIT_PROJECT_ROOT": str(self.repositories[name].root / ".git"),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": rest,
                "REQUEST_METHOD": exchange.method,
                "QUERY_STRING": "&".join(f"{key}={value}" for key, value in exchange.query.items()),
                "CONTENT_TYPE": exchange.headers.get("Content-Type") or "",
                "HTTP_CONTENT_ENCODING": exchange.headers.get("Content-Encoding") or "",
                "GIT_PROTOCOL": exchange.headers.get("Git-Protocol") or "",
            },
            capture_output=True,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200 OK").partition(" ")[0])
        exchange.send(status, headers, body)
