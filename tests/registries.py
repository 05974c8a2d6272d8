"""Real registries for tests: Debian's `docker-registry` on loopback, with passwords, tokens or TLS.

    with registry(tmp_path) as running:                                plain HTTP
    with registry(tmp_path, auth="htpasswd") as running:               running.username, running.password
    with registry(tmp_path, auth="token") as running:                  running.tokens is the token server
    with registry(tmp_path, tls=True) as running:                      running.certs_dir for RegistryOptions(certs_dirs=…)
    with registry(tmp_path, tls=True, client_certificates=True) as …   the same, and nobody else is let in

`running.host` is `127.0.0.1:PORT`; `running.requests()` is what the registry was asked, in order.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from dockwright.credentials import Credentials
from tests.certificates import Authority
from tests.tokenserver import TokenServer

START_LIMIT_S = 20.0
USERNAME, PASSWORD = "alice", "open sesame: ü"

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
_ACCESS = re.compile(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d+)')


@dataclass(frozen=True)
class Asked:
    """One request that a registry has answered."""

    method: str
    path: str
    status: int


@dataclass
class Registry:
    """A running `docker-registry`."""

    root: Path
    config: dict[str, Any]
    username: str = ""
    password: str = ""
    certs_dir: Path | None = None
    tokens: TokenServer | None = None
    ssl: ssl.SSLContext | None = None
    host: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"{'https' if self.certs_dir else 'http'}://{self.host}"

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.username, self.password)

    @property
    def log(self) -> Path:
        return self.root / "registry.log"

    def name(self, repository: str) -> str:
        """The name of an image in it: `127.0.0.1:PORT/repository`."""
        return f"{self.host}/{repository}"

    def requests(self) -> list[Asked]:
        """What was asked and answered so far."""
        return [Asked(m[1], m[2], int(m[3])) for m in _ACCESS.finditer(self.log.read_text(errors="replace"))]

    def start(self) -> None:
        """Start it, again on the same port after `stop`."""
        config = self.root / "config.json"  # JSON is YAML
        config.write_text(json.dumps(self.config))
        offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program(), "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            text = self.log.read_bytes()[offset:].decode(errors="replace")
            if match := _LISTENING.search(text):
                self.host = match[1]
                self.config["http"]["addr"] = self.host
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"docker-registry did not start: {self.log.read_text()[-2000:]}")

    def stop(self, how: int = signal.SIGKILL) -> None:
        """End it. Safe to call twice."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def program() -> str:
    """The registry's program; the test is skipped where it is not installed."""
    path = shutil.which("docker-registry")
    if path is None:
        pytest.skip("the Debian package docker-registry is missing")
    return path


@contextmanager
def registry(
    root: Path,
    *,
    auth: Literal["", "htpasswd", "token"] = "",
    tls: bool = False,
    client_certificates: bool = False,
    mirror_of: str = "",
) -> Iterator[Registry]:
    """A registry with its storage below `root`, which must be empty or a registry's of before."""
    program()
    root.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "formatter": "text"},
        "storage": {"filesystem": {"rootdirectory": str(root / "storage")}, "delete": {"enabled": True}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if mirror_of:
        config["proxy"] = {"remoteurl": mirror_of}
    running = Registry(root, config)
    with ExitStack() as stack:
        if tls:
            _add_tls(running, Authority(root / "tls"), client_certificates)
        if auth == "htpasswd":
            _add_passwords(running)
        if auth == "token":
            _add_tokens(running, stack)
        stack.callback(running.stop)
        running.start()
        if running.certs_dir is not None:
            (running.certs_dir / running.host).symlink_to(running.root / "tls" / "certs.d")
        yield running


def _add_tls(running: Registry, authority: Authority, client_certificates: bool) -> None:
    certificate, key = authority.server("127.0.0.1", "localhost")
    tls: dict[str, Any] = {"certificate": str(certificate), "key": str(key)}
    folder = running.root / "tls" / "certs.d"
    folder.mkdir()
    shutil.copy(authority.certificate, folder / "ca.crt")
    if client_certificates:
        tls["clientcas"] = [str(authority.certificate)]
        mine, my_key = authority.client("tester")
        shutil.copy(mine, folder / "client.cert")
        shutil.copy(my_key, folder / "client.key")
    running.config["http"]["tls"] = tls
    running.certs_dir = running.root / "certs"
    running.certs_dir.mkdir()


def _add_passwords(running: Registry) -> None:
    if shutil.which("htpasswd") is None:
        pytest.skip("htpasswd (the Debian package apache2-utils) is missing")
    made = subprocess.run(
        ["htpasswd", "-Bbn", USERNAME, PASSWORD], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    path = running.root / "htpasswd"
    path.write_bytes(made.stdout.strip() + b"\n")
    running.config["auth"] = {"htpasswd": {"realm": "tests", "path": str(path)}}
    running.username, running.password = USERNAME, PASSWORD


def _add_tokens(running: Registry, stack: ExitStack) -> None:
    server = stack.enter_context(TokenServer(running.root / "tokens", {USERNAME: PASSWORD}))
    running.tokens = server
    running.config["auth"] = {
        "token": {
            "realm": server.realm,
            "service": server.service,
            "issuer": server.issuer,
            "rootcertbundle": str(server.certificate),
        }
    }
    running.username, running.password = USERNAME, PASSWORD
