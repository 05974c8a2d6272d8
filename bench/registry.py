"""A registry on loopback that both engines reach, and an image in it made of this host's own files."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isal import igzip_lib

from bench.http import Failed

PROGRAM = shutil.which("docker-registry") or ""
START_LIMIT_S = 20.0
_MIB = 1 << 20
_OCI = "application/vnd.oci.image."


class Registry:
    """Debian's docker-registry, running on `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def put_image(self, name: str, layers: Iterator[bytes]) -> None:
        """Push an image of these layer tars, compressed with gzip, as `name:latest`."""
        described, diff_ids = [], []
        for layer in layers:
            diff_ids.append(digest(layer))
            described.append(self._blob(name, _gzip(layer), f"{_OCI}layer.v1.tar+gzip"))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}manifest.v1+json",
            "config": self._blob(name, json.dumps(config).encode(), f"{_OCI}config.v1+json"),
            "layers": described,
        }
        self._put(f"/v2/{name}/manifests/latest", json.dumps(manifest).encode(), manifest["mediaType"])

    def _blob(self, name: str, content: bytes, media_type: str) -> dict[str, object]:
        connection = http.client.HTTPConnection(self.address)
        connection.request("POST", f"/v2/{name}/blobs/uploads/")
        location = connection.getresponse().getheader("Location") or ""
        connection.close()
        path = location.removeprefix(f"http://{self.address}")
        named = digest(content)
        self._put(f"{path}{'&' if '?' in path else '?'}digest={named}", content, "application/octet-stream")
        return {"mediaType": media_type, "digest": named, "size": len(content)}

    def _put(self, path: str, content: bytes, media_type: object) -> None:
        connection = http.client.HTTPConnection(self.address)
        connection.request("PUT", path, content, {"Content-Type": str(media_type)})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status >= 300:
            raise Failed(f"registry: {answer.status} {said.decode(errors='replace')}")


@contextmanager
def running(root: Path) -> Iterator[Registry]:
    """A registry of this run, its content below `root`."""
    if not PROGRAM:
        raise Failed("docker-registry is needed (Debian package docker-registry)")
    root.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{_free_port()}"
    settings = root / "registry.json"  # YAML reads JSON
    settings.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "error", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(root / "content")}},
                "http": {"addr": address},
            }
        )
    )
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", str(settings)], stdout=log, stderr=log)
    try:
        _wait(address, process)
        yield Registry(address)
    finally:
        process.terminate()
        process.wait()


def host_layers(count: int, each_mib: int) -> Iterator[bytes]:
    """Layer tars of this host's programs and libraries, each about `each_mib` MiB when compressed."""
    files = _host_files()
    for number in range(count):
        out = io.BytesIO()
        compressed = 0
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            _directory(tar, f"layer{number}")
            seen = {""}
            for path in files:
                folder = str(path.parent).strip("/")
                _parents(tar, f"layer{number}", folder, seen)
                content = path.read_bytes()
                member = tarfile.TarInfo(f"layer{number}/{folder}/{path.name}")
                member.size, member.mode, member.mtime = len(content), path.stat().st_mode & 0o777, 1_700_000_000
                tar.addfile(member, io.BytesIO(content))
                compressed += len(igzip_lib.compress(content, 1))
                if compressed >= each_mib * _MIB:
                    break
        yield out.getvalue()


def _host_files() -> Iterator[Path]:
    for top in ("/usr/lib", "/usr/bin", "/usr/share"):
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                with suppress(OSError):
                    if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size < 32 * _MIB:
                        yield path


def _parents(tar: tarfile.TarFile, below: str, folder: str, seen: set[str]) -> None:
    parts = folder.split("/")
    for count in range(1, len(parts) + 1):
        path = "/".join(parts[:count])
        if path not in seen:
            seen.add(path)
            _directory(tar, f"{below}/{path}")


def _directory(tar: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
    tar.addfile(member)


def _gzip(content: bytes) -> bytes:
    return bytes(igzip_lib.compress(content, 1, flag=igzip_lib.COMP_GZIP))


def digest(content: bytes) -> str:
    """The sha256 digest of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection((host, int(port)), 1).close()
            return
        time.sleep(0.05)
    raise Failed("docker-registry does not start")
