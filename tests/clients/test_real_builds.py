"""Builds as people have them: Debian with apt, C linked into nothing but itself, Python with a cache for pip."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import docker
import pytest

from tests.host import Daemon
from tests.repositories import Repository, Server
from tests.webserver import Exchange, WebServer

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

# Every Dockerfile here begins with it, and only the first of them runs it.
TOOLS = """\
FROM debian:test AS tools
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \\
    apt-get update -qq && apt-get install -qq -y --no-install-recommends gcc libc6-dev python3-pip >/dev/null
"""
PROGRAM = r"""
#include <stdio.h>
int main(void) { puts("from " WHERE); return 0; }
"""


@pytest.fixture(scope="module")
def client(scratch: Path, debian: Path) -> Iterator[docker.DockerClient]:
    """A daemon that has `debian:test`."""
    with Daemon(scratch / "real", f"dwq{os.getpid()}") as running:
        running.import_image(debian, "debian:test")
        found = docker.DockerClient(base_url=running.url, version="1.51", timeout=600)
        yield found
        found.close()


def context(files: dict[str, str]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    out.seek(0)
    return out


def built(client: docker.DockerClient, files: dict[str, str], **options: object) -> str:
    """The image's ID."""
    image, _ = client.images.build(fileobj=context(files), custom_context=True, **options)
    return str(image.id)


def run(client: docker.DockerClient, image: str, *command: str) -> str:
    return bytes(client.containers.run(image, list(command) or None, remove=True)).decode()


def test_packages_come_from_the_archive(client: docker.DockerClient) -> None:
    image = built(client, {"Dockerfile": TOOLS})
    assert "gcc" in run(client, image, "gcc", "--version")
    assert run(
        client, image, "sh", "-c", "ls /var/lib/apt/lists /var/cache/apt | grep -v :; dpkg -s gcc | head -1"
    ).endswith("Package: gcc\n")


def test_a_program_in_c_needs_nothing_beside_it(client: docker.DockerClient) -> None:
    text = (
        TOOLS + 'COPY main.c /src/\nARG WHERE\nRUN gcc -static -O1 -DWHERE="\\"$WHERE\\"" -o /out /src/main.c\n'
        'FROM scratch\nCOPY --from=tools /out /program\nENTRYPOINT ["/program"]\n'
    )
    image = built(client, {"Dockerfile": text, "main.c": PROGRAM}, buildargs={"WHERE": "scratch"})
    assert run(client, image) == "from scratch\n"
    assert len(client.images.get(image).attrs["RootFS"]["Layers"]) == 1


def wheel() -> bytes:
    """A package of one module."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("greeting.py", "def greet():\n    return 'hello from a wheel'\n")
        info = "greeting-1.0.dist-info"
        packed.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        packed.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{info}/RECORD", f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return out.getvalue()


def test_a_python_application_fetches_its_packages_once(client: docker.DockerClient) -> None:
    content = wheel()
    name = "greeting-1.0-py3-none-any.whl"

    def index(exchange: Exchange) -> None:
        if exchange.path == "/simple/greeting/":
            link = f'<a href="/files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
            exchange.send(
                200, {"Content-Type": "text/html"}, f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
            )
        elif exchange.path == f"/files/{name}":
            exchange.send(200, {"Cache-Control": "max-age=31536000", "Date": formatdate(usegmt=True)}, content)
        else:
            exchange.send(404)

    with WebServer(index) as server:
        text = (
            TOOLS + f"WORKDIR /app\nCOPY requirements.txt .\nRUN --mount=type=cache,target=/root/.cache/pip"
            f" pip install -q --break-system-packages --trusted-host 127.0.0.1 --index-url {server.url}/simple/ -r requirements.txt\n"
            'COPY app.py .\nCMD ["python3", "app.py"]\n'
        )
        files = {
            "Dockerfile": text,
            "requirements.txt": "greeting==1.0\n",
            "app.py": "import greeting\nprint(greeting.greet())\n",
        }
        image = built(client, files, network_mode="host")
        assert run(client, image) == "hello from a wheel\n"
        again = built(client, files | {"requirements.txt": "greeting==1.0 # again\n"}, network_mode="host")
        assert run(client, again) == "hello from a wheel\n"
        assert len(server.asked("GET /files/")) == 1
        changed = built(client, files | {"app.py": "print('changed')\n"}, network_mode="host")
        assert run(client, changed) == "changed\n"
    assert run(client, image, "sh", "-c", "ls -A /root/.cache 2>/dev/null | wc -l") == "0\n"


def test_a_repository_is_a_context(client: docker.DockerClient, tmp_path: Path) -> None:
    with Server() as server:
        server.repositories["app"] = one = Repository(tmp_path / "app")
        one.commit({"in/Dockerfile": "FROM debian:test\nCOPY a.txt /a\nCMD cat /a\n", "in/a.txt": "from git"}, tag="v1")
        one.commit({"in/a.txt": "later"})
        image, _ = client.images.build(path=f"{server.address('app')}#v1:in", tag="from:git")
        assert run(client, str(image.id)) == "from git"
        image, _ = client.images.build(path=f"{server.address('app')}#:in", tag="from:git")
        assert run(client, str(image.id)) == "later"
