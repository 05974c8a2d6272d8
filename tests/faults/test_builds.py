"""Builds that are cut short, by each face: a client that vanishes, half a context, a full disk. The cache is whole afterwards."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound
from tests.archives import files
from tests.cutting import Wire
from tests.faults.steps import On, context, left_of_steps, running, wait_until
from tests.host import Daemon

pytestmark = pytest.mark.root


@pytest.fixture
def client(daemon: Daemon) -> Iterator[docker.DockerClient]:
    found = daemon.client()
    yield found
    found.close()


def test_a_client_that_vanishes_ends_its_build(
    by: On, daemon: Daemon, client: docker.DockerClient, tmp_path: Path
) -> None:
    face = by(daemon.url)
    marker = f"sleep\0{86400 + os.getpid()}"
    first = f"FROM busybox\nRUN echo {os.getpid()} {face.name} > /first\n"
    where = context(tmp_path / "c", {"Dockerfile": first + f"RUN {marker.replace(chr(0), ' ')}\n"})
    with face.started("-t", "cut:1", where) as building:
        wait_until(lambda: running(marker))
        building.kill()
    wait_until(lambda: not running(marker))
    wait_until(lambda: not left_of_steps(daemon))
    with pytest.raises(ImageNotFound):
        client.images.get("cut:1")
    made = face.build("-t", "cut:2", context(tmp_path / "c", {"Dockerfile": first}))
    assert made.cached == 1, "what was done is not done again"
    client.images.remove("cut:2")


def test_a_context_that_breaks_off_builds_nothing_and_is_sent_again(
    by: On, daemon: Daemon, client: docker.DockerClient, tmp_path: Path, scratch: Path
) -> None:
    content = os.urandom(24 << 20)
    text = "FROM busybox\nCOPY . /c\nRUN cat /c/big /c/later | sha256sum > /sum\n"
    where = context(tmp_path / "c", {"Dockerfile": text, "big": content, "later": b"and more"})
    with Wire(scratch / "wire", daemon.socket, limit=8 << 20) as wire:
        by(wire.url).refusal("-t", "cut:1", where)
        assert wire.broken.is_set()
    (scratch / "wire").unlink()
    wait_until(lambda: not left_of_steps(daemon))
    with pytest.raises(ImageNotFound):
        client.images.get("cut:1")
    made = by(daemon.url).build("-t", "cut:2", where)
    said = client.containers.run(made.image, ["cat", "/sum"], remove=True, network_mode="none")
    assert said.decode().split()[0] == hashlib.sha256(content + b"and more").hexdigest()
    client.images.remove("cut:2")


def post(daemon: Daemon, body: bytes) -> bytes:
    """What `POST /build` answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(daemon.socket))
        head = f"POST /build?t=cut:1 HTTP/1.0\r\nContent-Type: application/x-tar\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_a_tar_that_is_cut_is_the_callers_fault(daemon: Daemon) -> None:
    body = files({"Dockerfile": "FROM busybox\nCOPY big /big\n", "big": "x" * (1 << 20)})
    answer = post(daemon, body[: len(body) // 2])
    assert b"400" in answer.split(b"\r\n")[0]
    assert b"context" in answer
    wait_until(lambda: not left_of_steps(daemon))


@pytest.fixture(scope="module")
def small(scratch: Path, busybox_image: Path) -> Iterator[Daemon]:
    """A daemon whose data root has 48 MiB."""
    root = scratch / "small"
    (root / "data").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "small", root / "data"], check=True)
    try:
        with Daemon(root, f"dwf{os.getpid()}") as found:
            found.import_image(busybox_image, "busybox:latest")
            yield found
    finally:
        subprocess.run(["umount", "--lazy", root / "data"], check=True)


@dataclass(frozen=True)
class Full:
    """What fills the disk. `size` is that of the file `big` in the context, in MiB; `is_built` when the image is there before."""

    steps: str
    size: int = 0
    words: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    is_built: bool = False


FULL = {
    "in a command": Full("RUN dd if=/dev/zero of=/big bs=1M count=80\n"),
    "in a command after one that fits": Full("RUN head -c 32000000 /dev/urandom > /one\nRUN cat /one > /two\n"),
    "in the commit": Full("RUN cat /dev/zero > /big; true\n"),
    "in a copy": Full("COPY big /one\nCOPY big /two\nCOPY big /three\n", 14),
    "in the context": Full("COPY big /big\n", 64),
    "in an export": Full(
        "RUN head -c 30000000 /dev/urandom > /one\n", words=("-o", "type=oci,dest=/dev/null"), cannot=("classic",)
    ),
    "in the export of a cache": Full(
        "RUN head -c 30000000 /dev/urandom > /one\n",
        words=("--cache-to", "type=local,dest=cache,mode=max"),
        cannot=("classic",),
        is_built=True,
    ),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("full", FULL.values(), ids=FULL)
def test_a_full_disk_leaves_a_cache_that_is_whole(full: Full, by: On, small: Daemon, tmp_path: Path) -> None:
    face = by(small.url)
    if face.name in full.cannot:
        assert "unknown" in face.refusal(*full.words, str(tmp_path))
        return
    client = small.client()
    text = f"FROM busybox\nRUN echo kept {face.name} > /kept\n"
    where = context(tmp_path / "c", {"Dockerfile": text + full.steps, "big": os.urandom(full.size << 20)})
    try:
        assert "no space left" in face.refusal("-t", "full:1", *full.words, where).lower()
        wait_until(lambda: not left_of_steps(small))
        if full.is_built:
            said = client.containers.run("full:1", ["wc", "-c", "/one"], remove=True, network_mode="none")
            assert said == b"30000000 /one\n"
            client.images.remove("full:1")
        with pytest.raises(ImageNotFound):
            client.images.get("full:1")
        where = context(tmp_path / "c", {"Dockerfile": text + "COPY big /small\n", "big": b"b"})
        made = face.build("-t", "full:2", where)
        said = client.containers.run(made.image, ["cat", "/kept", "/small"], remove=True, network_mode="none")
        assert said.decode() == f"kept {face.name}\nb"
        assert face.build("-t", "full:2", where).cached == 2
        client.images.remove("full:2")
        wait_until(lambda: client.api.prune_builds(all=True) and not client.api.df()["BuildCache"])
    finally:
        client.close()
