"""Builds that are cut short: a client that vanishes, half a context, a full disk. The cache is whole afterwards."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import BuildError, ImageNotFound
from tests.faults.steps import left_of_steps, running
from tests.host import Daemon

pytestmark = pytest.mark.root

LIMIT_S = 60.0


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def context(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def post(daemon: Daemon, body: bytes, length: int) -> socket.socket:
    """`POST /build` with a body that promises `length` bytes."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(daemon.socket))
    connection.sendall(
        f"POST /build?t=cut:1 HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: {length}\r\n\r\n".encode()
        + body
    )
    return connection


@pytest.fixture
def client(daemon: Daemon) -> Iterator[docker.DockerClient]:
    found = daemon.client()
    yield found
    found.close()


def test_a_client_that_vanishes_ends_its_build(daemon: Daemon, client: docker.DockerClient) -> None:
    marker = f"sleep\0{86400 + os.getpid()}"
    text = f"FROM busybox\nRUN echo {os.getpid()} > /first\nRUN {marker.replace(chr(0), ' ')}\n".encode()
    body = context({"Dockerfile": text})
    connection = post(daemon, body, len(body))
    wait_until(lambda: running(marker))
    connection.close()
    wait_until(lambda: not running(marker))
    wait_until(lambda: not left_of_steps(daemon))
    with pytest.raises(ImageNotFound):
        client.images.get("cut:1")
    _, lines = client.images.build(fileobj=io.BytesIO(text[: text.rindex(b"RUN")]), tag="cut:2")
    assert any("Using cache" in line.get("stream", "") for line in lines), "what was done is not done again"
    client.images.remove("cut:2")


def test_half_a_context_builds_nothing(daemon: Daemon, client: docker.DockerClient) -> None:
    body = context({"Dockerfile": b"FROM busybox\nCOPY big /big\n", "big": os.urandom(1 << 20)})
    connection = post(daemon, body[: len(body) // 2], len(body))
    connection.shutdown(socket.SHUT_WR)
    with connection:
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert b"Successfully" not in answer
    wait_until(lambda: not left_of_steps(daemon))
    with pytest.raises(ImageNotFound):
        client.images.get("cut:1")
    cut = context({"Dockerfile": b"FROM busybox\nCOPY big /big\n", "big": os.urandom(1 << 20)})[: 1 << 19]
    with post(daemon, cut, len(cut)) as whole:
        answer = whole.recv(65536)
    assert b"400" in answer.split(b"\r\n")[0]
    assert b"context" in answer
    wait_until(lambda: not left_of_steps(daemon))


@pytest.fixture
def small(scratch: Path, busybox_image: Path) -> Iterator[Daemon]:
    """A daemon whose data root has 48 MiB."""
    root = scratch / "small"
    (root / "data").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "small", root / "data"], check=True)
    try:
        with Daemon(root, f"dwf{os.getpid()}") as running:
            running.import_image(busybox_image, "busybox:latest")
            yield running
    finally:
        subprocess.run(["umount", "--lazy", root / "data"], check=True)


@pytest.mark.timeout(240)
def test_a_full_disk_leaves_a_cache_that_is_whole(small: Daemon) -> None:
    client = small.client()
    try:
        for text in (
            b"FROM busybox\nRUN echo kept > /kept\nRUN dd if=/dev/zero of=/big bs=1M count=80\n",
            b"FROM busybox\nRUN echo kept > /kept\nRUN head -c 32000000 /dev/urandom > /one\nRUN cat /one > /two\n",
        ):
            with pytest.raises((BuildError, docker.errors.APIError)):
                client.images.build(fileobj=io.BytesIO(text), tag="full:1")
            wait_until(lambda: not left_of_steps(small))
            with pytest.raises(ImageNotFound):
                client.images.get("full:1")
        small.restart()
        client.api.prune_builds(all=True)
        text = b"FROM busybox\nRUN echo kept > /kept\nRUN head -c 1000000 /dev/zero > /small\n"
        client.images.build(fileobj=io.BytesIO(text), tag="full:2")
        assert (
            client.containers.run("full:2", ["sh", "-c", "cat /kept; wc -c < /small"], remove=True)
            == b"kept\n1000000\n"
        )
        _, lines = client.images.build(fileobj=io.BytesIO(text), tag="full:2")
        assert sum("Using cache" in line.get("stream", "") for line in lines) == 2
    finally:
        client.close()
