"""A volume plugin as a process of its own: `python volume_plugin.py SOCKET ROOT`. It keeps directories below ROOT.

Every request is written to ROOT/calls as a line of JSON. A volume made with the option `fail=VERB` fails in that verb.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """One request. State is on disk: a plugin may be killed and started again."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        verb = self.path.rpartition(".")[2]
        with (self.root / "calls").open("a") as calls:
            calls.write(json.dumps({"verb": verb, **body}) + "\n")
        try:
            answer = getattr(self, f"on_{verb.lower()}")(body)
        except LookupError as error:
            answer = {"Err": str(error.args[0])}
        raw = json.dumps({"Err": "", **answer}).encode()
        self.send_response(500 if answer.get("Err") else 200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    @property
    def root(self) -> Path:
        return Path(sys.argv[2])

    def volume(self, body: dict[str, Any], verb: str = "") -> Path:
        home = self.root / "volumes" / body["Name"]
        if not home.is_dir():
            raise LookupError(f"{body['Name']}: not here")
        options = json.loads((home / "options").read_text())
        if verb and options.get("fail") == verb:
            raise LookupError(f"{verb} was told to fail")
        return home

    def on_activate(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"Implements": ["VolumeDriver"]}

    def on_capabilities(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"Capabilities": {"Scope": "global"}}

    def on_create(self, body: dict[str, Any]) -> dict[str, Any]:
        options = body.get("Opts") or {}
        if "unknown" in options or options.get("fail") == "create":
            raise LookupError("the option is not known")
        home = self.root / "volumes" / body["Name"]
        if not home.is_dir():
            (home / "data").mkdir(parents=True)
            (home / "options").write_text(json.dumps(options))
        return {}

    def on_remove(self, body: dict[str, Any]) -> dict[str, Any]:
        shutil.rmtree(self.volume(body, "remove"))
        return {}

    def on_mount(self, body: dict[str, Any]) -> dict[str, Any]:
        home = self.volume(body, "mount")
        (home / f"used-{body['ID']}").touch()
        return {"Mountpoint": str(home / "data")}

    def on_unmount(self, body: dict[str, Any]) -> dict[str, Any]:
        (self.volume(body) / f"used-{body['ID']}").unlink(missing_ok=True)
        return {}

    def on_path(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"Mountpoint": str(self.volume(body) / "data")}

    def on_get(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"Volume": self.shown(self.volume(body))}

    def on_list(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"Volumes": [self.shown(home) for home in sorted((self.root / "volumes").glob("*"))]}

    def shown(self, home: Path) -> dict[str, Any]:
        return {
            "Name": home.name,
            "Mountpoint": str(home / "data"),
            "CreatedAt": "2024-01-02T03:04:05Z",
            "Status": {"kept": "by the test plugin"},
        }

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class Plugin:
    """The process, seen from a test."""

    def __init__(self, socket: Path, root: Path) -> None:
        self.socket = socket
        self.root = root
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.root / "volumes").mkdir(parents=True, exist_ok=True)
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.socket), str(self.root)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def calls(self, verb: str = "") -> list[dict[str, Any]]:
        """What it was asked, oldest first."""
        path = self.root / "calls"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [call for call in found if not verb or call["verb"] == verb]

    def users(self, name: str) -> list[str]:
        """For whom a volume is mounted."""
        found = (self.root / "volumes" / name).glob("used-*")
        return sorted(path.name.removeprefix("used-") for path in found)

    def __enter__(self) -> Plugin:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _Server(sys.argv[1], Handler) as server:
        os.write(1, b"ready\n")
        server.serve_forever()


if __name__ == "__main__":
    main()
